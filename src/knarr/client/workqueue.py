"""WorkQueue: each item waits once and is worked on by one worker at a time.

An item added while it is being worked on is queued again when `done` is called, so no change is missed and no two
workers ever hold the same item. Waiting follows the event loop's clock, virtual or not.

Bound: one place per distinct item (an object's key) in each of the queue, the dirty set and the delay heap; items
are keys of existing or just deleted objects, so the number of objects bounds them. Adding never blocks or fails.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Hashable
from typing import Protocol
from weakref import WeakSet

from knarr.client.ratelimit import TokenBucket
from knarr.meta.histogram import Histogram


class ShutDown(Exception):
    """The queue was shut down and is empty: the worker's end."""


class RateLimiter(Protocol):
    """Says how long a failed item must wait."""

    def when(self, item: Hashable) -> float:
        """Seconds until the item may be tried again; counts one failure."""
        ...

    def forget(self, item: Hashable) -> None: ...

    def num_requeues(self, item: Hashable) -> int: ...


class ExponentialFailures:
    """`base_seconds * 2**failures` per item, at most `seconds_max`."""

    def __init__(self, base_seconds: float = 0.005, seconds_max: float = 1000.0) -> None:
        self._base = base_seconds
        self._max = seconds_max
        self._failures: dict[Hashable, int] = {}

    def when(self, item: Hashable) -> float:
        failures = self._failures.get(item, 0)
        self._failures[item] = failures + 1
        return min(math.ldexp(self._base, min(failures, 64)), self._max)

    def forget(self, item: Hashable) -> None:
        self._failures.pop(item, None)

    def num_requeues(self, item: Hashable) -> int:
        return self._failures.get(item, 0)


class BucketLimiter:
    """A token bucket over all items together."""

    def __init__(self, qps: float = 10.0, burst: int = 100) -> None:
        self._bucket = TokenBucket(qps, burst)

    def when(self, item: Hashable) -> float:
        return self._bucket.reserve()

    def forget(self, item: Hashable) -> None:
        """Nothing is kept per item."""

    def num_requeues(self, item: Hashable) -> int:
        return 0


class MaxOf:
    """The longest of several limiters' delays."""

    def __init__(self, *limiters: RateLimiter) -> None:
        self._limiters = limiters

    def when(self, item: Hashable) -> float:
        return max(limiter.when(item) for limiter in self._limiters)

    def forget(self, item: Hashable) -> None:
        for limiter in self._limiters:
            limiter.forget(item)

    def num_requeues(self, item: Hashable) -> int:
        return max(limiter.num_requeues(item) for limiter in self._limiters)


def default_limiter() -> RateLimiter:
    """5 ms doubling to 1,000 s per item, 10 per second with a burst of 100 over all (client-go's default)."""
    return MaxOf(ExponentialFailures(), BucketLimiter())


#: bounds of its histograms: client-go's, 10 ns to 1,000 s
SECONDS = tuple(10.0**n for n in range(-8, 4))
#: of this process, for /metrics
QUEUES: WeakSet[WorkQueue] = WeakSet()


