"""The legacy format: an event as one line of text."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.apiserver.audit.event import Event
from knarr.meta.gofmt import quote


def line(event: Event) -> str:
    """`2026-01-02T03:04:05.6Z AUDIT: id="..." stage="..." ...`, without a newline."""
    user = event.get("user") or {}
    name = user.get("username") or ""
    groups = _quoted(user["groups"]) if name and user.get("groups") else "<none>"
    other = event.get("impersonatedUser")
    as_user = other.get("username", "") if other is not None else "<self>"
    as_groups = _quoted(other["groups"]) if other is not None and other.get("groups") else "<lookup>"
    namespace = (event.get("objectRef") or {}).get("namespace") or "<none>"
    status = event.get("responseStatus")
    response = str(status.get("code", 0)) if status is not None else "<deferred>"
    ip = next(iter(event.get("sourceIPs") or ()), "<unknown>")
    parts = {
        "id": event["auditID"],
        "stage": event["stage"],
        "ip": ip,
        "method": event["verb"],
        "user": name or "<none>",
        "groups": groups,
        "as": as_user,
        "asgroups": as_groups,
        "user-agent": event.get("userAgent", ""),
        "namespace": namespace,
        "uri": event["requestURI"],
    }
    shown = " ".join(f"{key}={quote(value)}" for key, value in parts.items())
    return f'{_time(event["requestReceivedTimestamp"])} AUDIT: {shown} response="{response}"'


def _quoted(values: Iterable[str]) -> str:
    return ",".join(map(quote, values))


def _time(text: str) -> str:
    """Go's RFC3339Nano: no zeros at the end of the fraction."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"
