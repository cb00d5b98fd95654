"""/debug/api_priority_and_fairness/: who is served, who waits, at which level and in which queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.flowcontrol.controller import FlowController
from knarr.meta import times

if TYPE_CHECKING:
    from knarr.flowcontrol.fairqueue import Entry
    from knarr.flowcontrol.level import Level

ROOT = "/debug/api_priority_and_fairness"
LEVEL_COLUMNS = (
    *("PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests"),
    *("DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests"),
)
QUEUE_COLUMNS = (
    *("PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR"),
    *("InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum"),
)
REQUEST_COLUMNS = (
    *("PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher"),
    *("ArriveTime", "InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime"),
)
DETAIL_COLUMNS = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")
#: no cell is narrower
WIDTH_MIN = 8
#: how long a request is taken to last
SERVICE_SECONDS = 0.003

Row = tuple[str, ...]


class FlowDebug:
    """Serves the three tables."""

    def __init__(self, handler: APIHandler, flow: FlowController) -> None:
        self._handler, self._flow = handler, flow
        for name, rows in (
            ("priority_levels", self._levels),
            ("queues", self._queues),
            ("requests", self._requests),
        ):
            handler.paths[f"{ROOT}/dump_{name}"] = self._page(rows)

    def _page(self, rows: Callable[[Exchange], Iterator[Row]]) -> Callable[[Exchange], Any]:
        async def serve(x: Exchange) -> None:
            self._handler.responder.text(x, 200, aligned(list(rows(x))))

        return serve

    def _levels(self, x: Exchange) -> Iterator[Row]:
        yield LEVEL_COLUMNS
        for level in self._flow.all_levels():
            queues = level.queues
            yield (
                level.name,
                str(sum(1 for queue in queues.queues if queue.waiting)),
                str(queues.idle).lower(),
                str(level.quiescing).lower(),
                str(queues.requests_waiting),
                str(len(queues.running)),
                str(level.dispatched),
                str(sum(n for why, n in level.rejected.items() if why != "cancelled")),
                str(level.timed_out),
                str(level.cancelled),
            )

    def _queues(self, x: Exchange) -> Iterator[Row]:
        yield QUEUE_COLUMNS
        for level in self._flow.all_levels():
            if not level.queues.shape.queues:
                continue
            running: dict[int, int] = {}
            for entry in level.queues.running:
                running[entry.queue.index] = running.get(entry.queue.index, 0) + 1
            for queue in level.queues.queues:
                waiting = list(queue.waiting)
                yield (
                    level.name,
                    str(queue.index),
                    str(len(waiting)),
                    str(running.get(queue.index, 0)),
                    str(queue.seats_in_use),
                    seat_seconds(queue.next_start),
                    str(sum(entry.owner.work.seats for entry in waiting)),
                    str(sum(entry.width for entry in waiting)),
                    seat_seconds(sum(map(_work, waiting))),
                )

    def _requests(self, x: Exchange) -> Iterator[Row]:
        details = bool(x.request.query.get("includeRequestDetails"))
        yield REQUEST_COLUMNS + (DETAIL_COLUMNS if details else ())
        for level in self._flow.all_levels():
            queued = bool(level.queues.shape.queues)
            for entry in sorted(level.queues.running, key=lambda e: (e.queue.index, e.arrived)):
                yield self._request(level, entry, entry.queue.index if queued else -1, -1, details)
            for queue in level.queues.queues:
                for place, entry in enumerate(queue.waiting):
                    yield self._request(level, entry, queue.index, place, details)

    def _request(self, level: Level, entry: Entry, queue: int, place: int, details: bool) -> Row:
        decision, request, work = entry.owner
        row = (
            level.name,
            decision.schema.name,
            str(queue),
            str(place),
            decision.flow,
            self._when(entry.arrived),
            str(work.seats),
            str(work.final_seats),
            times.format_go_duration(work.final_seconds),
            self._when(entry.started) if entry.started is not None else "0001-01-01T00:00:00Z",
        )
        if not details:
            return row
        version = f"{request.group}/{request.version}" if request.group else request.version
        return (
            *row,
            *(request.user.name, request.verb, request.path, request.namespace, request.name),
            *(version, request.resource, request.subresource),
        )

    def _when(self, monotonic: float) -> str:
        clock = self._handler.world.clock
        return times.format_micro(clock.now() - (clock.monotonic() - monotonic))


def _work(entry: Entry) -> float:
    work = entry.owner.work
    return work.seats * SERVICE_SECONDS + work.final_seats * work.final_seconds


def seat_seconds(value: float) -> str:
    return f"{value:.8f}ss"


def aligned(rows: list[Row]) -> str:
    """Go's tabwriter: a comma and blanks after each cell but the last."""
    widths = [
        max(WIDTH_MIN, *(len(row[i]) + 2 for row in rows)) for i in range(max(map(len, rows), default=0) - 1)
    ]
    lines = []
    for row in rows:
        cells = [f"{cell},".ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("".join(cells) + row[-1] + "\n")
    return "".join(lines)
