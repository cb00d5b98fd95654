"""Which leases there are, when they end, and which keys go with them. No timers here: time is an argument."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from knarr.store.base import Lease
from knarr.store.errors import LeaseExists, LeaseNotFound


class _Held:
    """One lease; `keys` is a dict because its order is repeatable."""

    __slots__ = ("expires", "keys", "ttl")

    def __init__(self, ttl: float, expires: float) -> None:
        self.ttl = ttl
        self.expires = expires
        self.keys: dict[bytes, None] = {}


class Leases:
    """All leases of a store; `now` is the clock's monotonic seconds."""

    __slots__ = ("_deadlines", "_held", "_last")

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        #: (expires, id); an entry that a keepalive made stale is moved when it comes up
        self._deadlines: list[tuple[float, int]] = []
        self._last = 0

    def __contains__(self, id: int) -> bool:
        return id in self._held

    def __len__(self) -> int:
        return len(self._held)

    def choose_id(self) -> int:
        """An id that was never used in the life of this object and is not in use."""
        self._last += 1
        while self._last in self._held:
            self._last += 1
        return self._last

    def grant(self, id: int, ttl: float, now: float) -> None:
        if id in self._held:
            raise LeaseExists()
        self._held[id] = _Held(ttl, now + ttl)
        self._last = max(self._last, id) if id < 1 << 32 else self._last
        heapq.heappush(self._deadlines, (now + ttl, id))

    def keepalive(self, id: int, now: float) -> float:
        held = self._find(id)
        held.expires = now + held.ttl
        return held.ttl

    def revoke(self, id: int) -> list[bytes]:
        """Forget a lease; the keys to delete, in key order."""
        held = self._find(id)
        del self._held[id]
        return sorted(held.keys)

    def move(self, key: bytes, old: int, new: int) -> None:
        """A key was written: it now goes with lease `new` (0: none) instead of `old`."""
        if old and (held := self._held.get(old)) is not None:
            held.keys.pop(key, None)
        if new:
            self._find(new).keys[key] = None

    def next_deadline(self) -> float | None:
        """When to ask `expired` again. May be early, never late."""
        return self._deadlines[0][0] if self._deadlines else None

    def expired(self, now: float) -> list[int]:
        """The leases whose time is up, the earliest first; they stay until they are revoked."""
        due: list[int] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, id = heapq.heappop(self._deadlines)
            held = self._held.get(id)
            if held is None:
                continue
            if held.expires > now:
                heapq.heappush(self._deadlines, (held.expires, id))
            else:
                due.append(id)
        return due

    def list(self, now: float) -> list[Lease]:
        return [
            Lease(id, held.ttl, max(0.0, held.expires - now), tuple(sorted(held.keys)))
            for id, held in sorted(self._held.items())
        ]

    def rows(self) -> Iterator[tuple[int, float]]:
        """(id, ttl) of every lease."""
        return ((id, held.ttl) for id, held in self._held.items())

    def _find(self, id: int) -> _Held:
        held = self._held.get(id)
        if held is None:
            raise LeaseNotFound()
        return held

    def copy(self, then: float, now: float) -> Leases:
        """The same leases with the same time left, on a clock that shows `now` where this one's showed `then`."""
        other = Leases()
        other._last = self._last
        for id, held in self._held.items():
            twin = _Held(held.ttl, held.expires - then + now)
            twin.keys = held.keys.copy()
            other._held[id] = twin
            other._deadlines.append((twin.expires, id))
        heapq.heapify(other._deadlines)
        return other
