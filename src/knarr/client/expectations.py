"""Expectations: what a controller asked for and has not yet seen in its informer.

Without them a controller whose cache lags would create the same pods again. A key is settled when everything
expected was seen, or after 5 minutes: a lost event must not stop a controller for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable

TIMEOUT_SECONDS = 300.0


class Expected:
    """What one pass of a controller waits for; reports what will not come."""

    __slots__ = ("creates", "deletes", "since")

    def __init__(self, creates: int, deletes: Iterable[str], since: float) -> None:
        self.creates = creates
        self.deletes = dict.fromkeys(deletes)
        self.since = since

    @property
    def fulfilled(self) -> bool:
        return self.creates <= 0 and not self.deletes


class Expectations:
    """Per key: how many creations and which deletions (by uid) are still to be seen.

    Order matters twice. `expect` before the first call is awaited: in one process the event arrives before the
    call returns. `met` before the cache is read: an event that arrives during an await must not settle a list
    that was taken without it.
    """

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._expected: dict[Hashable, Expected] = {}

    def expect(self, key: Hashable, creates: int = 0, deletes: Iterable[str] = ()) -> None:
        """Wait for these; replaces what was expected before (which was met, or timed out)."""
        self._expected[key] = Expected(creates, deletes, asyncio.get_running_loop().time())

    def raise_by(self, key: Hashable, creates: int) -> None:
        """Wait for some more creations."""
        if (expected := self._expected.get(key)) is not None:
            expected.creates += creates
        else:
            self.expect(key, creates)

    def created(self, key: Hashable, count: int = 1) -> None:
        """Seen in the informer, or given up: a call failed or was never made."""
        if (expected := self._expected.get(key)) is not None:
            expected.creates -= count

    def deleted(self, key: Hashable, uid: str) -> None:
        """Seen gone or going (deletionTimestamp), or given up. Counts once however often it is told."""
        if (expected := self._expected.get(key)) is not None:
            expected.deletes.pop(uid, None)

    def met(self, key: Hashable) -> bool:
        """True where nothing is outstanding, or waiting has lasted too long."""
        expected = self._expected.get(key)
        if expected is None or expected.fulfilled:
            return True
        return asyncio.get_running_loop().time() - expected.since > self._timeout

    def forget(self, key: Hashable) -> None:
        """The owner is gone."""
        self._expected.pop(key, None)

    def of(self, key: Hashable) -> Expected | None:
        return self._expected.get(key)
