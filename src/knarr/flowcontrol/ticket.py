"""What a request gets: a ticket when it may run, a place when it has to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from knarr.flowcontrol.classify import Schema
from knarr.flowcontrol.estimate import ONE, Work
from knarr.flowcontrol.fairqueue import Entry, Queue
from knarr.flowcontrol.level import Level
from knarr.flowcontrol.numbers import Counts
from knarr.registry.context import Request

if TYPE_CHECKING:
    from knarr.flowcontrol.controller import FlowController


class Decision(NamedTuple):
    """Where a request belongs: its schema, level and flow, and the queues that the flow may use."""

    schema: Schema
    level: Level
    hand: tuple[int, ...]
    flow: str
    counts: Counts
    #: (name, value) of the headers of its answer
    headers: tuple[tuple[str, str], ...]
    exempt: bool


class Owner(NamedTuple):
    """Whose an entry of a level is."""

    decision: Decision
    request: Request
    work: Work


class Place(NamedTuple):
    """A place in a queue."""

    decision: Decision
    entry: Entry


class Ticket:
    """A request's permission to run; `finish` it in any case, more than once does no harm."""

    __slots__ = ("_controller", "_entry", "decision")

    def __init__(self, controller: FlowController | None, decision: Decision, entry: Entry | None) -> None:
        self._controller, self.decision = controller, decision
        self._entry = entry

    @property
    def schema(self) -> Schema:
        return self.decision.schema

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return self.decision.headers

    @property
    def level(self) -> str:
        return self.decision.level.name

    def finish(self) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            assert self._controller is not None
            self._controller.answered(self.decision, entry)


class Pass(Ticket):
    """A ticket of the exempt level: it costs as little as can be, because the control plane itself travels so. It is
    its own entry among those that run."""

    __slots__ = ("request", "started")
    width = 1

    def __init__(self, decision: Decision, request: Request, now: float) -> None:
        self._controller, self._entry = None, None
        self.decision, self.request, self.started = decision, request, now
        queues = decision.level.queues
        running = queues.running
        running.add(self)  # type: ignore[arg-type]
        queues.seats_in_use = seats = len(running)
        if seats > queues.demand.highest:
            queues.demand.highest = seats

    @property
    def arrived(self) -> float:
        return self.started

    @property
    def owner(self) -> Owner:
        return Owner(self.decision, self.request, ONE)

    @property
    def queue(self) -> Queue:
        return self.decision.level.queues.queues[0]

    def finish(self) -> None:
        queues = self.decision.level.queues
        queues.running.discard(self)  # type: ignore[arg-type]
        queues.seats_in_use = len(queues.running)
