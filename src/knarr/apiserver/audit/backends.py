"""Where audit events go. A backend's `send` says whether they arrived: at once, or when what it gives is awaited."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import orjson

from knarr.apiserver.audit import legacy
from knarr.apiserver.audit.event import Event
from knarr.apiserver.audit.options import AuditError, Batching, LogOptions, Truncating, WebhookOptions
from knarr.client.kubeconfig import Access
from knarr.world import World

log = logging.getLogger("knarr.audit")

#: how often a batch is offered to a webhook, and how much longer each pause is than the last
SEND_TRIES = 5
BACKOFF_FACTOR, BACKOFF_JITTER = 1.5, 0.2
#: how long a stopping server waits for a webhook to take what is left
DRAIN_SECONDS = 10.0

Sent = bool | Awaitable[bool]


class Backend(Protocol):
    def send(self, events: list[Event]) -> Sent: ...

    async def close(self) -> None: ...


class Failures:
    """Counts events that were lost, by the backend that lost them, and logs them."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def report(self, plugin: str, error: object, events: Iterable[Event]) -> None:
        events = list(events)
        self.counts[plugin] = self.counts.get(plugin, 0) + len(events)
        shown = "\n".join(map(legacy.line, events))
        log.error(
            "Error in audit plugin '%s' affecting %d audit events: %s\nImpacted events:\n%s",
            plugin,
            len(events),
            error,
            shown,
        )


class Log:
    """One line for each event."""

    def __init__(self, sink: Any, format: str, failures: Failures) -> None:
        self._sink, self._failures = sink, failures
        self._line: Callable[[Event], bytes] = (
            orjson.dumps if format == "json" else lambda event: legacy.line(event).encode()
        )

    def send(self, events: list[Event]) -> bool:
        ok = True
        for event in events:
            try:
                self._sink.write(self._line(event) + b"\n")
            except OSError as error:
                self._failures.report("log", error, [event])
                ok = False
        return ok

    async def close(self) -> None:
        self._sink.close()


class Webhook:
    """An EventList is posted to the server of a kubeconfig; any failure is a reason to try again."""

    def __init__(self, access: Access, options: WebhookOptions, failures: Failures, world: World) -> None:
        from knarr.client.http import HTTP

        self._http = HTTP(access, "kube-apiserver", world)
        self._options, self._failures, self._chance = options, failures, world.chance

    async def send(self, events: list[Event]) -> bool:
        body = event_list(events)
        pause = self._options.initial_backoff_seconds
        for attempt in range(1, SEND_TRIES + 1):
            try:
                await self._http.post("", body, {"timeout": "30s"})
                return True
            except Exception as error:
                if attempt == SEND_TRIES:
                    self._failures.report("webhook", error, events)
                    return False
            await asyncio.sleep(self._chance.jitter(pause, BACKOFF_JITTER))
            pause *= BACKOFF_FACTOR
        return False

    async def close(self) -> None:
        await self._http.close()


def event_list(events: list[Event]) -> bytes:
    """Items of a list do not repeat their kind."""
    items = [{k: v for k, v in event.items() if k not in ("kind", "apiVersion")} for event in events]
    return orjson.dumps(
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items}
    )


