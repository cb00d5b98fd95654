"""Token buckets on the event loop's clock (virtual or not)."""

from __future__ import annotations

import asyncio


class TokenBucket:
    """`qps` tokens a second, at most `burst` saved up; reservations may run ahead, callers then wait longer."""

    def __init__(self, qps: float, burst: int) -> None:
        self._qps = qps
        self._burst = burst
        self._tokens = float(burst)
        self._at: float | None = None

    def reserve(self) -> float:
        """Take a token and say how many seconds from now it is due (0.0: at once)."""
        self._refill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._qps)

    def try_take(self) -> bool:
        """Take a token if there is one."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def wait(self) -> None:
        """Return when a token is due; callers are served in the order of their calls."""
        if seconds := self.reserve():
            await asyncio.sleep(seconds)

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps)
        self._at = now
