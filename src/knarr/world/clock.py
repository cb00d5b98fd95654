"""The one clock of a cluster.

Waiting is asyncio's own (`asyncio.sleep`, `asyncio.timeout`, `loop.call_later`): under virtual time the
event loop itself jumps, so those follow without knowing. What time it *is* comes only from here.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What time it is in the cluster."""

    def now(self) -> float:
        """Seconds since the Unix epoch, as the cluster sees them."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class RealClock:
    """The machine's clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class LoopClock:
    """The clock of an event loop with virtual time: `epoch` is the instant at which the loop stood at 0."""

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: float) -> None:
        self._loop = loop
        self._epoch = epoch

    def now(self) -> float:
        return self._epoch + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()
