"""Crash loops: how long a container that keeps ending must wait before it runs again."""

from __future__ import annotations

from dataclasses import dataclass

BACKOFF_SECONDS, BACKOFF_SECONDS_MAX = 10.0, 300.0
#: so long without an end, and the next one counts as the first again
RESET_SECONDS = 2 * BACKOFF_SECONDS_MAX


@dataclass(slots=True)
class Backoff:
    """The delay of one container; `updated` is when it was last lengthened."""

    seconds: float = 0.0
    updated: float = 0.0

    def remaining(self, finished_at: float, now: float) -> float:
        """Seconds until a run that ended at `finished_at` may be followed by another; 0 where it may now."""
        if self.seconds == 0 or finished_at - self.updated > RESET_SECONDS:
            return 0.0
        return max(0.0, finished_at + self.seconds - now)

    def lengthen(self, finished_at: float, now: float) -> None:
        """A restart happens: 10 s, then the double each time, at most 5 minutes; 10 quiet minutes start over."""
        if self.seconds == 0 or finished_at - self.updated > RESET_SECONDS:
            self.seconds = BACKOFF_SECONDS
        else:
            self.seconds = min(self.seconds * 2, BACKOFF_SECONDS_MAX)
        self.updated = now
