"""Errors as the API answers them: each is a `Status` object with Kubernetes' code, reason and message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.meta.fielderrors import FieldError, aggregate


class StatusError(Exception):
    """An answer of the API server that is not a success; `status` is the Status object."""

    def __init__(self, status: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status.get("message", ""))
        self.status = status
        self.headers = headers or {}

    def __str__(self) -> str:
        return self.message

    @property
    def code(self) -> int:
        return self.status.get("code", 500)

    @property
    def reason(self) -> str:
        return self.status.get("reason", "")

    @property
    def message(self) -> str:
        return self.status.get("message", "")


def failure(code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """A Status of status Failure; empty parts are left out as Kubernetes leaves them out."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    if message:
        status["message"] = message
    if reason:
        status["reason"] = reason
    if details is not None:
        status["details"] = details
    status["code"] = code
    return status


def qualified(group: str, resource: str) -> str:
    """`deployments.apps`, or `pods` in the core group."""
    return f"{resource}.{group}" if group else resource


def details_of(group: str, resource: str, name: str = "", **more: Any) -> dict[str, Any]:
    """The details of a Status: for most errors `kind` holds the resource's name."""
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if resource:
        details["kind"] = resource
    details.update({key: value for key, value in more.items() if value})
    return details


def not_found(group: str, resource: str, name: str) -> StatusError:
    return StatusError(
        failure(
            404,
            "NotFound",
            f'{qualified(group, resource)} "{name}" not found',
            details_of(group, resource, name),
        )
    )


def page_not_found() -> StatusError:
    """No such resource type, or verb path; the details are empty on purpose."""
    return StatusError(failure(404, "NotFound", "the server could not find the requested resource", {}))


class PlainText(StatusError):
    """What an outer part of the API server says: the message as text, without a Status."""


class PathNotFound(PlainText):
    """404 of a path that no API server knows."""

    def __init__(self) -> None:
        super().__init__(failure(404, "NotFound", "404 page not found", {}))


def already_exists(group: str, resource: str, name: str) -> StatusError:
    message = f'{qualified(group, resource)} "{name}" already exists'
    return StatusError(failure(409, "AlreadyExists", message, details_of(group, resource, name)))


def conflict(group: str, resource: str, name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {qualified(group, resource)} "{name}": {why}'
    return StatusError(failure(409, "Conflict", message, details_of(group, resource, name)))


#: what a writer who read too early is told
STALE = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(group: str, kind: str, name: str, errors: Iterable[FieldError]) -> StatusError:
    """422; here details.kind is the kind, not the resource."""
    errors = list(errors)
    message = f'{qualified(group, kind)} "{name}" is invalid'
    if errors:
        message += f": {aggregate(errors)}"
    causes = [e.cause() for e in errors]
    return StatusError(failure(422, "Invalid", message, details_of(group, kind, name, causes=causes)))


def bad_request(message: str) -> StatusError:
    return StatusError(failure(400, "BadRequest", message))


def unauthorized() -> StatusError:
    return StatusError(failure(401, "Unauthorized", "Unauthorized"))


def forbidden(group: str, resource: str, name: str, why: str) -> StatusError:
    """403 for a resource: by RBAC, admission or quota."""
    if name:
        message = f'{qualified(group, resource)} "{name}" is forbidden: {why}'
    elif resource:
        message = f"{qualified(group, resource)} is forbidden: {why}"
    else:
        message = f"forbidden: {why}"
    return StatusError(failure(403, "Forbidden", message, details_of(group, resource, name)))


def method_not_allowed(group: str, resource: str, action: str) -> StatusError:
    message = f"{action} is not supported on resources of kind {qualified(group, resource)!r}".replace(
        "'", '"'
    )
    return StatusError(failure(405, "MethodNotAllowed", message, details_of(group, resource)))


def not_acceptable(message: str) -> StatusError:
    return StatusError(failure(406, "NotAcceptable", message))


def unsupported_media_type(message: str) -> StatusError:
    return StatusError(failure(415, "UnsupportedMediaType", message))


def expired(message: str) -> StatusError:
    """410: the resource version is older than the history that is kept."""
    return StatusError(failure(410, "Expired", message))


def gone(message: str) -> StatusError:
    return StatusError(failure(410, "Gone", message))


def too_large(message: str = "etcdserver: request is too large") -> StatusError:
    return StatusError(failure(413, "RequestEntityTooLarge", message))


def too_many_requests(message: str, retry_after_seconds: int = 1) -> StatusError:
    status = failure(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after_seconds})
    return StatusError(status, {"Retry-After": str(retry_after_seconds)})


def told_to_wait(message: str, seconds: int = 1) -> PlainText:
    """429 before anything was looked at."""
    return PlainText(failure(429, "TooManyRequests", message), {"Retry-After": str(seconds)})


def timeout(message: str, retry_after_seconds: int = 0) -> StatusError:
    details = {"retryAfterSeconds": retry_after_seconds} if retry_after_seconds else None
    return StatusError(failure(504, "Timeout", message, details))


def unavailable(message: str) -> StatusError:
    return StatusError(failure(503, "ServiceUnavailable", message))


def internal(message: str) -> StatusError:
    status = failure(
        500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]}
    )
    return StatusError(status)
