"""Events: what a component tells people about an object, without flooding the API with it.

`EventRecorder` writes core/v1 Events through client-go's three filters: like events are counted up by a patch,
similar ones (same but for the message) are combined from the tenth in ten minutes on, and a source that talks
about one object too much is cut to 25 at once and one in five minutes. `SeriesRecorder` writes the
events.k8s.io/v1 form of the scheduler, where repetition is a series.

Recording never waits: events go through a queue of 1,000; what does not fit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from knarr.client.client import Client, is_already_exists, is_not_found, namespace_terminating
from knarr.client.codec import built_in
from knarr.client.objects import object_reference
from knarr.client.ratelimit import TokenBucket
from knarr.meta import times
from knarr.meta.errors import StatusError

log = logging.getLogger(__name__)

QUEUE_EVENTS_MAX = 1_000
CACHE_EVENTS_MAX = 4_096
SIMILAR_MAX, SIMILAR_SECONDS = 10, 600.0
SPAM_BURST, SPAM_QPS = 25, 1 / 300
TRIES_MAX, RETRY_SECONDS = 12, 10.0
COMBINED = "(combined from similar events): "
SERIES_END_SECONDS, SERIES_REFRESH_SECONDS = 360.0, 1800.0

V = TypeVar("V")
Event = dict[str, Any]


class LRU(Generic[V]):
    """The most recently used `size_max` values."""

    def __init__(self, size_max: int = CACHE_EVENTS_MAX) -> None:
        self._items: OrderedDict[Hashable, V] = OrderedDict()
        self._max = size_max

    def get(self, key: Hashable) -> V | None:
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: Hashable, value: V) -> V:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._max:
            self._items.popitem(last=False)
        return value

    def pop(self, key: Hashable) -> None:
        self._items.pop(key, None)

    def items(self) -> list[tuple[Hashable, V]]:
        return list(self._items.items())


# -- deciding -------------------------------------------------------------------------------------------------


class Similar(NamedTuple):
    """Messages seen lately that differ in nothing else."""

    messages: dict[str, None]
    last: float


class Logged(NamedTuple):
    """What the API holds of an event."""

    name: str
    count: int
    first: str


class Correlated(NamedTuple):
    """What to do with an event: count an existing one up by `patch`, or create it."""

    event: Event
    key: Hashable
    patch: Event | None


class EventCorrelator:
    """Aggregates, counts and filters; knows no API. `now` is epoch seconds."""

    def __init__(self) -> None:
        self._similar: LRU[Similar] = LRU()
        self._logged: LRU[Logged] = LRU()
        self._spam: LRU[TokenBucket] = LRU()

    def correlate(self, event: Event, now: float) -> Correlated | None:
        """None: drop it. Returns the event as it should stand in the API."""
        event, key = self._aggregate(event, now)
        patch = None
        if (logged := self._logged.get(key)) is not None:
            event = {
                **event,
                "metadata": {**event["metadata"], "name": logged.name},
                "firstTimestamp": logged.first,
                "count": logged.count + 1,
            }
            patch = {name: event[name] for name in ("count", "lastTimestamp", "message")}
        self.remember(event, key)
        if not self._may_speak(event):
            return None
        return Correlated(event, key, patch)

    def remember(self, event: Event, key: Hashable) -> None:
        """This is what the API holds now."""
        self._logged.put(key, Logged(event["metadata"]["name"], event["count"], event["firstTimestamp"]))

    def _aggregate(self, event: Event, now: float) -> tuple[Event, Hashable]:
        group = _similarity(event)
        similar = self._similar.get(group)
        if similar is None or now - similar.last > SIMILAR_SECONDS:
            similar = Similar({}, now)
        similar.messages[event["message"]] = None
        self._similar.put(group, Similar(similar.messages, now))
        if len(similar.messages) < SIMILAR_MAX:
            return event, (*group, event["involvedObject"].get("fieldPath", ""), event["message"])
        # one leaves for each that comes, so the next new message is combined too
        similar.messages.pop(next(iter(similar.messages)))
        combined = {
            **event,
            "message": COMBINED + event["message"],
            "firstTimestamp": event["lastTimestamp"],
            "count": 1,
        }
        return combined, group

    def _may_speak(self, event: Event) -> bool:
        key = (*_source(event), *_involved(event))
        bucket = self._spam.get(key) or self._spam.put(key, TokenBucket(SPAM_QPS, SPAM_BURST))
        return bucket.try_take()


def _source(event: Event) -> tuple[str, ...]:
    source = event.get("source", {})
    return source.get("component", ""), source.get("host", "")


def _involved(event: Event) -> tuple[str, ...]:
    about = event["involvedObject"]
    return tuple(
        about.get(name, "") for name in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
    )


def _similarity(event: Event) -> tuple[str, ...]:
    return (
        *_source(event),
        *_involved(event),
        event["type"],
        event["reason"],
        event["reportingComponent"],
        event["reportingInstance"],
    )


# -- acting ---------------------------------------------------------------------------------------------------


class _Outbox(Generic[V]):
    """A bounded queue and the tasks that empty it; they live only while there is something to send."""

    def __init__(self, send: Any, name: str, events_max: int = QUEUE_EVENTS_MAX, parallel: int = 1) -> None:
        self._send = send
        self._name = name
        self._events_max = events_max
        self._parallel = parallel
        self._queue: deque[V] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0

    def put(self, item: V) -> None:
        if len(self._queue) >= self._events_max:
            self.dropped += 1
            return
        self._queue.append(item)
        if len(self._tasks) < self._parallel:
            self._tasks.add(asyncio.get_running_loop().create_task(self._run(), name=self._name))

    async def _run(self) -> None:
        try:
            while self._queue:
                try:
                    await self._send(self._queue.popleft())
                except Exception:
                    log.exception("%s: an event was lost", self._name)
        finally:
            # between the last look at the queue and here nothing awaits, so nothing is stranded
            self._tasks.discard(asyncio.current_task())  # type: ignore[arg-type]

    async def flush(self) -> None:
        """Until everything put so far was sent or given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Drop what waits."""
        self._queue.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()  # a task that is cancelled before its first step never comes to clean up


class EventRecorder:
    """Writes core/v1 Events of one component (`host`: the node it runs on, if it belongs to one)."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._component = component
        self._host = host
        self._resource = built_in("v1", "Event")
        self._correlator = EventCorrelator()
        self._outbox: _Outbox[Event] = _Outbox(self._record, f"events of {component}")

    @property
    def dropped(self) -> int:
        """Events that found the queue full."""
        return self._outbox.dropped

    def event(
        self,
        obj: Any,
        type_: str,
        reason: str,
        message: str,
        field_path: str = "",
        annotations: dict[str, str] | None = None,
    ) -> None:
        """Tell of `obj` (a Struct, a dict, or an ObjectReference dict); `type_`: Normal or Warning. Never waits."""
        about = reference(obj)
        if field_path:
            about["fieldPath"] = field_path
        now = self._client.world.clock.now()
        stamp = times.format(now)
        metadata: dict[str, Any] = {
            "name": event_name(self._client, about["name"], now),
            "namespace": about.get("namespace") or "default",
        }
        if annotations:
            metadata["annotations"] = annotations
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        self._outbox.put(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": metadata,
                "involvedObject": about,
                "reason": reason,
                "message": message,
                "source": source,
                "firstTimestamp": stamp,
                "lastTimestamp": stamp,
                "count": 1,
                "type": type_,
                "reportingComponent": self._component,
                "reportingInstance": self._host,
            }
        )

    async def flush(self) -> None:
        """Until everything recorded so far was sent or given up."""
        await self._outbox.flush()

    async def stop(self) -> None:
        await self._outbox.stop()

    async def _record(self, event: Event) -> None:
        todo = self._correlator.correlate(event, self._client.world.clock.now())
        if todo is None:
            return
        for attempt in range(TRIES_MAX):
            try:
                self._correlator.remember(await self._write(todo), todo.key)
                return
            except StatusError as error:
                if not _worth_retrying(error):
                    _explain(self._component, error)
                    return
            await asyncio.sleep(RETRY_SECONDS * (self._client.world.chance.random() if attempt == 0 else 1))
        log.error("events of %s: given up after %d tries: %s", self._component, TRIES_MAX, event["message"])

    async def _write(self, todo: Correlated) -> Event:
        """Count up, or create; an event that has expired meanwhile is created anew."""
        event = todo.event
        metadata = event["metadata"]
        if todo.patch is not None:
            try:
                return await self._client.patch(
                    self._resource, metadata["name"], metadata["namespace"], todo.patch, "strategic"
                )
            except StatusError as error:
                if not is_not_found(error):
                    raise
        return await self._client.create(event, self._resource)