class IgnoringErrors:
    """Mode `blocking`: the request waits for its event, and goes on whether it was written or not."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    def send(self, events: list[Event]) -> Sent:
        sent = self._inner.send(events)
        return True if isinstance(sent, bool) else _waited(sent)

    async def close(self) -> None:
        await self._inner.close()


async def _waited(sent: Awaitable[bool]) -> bool:
    await sent
    return True


class Truncated:
    """Large events lose their objects, too large ones are dropped, large batches are split."""

    def __init__(self, inner: Backend, limits: Truncating, failures: Failures) -> None:
        self._inner, self._limits, self._failures = inner, limits, failures

    def send(self, events: list[Event]) -> Sent:
        batches, lost = self._split(events)
        if lost:
            self._failures.report("truncate", "event is too large even after truncating", lost)
        waits: list[Awaitable[bool]] = []
        ok = True
        for batch in batches:
            sent = self._inner.send(batch)
            if isinstance(sent, bool):
                ok = sent and ok
            else:
                waits.append(sent)
        return _all(waits, ok) if waits else ok

    def _split(self, events: list[Event]) -> tuple[list[list[Event]], list[Event]]:
        batches: list[list[Event]] = [[]]
        lost: list[Event] = []
        filled = 0
        for event in events:
            size = len(orjson.dumps(event))
            if size > self._limits.max_event_bytes and event["level"] in ("Request", "RequestResponse"):
                event = without_objects(event)
                size = len(orjson.dumps(event))
            if size > self._limits.max_event_bytes:
                lost.append(event)
                continue
            if batches[-1] and filled + size > self._limits.max_batch_bytes:
                batches.append([])
                filled = 0
            batches[-1].append(event)
            filled += size
        return [batch for batch in batches if batch], lost

    async def close(self) -> None:
        await self._inner.close()


async def _all(waits: list[Awaitable[bool]], ok: bool) -> bool:
    for sent in waits:
        ok = await sent and ok
    return ok


def without_objects(event: Event) -> Event:
    """What tells of an event that it was cut."""
    kept = {k: v for k, v in event.items() if k not in ("requestObject", "responseObject", "annotations")}
    return {**kept, "annotations": {**event.get("annotations", {}), "audit.k8s.io/truncated": "true"}}


class Buffered:
    """Mode `batch`: events are collected and sent behind the request's back.

    A batch goes out when it is full or has waited long enough, at most so many per second. Bound: `buffer_size`
    events; those that come while it is full are lost, and counted.
    """

    def __init__(self, inner: Backend, batching: Batching, failures: Failures, world: World) -> None:
        self._inner, self._batching, self._failures, self._world = inner, batching, failures, world
        self._waiting: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Future[bool]] = set()
        self._closed = False
        self._tokens, self._counted = float(batching.burst), world.clock.monotonic()

    def send(self, events: list[Event]) -> bool:
        if self._closed:
            self._failures.report("buffered", "audit backend shut down", events)
            return False
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        for number, event in enumerate(events):
            if len(self._waiting) >= self._batching.buffer_size:
                self._failures.report("buffered", "audit buffer queue blocked", events[number:])
                return True
            self._waiting.append(event)
        if len(self._waiting) >= self._batching.max_size:
            self._wake.set()
        return True

    async def _work(self) -> None:
        while not self._closed:
            await self._ripe()
            await self._ship()

    async def _ripe(self) -> None:
        """Until a batch is full, or the time is up."""
        if len(self._waiting) >= self._batching.max_size:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(self._batching.max_wait_seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _ship(self) -> None:
        count = min(len(self._waiting), self._batching.max_size)
        if not count:
            return
        batch = [self._waiting.popleft() for _ in range(count)]
        await self._throttle()
        sent = self._inner.send(batch)
        if not isinstance(sent, bool):
            task = asyncio.ensure_future(sent)
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _throttle(self) -> None:
        """A bucket of tokens: one for each batch."""
        if not self._batching.throttle:
            return
        while True:
            now = self._world.clock.monotonic()
            grown = self._tokens + (now - self._counted) * self._batching.qps
            self._tokens, self._counted = min(float(self._batching.burst), grown), now
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await asyncio.sleep((1 - self._tokens) / self._batching.qps)

    async def close(self) -> None:
        """What is waiting is sent first, for a while."""
        self._closed = True
        if self._worker is not None:
            self._wake.set()
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._waiting:
                    await self._ship()
                await asyncio.gather(*self._sending, return_exceptions=True)
        except TimeoutError:
            self._failures.report("buffered", "the server stopped", self._waiting)
        await self._inner.close()


class Union:
    """Several backends: each gets every event, and an event has arrived when it has arrived everywhere."""

    def __init__(self, backends: list[Backend]) -> None:
        self._backends = backends

    def send(self, events: list[Event]) -> Sent:
        ok, waits = True, []
        for backend in self._backends:
            sent = backend.send(events)
            if isinstance(sent, bool):
                ok = sent and ok
            else:
                waits.append(sent)
        return _together(waits, ok) if waits else ok

    async def close(self) -> None:
        for backend in self._backends:
            await backend.close()


async def _together(waits: list[Awaitable[bool]], ok: bool) -> bool:
    return all(await asyncio.gather(*waits)) and ok


# -- putting them together --------------------------------------------------------------------------------------


def log_backend(options: LogOptions, failures: Failures, world: World) -> Backend:
    """Raises AuditError for a file that cannot be written."""
    from knarr.apiserver.audit.logfile import LogFile, StandardOutput

    sink: Any = StandardOutput()
    if options.path != "-":
        o = options
        sink = LogFile(o.path, world.clock, o.max_size, o.max_backups, o.max_age, o.compress)
        try:
            sink.write(b"")
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise AuditError(f"ensureLogFile: open {o.path}: {why}") from None
    inner = _in_mode(Log(sink, options.format, failures), options.mode, options.batching, failures, world)
    return Truncated(inner, options.truncating, failures) if options.truncating.enabled else inner


def webhook_backend(options: WebhookOptions, failures: Failures, world: World) -> Backend:
    """Raises KubeconfigError."""
    from knarr.client import kubeconfig

    access = kubeconfig.load(options.config_file)
    webhook = Webhook(access, options, failures, world)
    inner = _in_mode(webhook, options.mode, options.batching, failures, world)
    return Truncated(inner, options.truncating, failures) if options.truncating.enabled else inner


def _in_mode(backend: Backend, mode: str, batching: Batching, failures: Failures, world: World) -> Backend:
    if mode == "batch":
        return Buffered(backend, batching, failures, world)
    return IgnoringErrors(backend) if mode == "blocking" else backend
