"""The record of one request: filled in on its way through the chain, written out once for each stage."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import orjson

from knarr.apiserver.audit.policy import PANIC, RECEIVED, REQUEST, REQUEST_RESPONSE, Verdict
from knarr.meta import times
from knarr.registry.context import Request, UserInfo

#: by number
LEVEL_NAMES = ("None", "Metadata", "Request", "RequestResponse")
USER_AGENT_CHARS_MAX = 1024
TRUNCATED = "...TRUNCATED"
#: requests that took longer tell where the time went
SLOW_SECONDS = 0.5
LATENCY = "apiserver.latency.k8s.io/"
PATCHES = "patch.webhook.admission.k8s.io/"

#: an Event of audit.k8s.io/v1 in the order of its fields; objects in it are orjson.Fragments
Event = dict[str, Any]


class Record:
    """One request at its level. What the registry tells it (`registry.context.Audit`) and what the handler does."""

    __slots__ = (
        "_base",
        "_impersonated",
        "_reference",
        "_request",
        "_request_object",
        "_response_object",
        "latencies",
        "received",
        "status",
        "verdict",
    )

    def __init__(
        self, request: Request, verdict: Verdict, audit_id: str, uri: str, sources: list[str], received: float
    ) -> None:
        self._request, self.verdict, self.received = request, verdict, received
        self._base: Event = {
            "level": LEVEL_NAMES[verdict.level],
            "auditID": audit_id,
            "requestURI": uri,
            "verb": request.verb,
            "user": user_of(request.user),
            "sourceIPs": sources,
            "userAgent": shortened(request.user_agent),
        }
        self._reference = _reference(request) if request.is_resource else None
        self._impersonated: dict[str, Any] = {}
        self._request_object: bytes | None = None
        self._response_object: bytes | None = None
        #: seconds by part: "etcd", "authorization" ...
        self.latencies: dict[str, float] = {}
        #: a Status of what was answered; None before
        self.status: dict[str, Any] | None = None

    # -- what is learnt on the way ----------------------------------------------------------------------------

    def impersonated(self, user: UserInfo, constraint: str) -> None:
        self._impersonated = {"impersonatedUser": user_of(user)}
        if constraint:
            self._impersonated["authenticationMetadata"] = {"impersonationConstraint": constraint}

    def object_sent(self, obj: Mapping[str, Any], kind: str = "", api_version: str = "") -> None:
        """The decoded body of a request, which names what the path does not."""
        metadata = obj.get("metadata") or {}
        reference = self._reference
        if reference is not None and isinstance(metadata, dict):
            for field in ("namespace", "name", "uid", "resourceVersion"):
                if metadata.get(field):
                    reference.setdefault(field, metadata[field])
        if self.verdict.level >= REQUEST:
            shown = dict(obj)
            if kind:
                shown = {"kind": kind, "apiVersion": api_version, **shown}
            if self.verdict.omit_managed_fields:
                shown = without_managed_fields(shown)
            self._request_object = orjson.dumps(shown)

    def patch_sent(self, patch: bytes) -> None:
        """A patch stands for the object; what is no JSON cannot be shown."""
        if self.verdict.level >= REQUEST:
            self._request_object = as_json(patch)

    def answered(self, code: int) -> None:
        """The head of the answer is written."""
        if self.status is None:
            self.status = {}
        self.status["code"] = code

    def object_answered(self, body: bytes) -> None:
        """The object of the answer; a Status among them tells more than the code."""
        status = _status(body)
        if status is not None:
            self.status = status
        if self.verdict.level >= REQUEST_RESPONSE:
            if self.verdict.omit_managed_fields and b'"managedFields"' in body:
                body = orjson.dumps(without_managed_fields(orjson.loads(body)))
            elif b"\n" in body:
                body = orjson.dumps(orjson.loads(body))
            self._response_object = body

    def took(self, part: str, seconds: float, at_once: bool = False) -> None:
        before = self.latencies.get(part, 0.0)
        self.latencies[part] = max(before, seconds) if at_once else before + seconds

    @property
    def wants_response(self) -> bool:
        return self.verdict.level >= REQUEST_RESPONSE

    # -- writing it out ---------------------------------------------------------------------------------------

    def event(self, stage: str, now: float) -> Event:
        """The event of a stage as it stands."""
        base = self._base
        event: Event = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": base["level"],
            "auditID": base["auditID"],
            "stage": stage,
            "requestURI": base["requestURI"],
            "verb": base["verb"],
            "user": base["user"],
            **self._impersonated,
        }
        for field in ("sourceIPs", "userAgent"):
            if base[field]:
                event[field] = base[field]
        if self._reference is not None:
            event["objectRef"] = {f: self._reference[f] for f in REFERENCE if f in self._reference}
        if self.status is not None:
            event["responseStatus"] = _shown_status(self.status)
        if self._request_object is not None:
            event["requestObject"] = orjson.Fragment(self._request_object)
        if self._response_object is not None:
            event["responseObject"] = orjson.Fragment(self._response_object)
        event["requestReceivedTimestamp"] = times.format_micro(self.received)
        event["stageTimestamp"] = times.format_micro(self.received if stage == RECEIVED else now)
        annotations = {**self._noted(), **self._slowness(stage, now)}
        if annotations:
            event["annotations"] = annotations
        return event

    def _noted(self) -> dict[str, str]:
        """What webhooks patched is told only where bodies are."""
        noted = self._request.annotations
        if self.verdict.level >= REQUEST or not any(key.startswith(PATCHES) for key in noted):
            return noted
        return {key: value for key, value in noted.items() if not key.startswith(PATCHES)}

    def _slowness(self, stage: str, now: float) -> dict[str, str]:
        """Where the time of a slow request went."""
        total = now - self.received
        if stage in (RECEIVED, PANIC) or total <= SLOW_SECONDS or not self.latencies:
            return {}
        spent = {**self.latencies, "total": total}
        return {
            LATENCY + part: times.format_go_duration_nanos(int(s * 1e9)) for part, s in spent.items() if s
        }


REFERENCE = (
    "resource",
    "namespace",
    "name",
    "uid",
    "apiGroup",
    "apiVersion",
    "resourceVersion",
    "subresource",
)


def _reference(request: Request) -> dict[str, str]:
    named = {
        "resource": request.resource,
        "namespace": request.namespace,
        "name": request.name,
        "apiGroup": request.group,
        "apiVersion": request.version,
        "subresource": request.subresource,
    }
    return {field: value for field, value in named.items() if value}


def user_of(user: UserInfo) -> dict[str, Any]:
    """authentication.k8s.io's UserInfo; what is empty is left out."""
    extra = {key: list(values) for key, values in user.extra.items()}
    shown = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
    return {field: value for field, value in shown.items() if value}