class SeriesRecorder:
    """Writes events.k8s.io/v1 Events: `reportingController` is who acts, `action` what was tried.

    The second alike event turns the first into a series; further ones are only counted here, and written when
    the series ends (6 minutes of silence) or every 30 minutes.

    `parallel` events are written at a time and up to `events_max` wait; more are dropped.
    """

    def __init__(
        self,
        client: Client,
        controller: str,
        instance: str,
        events_max: int = QUEUE_EVENTS_MAX,
        parallel: int = 1,
    ) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._resource = built_in("events.k8s.io/v1", "Event")
        self._known: LRU[Event] = LRU()
        self._outbox: _Outbox[tuple[Hashable, Event]] = _Outbox(
            self._write, f"events of {controller}", events_max, parallel
        )
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def dropped(self) -> int:
        return self._outbox.dropped

    def event(self, obj: Any, type_: str, reason: str, action: str, note: str, related: Any = None) -> None:
        """Tell of `obj`; never waits."""
        regarding = reference(obj)
        key = (
            type_,
            action,
            reason,
            *(
                regarding.get(name, "")
                for name in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
            ),
            tuple(reference(related).values()) if related is not None else (),
        )
        now = self._client.world.clock.now()
        if (known := self._known.get(key)) is not None:
            series = known.get("series")
            if series is not None:
                series["count"] += 1
                series["lastObservedTime"] = times.format_micro(now)
                return
            known["series"] = {"count": 2, "lastObservedTime": times.format_micro(now)}
            self._outbox.put((key, known))
            return
        event: Event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": event_name(self._client, regarding["name"], now),
                "namespace": regarding.get("namespace") or "default",
            },
            "eventTime": times.format_micro(now),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": action,
            "reason": reason,
            "regarding": regarding,
            "note": note,
            "type": type_,
        }
        if related is not None:
            event["related"] = reference(related)
        self._known.put(key, event)
        self._outbox.put((key, event))

    def start(self) -> None:
        """Begin to end and refresh series; without it they are only begun."""
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(
                self._sweep(), name=f"series of {self._controller}"
            )

    async def flush(self) -> None:
        await self._outbox.flush()

    async def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._outbox.stop()

    async def _sweep(self) -> None:
        refresh_at = SERIES_REFRESH_SECONDS
        elapsed = 0.0
        while True:
            await asyncio.sleep(SERIES_END_SECONDS)
            elapsed += SERIES_END_SECONDS
            refresh = elapsed >= refresh_at
            if refresh:
                refresh_at += SERIES_REFRESH_SECONDS
            self._end_series(self._client.world.clock.now(), refresh)

    def _end_series(self, now: float, refresh: bool) -> None:
        """Write out the series that are over and forget all that are quiet; on `refresh` write the others too."""
        for key, event in self._known.items():
            series = event.get("series")
            last = times.parse(series["lastObservedTime"] if series else event["eventTime"])
            quiet = now - last > SERIES_END_SECONDS
            if series is not None and (quiet or refresh):
                self._outbox.put((key, event))
            if quiet:
                self._known.pop(key)

    async def _write(self, item: tuple[Hashable, Event]) -> None:
        key, event = item
        for attempt in range(TRIES_MAX):
            try:
                await self._send(event)
                return
            except StatusError as error:
                if not _worth_retrying(error):
                    _explain(self._controller, error)
                    self._known.pop(key)
                    return
            await asyncio.sleep(RETRY_SECONDS * (self._client.world.chance.random() if attempt == 0 else 1))
        log.error("events of %s: given up after %d tries: %s", self._controller, TRIES_MAX, event["note"])

    async def _send(self, event: Event) -> None:
        metadata = event["metadata"]
        if event.get("series") is not None:
            try:
                await self._client.patch(
                    self._resource,
                    metadata["name"],
                    metadata["namespace"],
                    {"series": event["series"]},
                    "merge",
                )
                return
            except StatusError as error:
                if not is_not_found(error):
                    raise
        await self._client.create(event, self._resource)


def reference(obj: Any) -> dict[str, Any]:
    """An ObjectReference to `obj`, or a copy of the one it is."""
    if type(obj) is dict and "metadata" not in obj:
        return dict(obj)
    return object_reference(obj)


def event_name(client: Client, about: str, now: float) -> str:
    """`<object>.<nanoseconds in hex>`.

    The clock's float is coarser than a microsecond and virtual time may stand still while much happens: the last
    microsecond is drawn by lot, so that two events of one instant have two names.
    """
    return f"{about}.{int(now * 1e6) * 1000 + client.world.chance.randrange(1000):x}"


def _worth_retrying(error: StatusError) -> bool:
    """The server did not answer, or not now; a refusal will not change."""
    return error.code in (429, 503, 504)


def _explain(component: str, error: StatusError) -> None:
    if is_already_exists(error) or namespace_terminating(error):
        log.debug("events of %s: refused: %s", component, error)
    else:
        log.error("events of %s: refused: %s", component, error)
