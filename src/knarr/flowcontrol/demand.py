"""How many seats a level wanted lately: what limits follow (KEP-1040, "seat demand")."""

from __future__ import annotations

from math import sqrt

#: how slowly what was wanted before fades, per adjustment
KEPT = 0.977


class Meter:
    """Integrates a number that changes now and then. `set` tells the new one, `read` gives the time since the last
    reading as (average, deviation, highest) and begins anew."""

    __slots__ = ("_began", "_now", "_squares", "_sum", "highest", "value")

    def __init__(self, now: float) -> None:
        self._began = self._now = now
        self._sum = self._squares = 0.0
        self.value = self.highest = 0

    def set(self, value: int, now: float) -> None:
        elapsed = now - self._now
        if elapsed > 0:
            self._now = now
            if self.value:
                self._sum += self.value * elapsed
                self._squares += self.value * self.value * elapsed
        self.value = value
        if value > self.highest:
            self.highest = value

    def read(self, now: float) -> tuple[float, float, int]:
        self.set(self.value, now)
        elapsed, highest = now - self._began, self.highest
        average = self._sum / elapsed if elapsed > 0 else float(self.value)
        variance = self._squares / elapsed - average * average if elapsed > 0 else 0.0
        self._began, self._sum, self._squares, self.highest = now, 0.0, 0.0, self.value
        return average, sqrt(max(0.0, variance)), highest


class Demand:
    """What a level wanted, smoothed: it rises at once and falls slowly."""

    __slots__ = ("average", "deviation", "highest", "smoothed")

    def __init__(self) -> None:
        self.average = self.deviation = self.smoothed = 0.0
        self.highest = 0

    def update(self, average: float, deviation: float, highest: int) -> None:
        self.average, self.deviation, self.highest = average, deviation, highest
        envelope = average + deviation
        self.smoothed = max(envelope, KEPT * self.smoothed + (1 - KEPT) * envelope)
