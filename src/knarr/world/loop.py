"""Event loops: the machine's (uvloop where it is installed) and one whose time jumps to the next deadline."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


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


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to completion on the fastest loop this machine has."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
