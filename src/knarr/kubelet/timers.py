"""Many timers at the price of one: a heap, and a single wake-up of the event loop for the earliest."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any


class Timers:
    """Calls functions later, in the order of their times; those of one instant in the order of their arming.

    There is no cancelling: what a call finds changed it must notice itself.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0
        self._handle: asyncio.Handle | None = None
        #: for when; uvloop's handles for the next turn do not tell
        self._armed = 0.0

    def after(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + max(seconds, 0.0)
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, function, args))
        if self._handle is None or due < self._armed:
            self._arm(loop)

    def stop(self) -> None:
        """Forget everything."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed = self._heap[0][0]
        self._handle = loop.call_at(self._armed, self._fire, loop)

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = None
        # the loop may call up to its resolution early
        now = loop.time() + 1e-3
        try:
            while self._heap and self._heap[0][0] <= now:
                _, _, function, args = heapq.heappop(self._heap)
                function(*args)
        finally:
            if self._heap and self._handle is None:
                self._arm(loop)
