"""`FlowController`: decides for each request whether it runs now, waits, or is sent away.

It follows FlowSchemas and PriorityLevelConfigurations; before any exist, the mandatory ones hold.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from knarr.flowcontrol.bootstrap import dangling, mandatory
from knarr.flowcontrol.borrowing import Claim, current_limits, nominal_limits
from knarr.flowcontrol.classify import Schema, compile_schema
from knarr.flowcontrol.fairqueue import Entry, FairQueues, Rejected, Shape, deal
from knarr.meta import errors
from knarr.registry.context import Request
from knarr.registry.reader import Object, Reader
from knarr.world.clock import Clock

GROUP = "flowcontrol.apiserver.k8s.io"
#: of a kube-apiserver: 400 reads and 200 writes in flight
TOTAL_SEATS = 600
#: a quarter of the request timeout
PATIENCE_SECONDS = 15.0
REBALANCE_SECONDS = 10.0
#: how slowly remembered demand fades, per rebalancing
DEMAND_KEPT = 0.977
#: decisions and hands kept; the oldest goes first
CACHE_ENTRIES = 8192

TOO_MANY = "Too many requests, please try again later."
HEADER_SCHEMA = "X-Kubernetes-PF-FlowSchema-UID"
HEADER_LEVEL = "X-Kubernetes-PF-PriorityLevel-UID"


@dataclass(eq=False)
class Level:
    """A PriorityLevelConfiguration at work."""

    name: str
    uid: str
    spec: Object
    exempt: bool
    queues: FairQueues
    nominal: int = 0
    demand: float = 0.0
    #: why requests were sent away, for metrics
    rejected: dict[str, int] = field(default_factory=dict)


class Ticket:
    """A request's permission to run; `finish` it in any case, more than once does no harm."""

    __slots__ = ("_controller", "_entry", "_level", "schema")

    def __init__(self, controller: FlowController, schema: Schema, level: Level, entry: Entry | None) -> None:
        self._controller = controller
        self._level = level
        self._entry = entry
        self.schema = schema

    @property
    def headers(self) -> dict[str, str]:
        return {HEADER_SCHEMA: self.schema.uid, HEADER_LEVEL: self._level.uid}

    @property
    def level(self) -> str:
        return self._level.name

    def finish(self) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            self._controller.ended(self._level, entry)


class _Admission:
    """`async with flow.admit(request) as ticket`."""

    __slots__ = ("_controller", "_request", "_ticket", "_width")

    def __init__(self, controller: FlowController, request: Request, width: int) -> None:
        self._controller = controller
        self._request = request
        self._width = width

    async def __aenter__(self) -> Ticket:
        self._ticket = await self._controller.start(self._request, self._width)
        return self._ticket

    async def __aexit__(self, *_: object) -> None:
        self._ticket.finish()


