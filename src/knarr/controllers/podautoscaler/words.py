"""What went wrong, in the words of Kubernetes' clients: they stand in conditions and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.meta.errors import StatusError

NOT_FOUND = "the server could not find the requested resource"
UNAVAILABLE = "the server is currently unable to handle the request"


class Uncomputable(Exception):
    """There is no answer; the message says why. `summed_up`: what the sum of all metrics says instead, if anything."""

    def __init__(self, why: str, summed_up: str = "") -> None:
        super().__init__(why)
        self.summed_up = summed_up


def refusal(error: StatusError, what: str) -> str:
    """The server's own message; a client makes one up, naming `what` it asked for, where the server gave no Status."""
    if error.code == 503:
        return f"{UNAVAILABLE} ({what})"
    causes = (error.status.get("details") or {}).get("causes") or ()
    if error.message == NOT_FOUND or any(c.get("reason") == "UnexpectedServerResponse" for c in causes):
        return f"{error.message} ({what})"
    return error.message


def printed(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as Go prints it."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.get('key', '')},Operator:{e.get('operator', '')},"
        f"Values:[{' '.join(e.get('values') or ())}],}},"
        for e in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
