"""One request on its way through the chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from knarr.apiserver.http import HTTPRequest
from knarr.apiserver.negotiate import PLAIN, Representation
from knarr.registry.context import Request


@dataclass(slots=True, eq=False)
class Exchange:
    """The HTTP request, what it asks for, and how it will be answered."""

    http: HTTPRequest
    request: Request
    #: clock.monotonic() when it arrived
    started: float
    representation: Representation = PLAIN
    #: of a custom resource, which nothing but metadata is protobuf of
    custom: bool = False
    code: int = 0
    #: of the answer's body, in bytes
    size: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    #: the request's seat of flow control
    ticket: Any = None
    #: names the request in the Audit-Id header and in the audit log
    audit_id: str = ""
    #: what the audit log learns of it (apiserver/audit); None where nothing is recorded
    trail: Any = None
    #: clock.now() when it arrived
    received: float = 0.0
    #: clock.monotonic() when its sender was known or refused, and how many seconds it took to say what he may
    known: float = 0.0
    authorizing: float = 0.0
    #: how long it may take, where its sender said so; below zero where what he said is no time
    seconds: float = 0.0
    #: answered 504 in place of whoever is still at it
    too_late: bool = False

    def running(self) -> None:
        """Give the seat back: the request is answered, or is a stream that is set up and may last for hours."""
        ticket, self.ticket = self.ticket, None
        if ticket is not None:
            ticket.finish()

    @property
    def long_running(self) -> bool:
        """Watches, logs, exec and the like: not limited in time, not counted while they last."""
        request = self.request
        return request.verb == "watch" or request.subresource in LONG_RUNNING


LONG_RUNNING = frozenset({"attach", "exec", "log", "portforward", "proxy"})
