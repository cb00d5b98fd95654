"""`FlowController`: decides for each request whether it runs now, waits, or is sent away.

It follows FlowSchemas and PriorityLevelConfigurations; before any exist, the mandatory ones hold.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from knarr.flowcontrol import upkeep
from knarr.flowcontrol.bootstrap import GROUP, dangling, mandatory
from knarr.flowcontrol.borrowing import current_limits, nominal_limits
from knarr.flowcontrol.classify import Schema, compile_schema
from knarr.flowcontrol.estimate import ONE, WRITES, Loads, Work, work_of
from knarr.flowcontrol.fairqueue import Entry, Rejected, deal
from knarr.flowcontrol.level import Level, new_level, shares_of
from knarr.flowcontrol.numbers import Counts
from knarr.flowcontrol.ticket import Decision, Owner, Pass, Place, Ticket
from knarr.meta import errors
from knarr.registry.context import Request
from knarr.registry.reader import Object
from knarr.world.clock import Clock

log = logging.getLogger("knarr.flowcontrol")

#: of a kube-apiserver: 400 reads and 200 writes in flight
TOTAL_SEATS = 600
#: how long a request waits where it has no time of its own: a quarter of the request timeout
PATIENCE_SECONDS = 15.0
REBALANCE_SECONDS = 10.0
#: decisions and hands kept; the oldest goes first
CACHE_ENTRIES = 8192
#: a schema whose condition somebody else keeps changing is written so often in a minute, then left for a while
UPDATES_A_MINUTE = 6

TOO_MANY = "Too many requests, please try again later."
HEADER_SCHEMA = "X-Kubernetes-PF-FlowSchema-UID"
HEADER_LEVEL = "X-Kubernetes-PF-PriorityLevel-UID"


class _Admission:
    """`async with flow.admit(request) as ticket`."""

    __slots__ = ("_controller", "_request", "_ticket")

    def __init__(self, controller: FlowController, request: Request) -> None:
        self._controller = controller
        self._request = request

    async def __aenter__(self) -> Ticket:
        self._ticket = await self._controller.start(self._request)
        return self._ticket

    async def __aexit__(self, *_: object) -> None:
        self._ticket.finish()


class FlowController:
    """All levels of one server. `loads` tells how much requests have to read and whom they concern."""

    def __init__(
        self, reader: Any, clock: Clock, total_seats: int = TOTAL_SEATS, loads: Loads | None = None
    ) -> None:
        self._reader = reader
        self._clock = clock
        self.total_seats = total_seats
        self._loads = loads
        self._schemas: dict[str, Schema] = {}
        self._order: list[Schema] = []
        self.levels: dict[str, Level] = {}
        #: of the seats levels want, the part they get
        self.fair_fraction = 0.0
        self._decisions: dict[tuple[Any, ...], Decision] = {}
        self._futures: dict[Entry, asyncio.Future[None]] = {}
        self._draining: dict[str, Level] = {}
        self._stale: dict[str, Object] = {}
        self._stale_event = asyncio.Event()
        self._written: dict[str, list[float]] = {}
        for resource, obj in mandatory():
            self._apply(resource, "ADDED", obj)
        reader.subscribe(GROUP, "prioritylevelconfigurations", self._level_changed)
        reader.subscribe(GROUP, "flowschemas", self._schema_changed)

    def admit(self, request: Request) -> _Admission:
        return _Admission(self, request)

    async def start(self, request: Request, patience: float = PATIENCE_SECONDS) -> Ticket:
        """A ticket at once or when it is the request's turn, after `patience` seconds at most.

        Raises StatusError 429 with Retry-After when the queues are full or the wait gets too long.
        """
        seat = self.arrive(request)
        return seat if isinstance(seat, Ticket) else await self.wait(seat, patience)

    def arrive(self, request: Request) -> Ticket | Place:
        """A ticket, or a place that has to be waited at. Raises StatusError 429."""
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
        decision = self._decisions.get(key)
        if decision is None:
            decision = self._classify(request, key)
        if decision.exempt:
            decision.counts.dispatched += 1
            return Pass(decision, request, self._clock.monotonic())
        work = ONE
        if self._loads is not None and request.verb != "get":
            work = self._work(request, decision.level, decision.counts)
        try:
            entry = decision.level.queues.arrive(self._clock.monotonic(), decision.hand, work.width)
        except Rejected as rejection:
            raise self._refuse(decision, str(rejection)) from None
        entry.owner = Owner(decision, request, work)
        if entry.started is None:
            return Place(decision, entry)
        decision.counts.dispatched += 1
        return Ticket(self, decision, entry)

    async def wait(self, place: Place, patience: float) -> Ticket:
        """Until it is the request's turn. Raises StatusError 429."""
        decision, entry = place
        if entry.started is None:
            await self._wait(decision, entry, patience)
        decision.counts.dispatched += 1
        return Ticket(self, decision, entry)

    def _work(self, request: Request, level: Level, counts: Counts) -> Work:
        assert self._loads is not None
        watchers = 0
        if request.verb in WRITES and request.resource:
            watchers = self._loads.watchers(request.group, request.resource, request.namespace, request.name)
            counts.watchers.observe(watchers)
        work = work_of(request, self._loads, level.seats_max, watchers)
        counts.seats.observe(work.width)
        return work

    def answered(self, decision: Decision, entry: Entry) -> None:
        """A ticket was finished. Who is to be told of a write keeps seats for a little longer."""
        now = self._clock.monotonic()
        decision.counts.took.observe(now - entry.started)  # type: ignore[operator]
        seconds = entry.owner.work.final_seconds
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._ended, decision.level, entry)
        else:
            self._ended(decision.level, entry, now)

    def _ended(self, level: Level, entry: Entry, now: float = 0.0) -> None:
        """The next ones get its seats."""
        started = level.queues.finish(entry, now or self._clock.monotonic())
        if started:
            self._wake(started)
        if level.quiescing and level.queues.idle:
            self._drop(level)

    # -- waiting -----------------------------------------------------------------------------------------

    async def _wait(self, decision: Decision, entry: Entry, patience: float) -> None:
        level, counts = decision.level, decision.counts
        counts.lengths.observe(len(entry.queue.waiting))
        counts.waiting += 1
        counts.waiting_seats += entry.width
        future = self._futures[entry] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(patience):
                await future
        except BaseException as reason:
            self._futures.pop(entry, None)
            if entry.started is None:
                counts.waited_in_vain.observe(self._clock.monotonic() - entry.arrived)
                self._wake(level.queues.abandon(entry, self._clock.monotonic()))
            elif isinstance(reason, TimeoutError):
                return  # its turn came in the same instant
            else:
                self._ended(level, entry)
            if isinstance(reason, TimeoutError):
                level.timed_out += 1
                raise self._refuse(decision, "time-out") from None
            level.cancelled += 1
            counts.rejected["cancelled"] = counts.rejected.get("cancelled", 0) + 1
            raise
        finally:
            counts.waiting -= 1
            counts.waiting_seats -= entry.width
        counts.waited.observe((entry.started or entry.arrived) - entry.arrived)

    def _wake(self, started: list[Entry]) -> None:
        for entry in started:
            future = self._futures.pop(entry, None)
            if future is not None and not future.done():
                future.set_result(None)

    def _refuse(self, decision: Decision, reason: str) -> errors.StatusError:
        rejected = decision.counts.rejected
        rejected[reason] = rejected.get(reason, 0) + 1
        refusal = errors.told_to_wait(TOO_MANY, decision.level.retry_after.dropped(self._clock.now()))
        refusal.headers.update(decision.headers)
        return refusal

    # -- classification ------------------------------------------------------------------------------------

    def _classify(self, request: Request, key: tuple[Any, ...]) -> Decision:
        schema = next((s for s in self._order if s.level in self.levels and s.matches(request)), None)
        if schema is None:
            schema = self._schemas["catch-all"]
        level = self.levels[schema.level]
        shape = level.queues.shape
        flow = schema.flow(request)
        hand = deal(f"{schema.name}\0{flow}", shape.queues, shape.hand)
        while len(self._decisions) >= CACHE_ENTRIES:
            del self._decisions[next(iter(self._decisions))]
        headers = ((HEADER_SCHEMA, schema.uid), (HEADER_LEVEL, level.uid))
        counts = level.counts_of(schema.name)
        found = Decision(schema, level, hand, flow, counts, headers, level.exempt)
        self._decisions[key] = found
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
            self._retire(name)
        else:
            self._set_level(name, obj)
            self._share_out()

    def _set_level(self, name: str, obj: Object) -> None:
        spec = obj.get("spec") or {}
        uid = obj["metadata"].get("uid", "")
        known = self.levels.get(name) or self._draining.pop(name, None)
        if known is None or known.exempt != (spec.get("type") == "Exempt"):
            self.levels[name] = new_level(name, uid, spec, self._clock.monotonic())
        else:
            known.uid, known.spec, known.quiescing = uid, spec, False
            self.levels[name] = known

    def _retire(self, name: str) -> None:
        """Its object is gone: nobody comes in any more, and who is in keeps his place and his share."""
        level = self.levels.pop(name, None)
        if level is not None and not level.queues.idle:
            level.quiescing = True
            self._draining[name] = level
        self._share_out()

    def _drop(self, level: Level) -> None:
        self._draining.pop(level.name, None)
        self._share_out()

    def all_levels(self) -> list[Level]:
        """Those that are draining too, by name."""
        return sorted((*self.levels.values(), *self._draining.values()), key=lambda level: level.name)

    def _share_out(self) -> None:
        """Nominal limits, after the levels changed."""
        levels = {level.name: level for level in self.all_levels()}
        shares = {name: shares_of(level.spec) for name, level in levels.items()}
        for name, seats in nominal_limits(self.total_seats, shares).items():
            levels[name].entitle(seats, self.total_seats)
            self._reshape(levels[name])

    def _reshape(self, level: Level) -> None:
        self._wake(level.queues.reshape(level.shape, self._clock.monotonic()))

    def rebalance(self) -> None:
        """Follow demand. What exempt levels use is not there for the others."""
        now = self._clock.monotonic()
        remaining = 0
        claims = {}
        levels = self.all_levels()
        for level in levels:
            level.queues.demand.set(level.queues.seats_in_use + level.queues.seats_waiting, now)
            level.demand.update(*level.queues.demand.read(now))
            remaining += level.nominal
        for level in levels:
            if level.exempt:
                level.limit = max(level.lowest, level.demand.highest)
                remaining -= level.limit
            else:
                claims[level.name] = level.claim
        limits, self.fair_fraction = current_limits(remaining, claims)
        for level in levels:
            if not level.exempt and level.limit != limits[level.name]:
                level.limit = limits[level.name]
                self._reshape(level)

    # -- upkeep --------------------------------------------------------------------------------------------

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
        """Keep limits in step with demand, the default objects as they should be, and the Dangling condition of every
        FlowSchema true to fact; runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_demand())
            group.create_task(self._keep_conditions())
            group.create_task(self._keep_defaults())

    async def _follow_demand(self) -> None:
        while True:
            await asyncio.sleep(REBALANCE_SECONDS)
            self.rebalance()

    async def _keep_defaults(self) -> None:
        while True:
            try:
                await upkeep.ensure(self._reader)
            except Exception:  # a store that fails for a moment must not end the upkeep
                log.exception("the default objects of flow control could not be kept up")
            await asyncio.sleep(upkeep.SECONDS)

    async def _keep_conditions(self) -> None:
        while True:
            await self._stale_event.wait()
            self._stale_event.clear()
            for schema in list(self._stale.values()):
                await self._keep_condition(schema)

    async def _keep_condition(self, schema: Object) -> None:
        updated = dangling(schema, self._levels_present(), self._clock.now())
        if updated is None or not self._may_write(schema["metadata"]["name"]):
            return
        try:
            await self._reader.update(GROUP, "flowschemas", updated, "status", manager=upkeep.CONSUMER)
        except errors.StatusError:
            pass  # changed or gone meanwhile: the next event brings it back
        except Exception:
            log.exception("the condition of a flow schema could not be written")

    def _may_write(self, name: str) -> bool:
        """Not in a fight with another server over what is true."""
        now = self._clock.monotonic()
        written = [at for at in self._written.get(name, ()) if now - at < 60]
        self._written[name] = written
        if len(written) >= UPDATES_A_MINUTE:
            asyncio.get_running_loop().call_later(60 - (now - written[0]), self._stale_event.set)
            return False
        written.append(now)
        return True
