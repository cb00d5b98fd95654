"""How long those who are sent away are asked to stay away: longer while many are."""

from __future__ import annotations

SECONDS_MAX = 32


class RetryAfter:
    """Of one level. In whole seconds of the clock, as the header is."""

    __slots__ = ("_count", "_history", "_raised", "_second", "seconds")

    def __init__(self) -> None:
        self.seconds = 1
        self._history: list[tuple[int, int]] = []
        self._second = self._count = self._raised = 0

    def dropped(self, now: float) -> int:
        """Another request is sent away; what to tell it."""
        second = int(now)
        if second == self._second:
            self._count += 1
            return self.seconds
        self._history = [h for h in self._history if self._second - h[0] <= SECONDS_MAX]
        self._history.append((self._second, self._count))
        self._second, self._count = second, 1
        self._adjust(second)
        return self.seconds

    def _adjust(self, second: int) -> None:
        """Three a second for as long as they were told to stay away doubles it; less than one takes a second off."""
        seconds = self.seconds
        lately = sum(count for at, count in self._history if 0 < second - at <= seconds)
        if second - self._raised >= seconds and lately >= 3 * seconds:
            self.seconds, self._raised = min(2 * seconds, SECONDS_MAX), second
        elif lately < seconds and seconds > 1:
            self.seconds -= 1