def shortened(user_agent: str) -> str:
    if len(user_agent) <= USER_AGENT_CHARS_MAX:
        return user_agent
    return user_agent[:USER_AGENT_CHARS_MAX] + TRUNCATED


def source_ips(headers: Mapping[str, str], remote: str) -> list[str]:
    """Whom a request says it comes from, then who sent it: X-Forwarded-For, X-Real-Ip, the connection."""
    found: list[str] = []
    for part in headers.get("x-forwarded-for", "").split(","):
        if ip := _ip(part):
            found.append(ip)
    real = _ip(headers.get("x-real-ip", ""))
    if real and real not in found:
        found.append(real)
    peer = _ip(remote)
    if peer and found[-1:] != [peer]:
        found.append(peer)
    return found


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


def _status(body: bytes) -> dict[str, Any] | None:
    """The body as a Status, if it is one; Status objects begin with their kind."""
    if not body.startswith(b'{"kind":"Status"'):
        return None
    status = orjson.loads(body)
    kept = ("status", "message", "reason", "details", "code")
    return {field: status[field] for field in kept if field in status}


def _shown_status(status: dict[str, Any]) -> dict[str, Any]:
    order = ("status", "message", "reason", "details", "code")
    return {"metadata": {}, **{field: status[field] for field in order if field in status}}


def as_json(patch: bytes) -> bytes | None:
    """The patch as JSON; an apply patch may be YAML."""
    try:
        # Written anew: an event is one line, whatever the client's JSON looks like.
        return orjson.dumps(orjson.loads(patch))
    except orjson.JSONDecodeError:
        import yaml

        try:
            return orjson.dumps(yaml.load(patch, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), default=str)
        except (yaml.YAMLError, TypeError):
            return None


def without_managed_fields(obj: dict[str, Any]) -> dict[str, Any]:
    """The object, list or table without managedFields; nothing in `obj` is changed."""
    obj = _unmanaged(obj)
    if isinstance(items := obj.get("items"), list):
        obj["items"] = [_unmanaged(item) for item in items]
    if obj.get("kind") == "Table" and isinstance(rows := obj.get("rows"), list):
        obj["rows"] = [
            {**row, "object": _unmanaged(row["object"])} if row.get("object") else row for row in rows
        ]
    return obj


def _unmanaged(obj: Any) -> Any:
    if not isinstance(obj, dict):
        return obj
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return dict(obj)
    return {**obj, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