class FlowController:
    """All levels of one server."""

    def __init__(self, reader: Reader, clock: Clock, total_seats: int = TOTAL_SEATS) -> None:
        self._reader = reader
        self._clock = clock
        self._total = total_seats
        self._schemas: dict[str, Schema] = {}
        self._order: list[Schema] = []
        self.levels: dict[str, Level] = {}
        self._decisions: dict[tuple[Any, ...], tuple[Schema, Level, tuple[int, ...]]] = {}
        self._futures: dict[Entry, asyncio.Future[None]] = {}
        self._rebalanced = clock.monotonic()
        self._stale: dict[str, Object] = {}
        self._stale_event = asyncio.Event()
        for resource, obj in mandatory():
            self._apply(resource, "ADDED", obj)
        reader.subscribe(GROUP, "prioritylevelconfigurations", self._level_changed)
        reader.subscribe(GROUP, "flowschemas", self._schema_changed)

    def admit(self, request: Request, width: int = 1) -> _Admission:
        return _Admission(self, request, width)

    async def start(self, request: Request, width: int = 1) -> Ticket:
        """A ticket at once or when it is the request's turn; `width` is how many seats it takes (see `list_width`).

        Raises StatusError 429 with Retry-After when the queues are full or the wait gets too long.
        """
        user = request.user
        key = (
            user.name,
            user.groups,
            request.verb,
            request.group,
            request.resource or request.path,
            request.subresource,
            request.namespace,
        )
        try:
            schema, level, hand = self._decisions[key]
        except KeyError:
            schema, level, hand = self._classify(request, key)
        if level.exempt:
            return Ticket(self, schema, level, None)
        try:
            entry = level.queues.arrive(self._clock.monotonic(), hand, width)
        except Rejected as rejection:
            raise self._refuse(level, str(rejection)) from None
        if entry.started is None:
            await self._wait(level, entry)
        return Ticket(self, schema, level, entry)

    def ended(self, level: Level, entry: Entry) -> None:
        """A ticket was finished: the next ones get its seats."""
        started = level.queues.finish(entry, self._clock.monotonic())
        if started:
            self._wake(started)

    # -- waiting -----------------------------------------------------------------------------------------

    async def _wait(self, level: Level, entry: Entry) -> None:
        self._rebalance()
        if entry.started is not None:
            return
        future = self._futures[entry] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await future
        except BaseException as reason:
            self._futures.pop(entry, None)
            if entry.started is None:
                self._wake(level.queues.abandon(entry, self._clock.monotonic()))
            elif isinstance(reason, TimeoutError):
                return  # its turn came in the same instant
            else:
                self.ended(level, entry)
            if isinstance(reason, TimeoutError):
                raise self._refuse(level, "time-out") from None
            raise

    def _wake(self, started: list[Entry]) -> None:
        for entry in started:
            future = self._futures.pop(entry, None)
            if future is not None and not future.done():
                future.set_result(None)

    def _refuse(self, level: Level, reason: str) -> errors.StatusError:
        level.rejected[reason] = level.rejected.get(reason, 0) + 1
        self._rebalance()
        return errors.too_many_requests(TOO_MANY, 1)

    # -- classification ------------------------------------------------------------------------------------

    def _classify(self, request: Request, key: tuple[Any, ...]) -> tuple[Schema, Level, tuple[int, ...]]:
        schema = next((s for s in self._order if s.level in self.levels and s.matches(request)), None)
        if schema is None:
            schema = self._schemas["catch-all"]
        level = self.levels[schema.level]
        shape = level.queues.shape
        hand = deal(f"{schema.name}\0{schema.flow(request)}", shape.queues, shape.hand)
        while len(self._decisions) >= CACHE_ENTRIES:
            del self._decisions[next(iter(self._decisions))]
        found = self._decisions[key] = (schema, level, hand)
        return found

    # -- configuration -------------------------------------------------------------------------------------

    def _schema_changed(self, event: str, obj: Object) -> None:
        self._apply("flowschemas", event, obj)
        self._note(obj["metadata"]["name"], None if event == "DELETED" else obj)

    def _level_changed(self, event: str, obj: Object) -> None:
        self._apply("prioritylevelconfigurations", event, obj)
        for schema in self._reader.list(GROUP, "flowschemas"):
            self._note(schema["metadata"]["name"], schema)

    def _apply(self, resource: str, event: str, obj: Object) -> None:
        self._decisions.clear()
        name = obj["metadata"]["name"]
        if event == "DELETED":
            obj = next((o for r, o in mandatory() if (r, o["metadata"]["name"]) == (resource, name)), None)
        if resource == "flowschemas":
            self._schemas.pop(name, None)
            if obj is not None:
                self._schemas[name] = compile_schema(obj)
            self._order = sorted(self._schemas.values(), key=lambda s: (s.precedence, s.name))
        elif obj is None:
            self.levels.pop(name, None)
            self._share_out()
        else:
            self._set_level(name, obj)
            self._share_out()

    def _set_level(self, name: str, obj: Object) -> None:
        spec = obj.get("spec") or {}
        uid = obj["metadata"].get("uid", "")
        known = self.levels.get(name)
        if known is None:
            queues = FairQueues(_shape(spec, 0), self._clock.monotonic())
            self.levels[name] = Level(name, uid, spec, spec.get("type") == "Exempt", queues)
        else:
            known.uid, known.spec, known.exempt = uid, spec, spec.get("type") == "Exempt"

    def _share_out(self) -> None:
        """Nominal limits, after the levels changed."""
        shares = {
            n: _limits(level.spec).get("nominalConcurrencyShares", 30) for n, level in self.levels.items()
        }
        for name, seats in nominal_limits(self._total, shares).items():
            level = self.levels[name]
            level.nominal = seats
            self._wake(level.queues.reshape(_shape(level.spec, seats), self._clock.monotonic()))

    def _rebalance(self) -> None:
        """Follow demand, when somebody has to wait and the last time is long enough ago."""
        now = self._clock.monotonic()
        if now - self._rebalanced < REBALANCE_SECONDS:
            return
        self._rebalanced = now
        limited = {n: level for n, level in self.levels.items() if not level.exempt}
        for level in limited.values():
            queues = level.queues
            faded = DEMAND_KEPT * level.demand + (1 - DEMAND_KEPT) * queues.demand_max
            level.demand = max(float(queues.demand_max), faded)
            queues.demand_max = queues.seats_in_use + queues.seats_waiting
        total = sum(level.nominal for level in limited.values())
        limits = current_limits(total, {n: _claim(level, total) for n, level in limited.items()})
        for name, seats in limits.items():
            level = limited[name]
            self._wake(level.queues.reshape(_shape(level.spec, seats), now))

    # -- status of the schemas -----------------------------------------------------------------------------

    def _note(self, name: str, schema: Object | None) -> None:
        """Remember a schema whose status no longer says whether its level exists."""
        self._stale.pop(name, None)
        if schema is not None and dangling(schema, self._levels_present(), 0.0) is not None:
            self._stale[name] = schema
            self._stale_event.set()

    def _levels_present(self) -> set[str]:
        found = {o["metadata"]["name"] for o in self._reader.list(GROUP, "prioritylevelconfigurations")}
        return found | {o["metadata"]["name"] for r, o in mandatory() if r != "flowschemas"}

    async def run(self) -> None:
        """Keep the Dangling condition of every FlowSchema true to fact; runs until cancelled."""
        while True:
            await self._stale_event.wait()
            self._stale_event.clear()
            for schema in list(self._stale.values()):
                updated = dangling(schema, self._levels_present(), self._clock.now())
                if updated is None:
                    continue
                try:
                    await self._reader.update(GROUP, "flowschemas", updated, "status")
                except errors.StatusError:
                    continue  # changed or gone: the next event brings it back


def _limits(spec: Object) -> Object:
    return spec.get("exempt" if spec.get("type") == "Exempt" else "limited") or {}


def _shape(spec: Object, seats: int) -> Shape:
    response = (spec.get("limited") or {}).get("limitResponse") or {}
    if response.get("type") != "Queue":
        return Shape(seats)
    queuing = response.get("queuing") or {}
    return Shape(
        seats, queuing.get("queues", 64), queuing.get("handSize", 8), queuing.get("queueLengthLimit", 50)
    )


def _claim(level: Level, total: int) -> Claim:
    limited = level.spec.get("limited") or {}
    lendable = round(level.nominal * limited.get("lendablePercent", 0) / 100)
    borrowing = limited.get("borrowingLimitPercent")
    highest = total if borrowing is None else level.nominal + round(level.nominal * borrowing / 100)
    return Claim(level.nominal, level.nominal - lendable, min(total, highest), level.demand)


def list_width(objects: int, limit: int = 0) -> int:
    """How many seats a list takes: one for each hundred objects it has to go through, ten at most."""
    count = min(objects, limit) if limit else objects
    return max(1, min(10, -(-count // 100)))
