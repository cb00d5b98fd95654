"""Event loops: the machine's (uvloop where it is installed) and one whose time jumps to the next deadline."""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
#: how long a skip waits for calls to somebody outside before time passes all the same
REAL_IO_SECONDS_MAX = 30.0


class Deadlock(RuntimeError):
    """Nothing is ready and nothing has a deadline: the simulated world can never go on."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where select would sleep, the loop's clock moves instead.

    File descriptors still work (`wait_for_io` turns jumping off while real I/O is expected).
    """

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        if self.loop.real_io:
            return super().select(timeout)
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Deadlock("deadlock: no task is ready and none has a deadline")
        self.loop.advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time: an hour of sleeps takes milliseconds, in a repeatable order."""

    def __init__(self) -> None:
        self._now = 0.0
        #: how many parts wait for something outside (a thread, a socket); while any does, time is real
        self.real_io = 0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now += seconds


@contextmanager
def real_io() -> Iterator[None]:
    """Around a call to somebody outside this process: a loop whose clock jumps waits for it."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop | SkippingLoop):
        yield
        return
    loop.real_io += 1
    try:
        yield
    finally:
        loop.real_io -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to completion on the fastest loop this machine has."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


class SkippingLoop(asyncio.SelectorEventLoop):
    """Real sockets, and a clock that runs with the machine's but can be made to skip ahead.

    `skip` meets every deadline on the way in its order, so an hour of a cluster's life passes in milliseconds while
    real clients are connected. `frozen` stops the clock between skips.
    """

    def __init__(self, frozen: bool = False) -> None:
        self._offset = 0.0
        self._origin = 0.0
        self.frozen = frozen
        #: how many calls to somebody outside are under way
        self.real_io = 0
        super().__init__()
        self._origin = super().time()

    def time(self) -> float:
        return self._offset if self.frozen else super().time() - self._origin + self._offset

    async def skip(self, seconds: float) -> None:
        """Let `seconds` pass; returns when everything that was due by then has been done.

        Called from a task of this loop. What waits for a thread or a socket is not waited for, but for calls to
        webhooks (`real_io`): their answer belongs to the moment they were made in.
        """
        target = self.time() + seconds
        await self._settle()
        while (deadline := self._next_deadline()) is not None and deadline <= target:
            self._offset += max(deadline - self.time(), 0.0)
            await self._settle()
        self._offset += max(target - self.time(), 0.0)
        await self._settle()

    async def _settle(self) -> None:
        """Run what is ready, and what that makes ready, until only timers and sockets are left."""
        patience = super().time() + REAL_IO_SECONDS_MAX
        await asyncio.sleep(0)
        while True:
            while self._ready:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not self.real_io or super().time() > patience:
                return

    def _next_deadline(self) -> float | None:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0].cancelled():
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        return scheduled[0].when() if scheduled else None