class WorkQueue:
    """The queue of a controller. `add*` may be called from any callback on the loop."""

    def __init__(self, name: str = "", limiter: RateLimiter | None = None) -> None:
        self.name = name
        self.limiter = limiter or default_limiter()
        self._queue: deque[Hashable] = deque()
        # to be worked on, since when: everything in the queue, and what will be
        self._dirty: dict[Hashable, float] = {}
        #: being worked on, since when
        self._processing: dict[Hashable, float] = {}
        self._delayed: list[tuple[float, int, Hashable]] = []
        self._due: dict[Hashable, float] = {}  # the earliest time at which an item waits in the heap
        self._sequence = 0  # items due at the same instant keep their order
        self._timer: asyncio.Handle | None = None
        self._armed = 0.0
        self._getters: deque[asyncio.Future[None]] = deque()
        self._idle: asyncio.Event = asyncio.Event()
        self._shut_down = False
        self._loop: asyncio.AbstractEventLoop | None = None
        #: how many were added, and how many of them after a failure
        self.adds = self.retries = 0
        #: seconds that items waited, and that work on them took
        self.waited, self.worked = Histogram(SECONDS), Histogram(SECONDS)
        QUEUES.add(self)

    @property
    def depth(self) -> int:
        return len(self._queue)

    @property
    def unfinished_seconds(self) -> float:
        """How long what is being worked on has taken so far, together."""
        return sum(self._ages())

    @property
    def longest_seconds(self) -> float:
        """Of the item that has been worked on for longest."""
        return max(self._ages(), default=0.0)

    def _ages(self) -> list[float]:
        if not self._processing:
            return []
        now = self._now()
        return [now - began for began in self._processing.values()]

    def __len__(self) -> int:
        """Items that are ready to be worked on."""
        return len(self._queue)

    @property
    def waiting(self) -> int:
        """Items that become ready later."""
        return len(self._due)

    @property
    def processing(self) -> int:
        return len(self._processing)

    # -- adding ------------------------------------------------------------------------------------------

    def add(self, item: Hashable) -> None:
        """Queue it, unless it waits already; nothing happens after a shutdown."""
        if self._shut_down or item in self._dirty:
            return
        self._dirty[item] = self._now()
        self.adds += 1
        if item not in self._processing:
            self._queue.append(item)
            self._wake_one()

    def add_after(self, item: Hashable, seconds: float) -> None:
        """Queue it in so many seconds; of several times for one item the earliest counts."""
        if self._shut_down:
            return
        if seconds <= 0:
            self.add(item)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if due >= self._due.get(item, math.inf):
            return
        self._due[item] = due
        self._sequence += 1
        heapq.heappush(self._delayed, (due, self._sequence, item))
        self._arm(loop)

    def add_rate_limited(self, item: Hashable) -> None:
        """Queue it when the limiter lets it."""
        self.retries += 1
        self.add_after(item, self.limiter.when(item))

    def forget(self, item: Hashable) -> None:
        """Its failures are over; it stays queued if it is."""
        self.limiter.forget(item)

    def num_requeues(self, item: Hashable) -> int:
        return self.limiter.num_requeues(item)

    # -- working -----------------------------------------------------------------------------------------

    async def get(self) -> Hashable:
        """The item that waited longest; call `done` with it afterwards. Raises ShutDown."""
        while not self._queue:
            if self._shut_down:
                raise ShutDown(self.name)
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(future)
            try:
                await future
            except asyncio.CancelledError:
                # woken and cancelled in the same turn: hand the wake-up on, or an item would wait unseen
                if future.done() and not future.cancelled() and self._queue:
                    self._wake_one()
                raise
        return self._take()

    def try_get(self) -> Hashable | None:
        """Like `get`, but None where nothing is ready."""
        return self._take() if self._queue else None

    def done(self, item: Hashable) -> None:
        """The work is over; if the item was added meanwhile it is queued now."""
        began = self._processing.pop(item, None)
        if began:
            self.worked.observe(self._now() - began)
        if item in self._dirty:
            self._queue.append(item)
            self._wake_one()
        elif not self._processing:
            self._idle.set()

    def shut_down(self) -> None:
        """Take nothing more; workers finish what is queued, then `get` raises ShutDown. Delayed items are dropped."""
        self._shut_down = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._delayed.clear()
        self._due.clear()
        while self._getters:
            self._wake_one()

    async def shut_down_with_drain(self) -> None:
        """Shut down and wait until every item in work is done."""
        self.shut_down()
        while self._processing or self._queue:
            self._idle.clear()
            await self._idle.wait()

    # -- inside ------------------------------------------------------------------------------------------

    def _take(self) -> Hashable:
        item = self._queue.popleft()
        now = self._now()
        if added := self._dirty.pop(item, 0.0):
            self.waited.observe(now - added)
        self._processing[item] = now
        return item

    def _now(self) -> float:
        """The loop's time; 0 before there is a loop, which tells nothing about how long anything took."""
        if self._loop is None:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:
                return 0.0
        return self._loop.time()

    def _wake_one(self) -> None:
        while self._getters:
            future = self._getters.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """One timer, for the earliest item."""
        due = self._delayed[0][0]
        if self._timer is not None:
            if self._armed <= due:
                return
            self._timer.cancel()
        # uvloop's handles for the next turn do not tell when they are due
        self._armed = due
        self._timer = loop.call_at(due, self._release, loop)

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        # the loop may call a timer up to its resolution early (uvloop's is a millisecond)
        now = loop.time() + 1e-3
        while self._delayed and self._delayed[0][0] <= now:
            due, _, item = heapq.heappop(self._delayed)
            if self._due.get(item) == due:  # else it was moved forward and has been released already
                del self._due[item]
                self.add(item)
        if self._delayed:
            self._arm(loop)
