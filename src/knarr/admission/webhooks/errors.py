"""A webhook that could not be asked, and one that said no."""

from __future__ import annotations

from typing import Any

from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.meta.gofmt import quote

Object = dict[str, Any]


class CallFailed(Exception):
    """A webhook gave no usable answer: its failurePolicy decides. `code` is what metrics call it."""

    def __init__(self, webhook: str, reason: str, code: int) -> None:
        super().__init__(f"failed calling webhook {quote(webhook)}: {reason}")
        self.code = code


class Denied(Exception):
    """A webhook refused the request; `error` is the answer to the client."""

    def __init__(self, error: StatusError) -> None:
        super().__init__(error.message)
        self.error = error


def denial(webhook: str, result: Object | None) -> Denied:
    """From `response.status`, whatever of it the webhook filled in: at least 400, never a Success."""
    status: Object = {"metadata": {}, **(result or {}), "kind": "Status", "apiVersion": "v1"}
    if status.get("status") in (None, "", "Success"):
        status["status"] = "Failure"
    denied = f"admission webhook {quote(webhook)} denied the request"
    why = status.get("message") or status.get("reason")
    status["message"] = f"{denied}: {why}" if why else f"{denied} without explanation"
    status["code"] = max(status.get("code") or 0, 400)
    order = ("kind", "apiVersion", "metadata", "status", "message", "reason", "details", "code")
    return Denied(StatusError({key: status[key] for key in order if status.get(key) or key == "metadata"}))


def no_dry_run(webhook: str) -> StatusError:
    return errors.bad_request(f"admission webhook {quote(webhook)} does not support dry run")
