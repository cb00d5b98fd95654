"""A store that forgets everything at the end of the process: for tests and simulations. No threads, no files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from knarr.store.errors import StoreFailed
from knarr.store.index import Index
from knarr.store.lease import Leases
from knarr.store.local import Batch, LocalStore
from knarr.world import World


class Snapshot:
    """The durable state of a store at one revision, with its history and leases; it never changes."""

    __slots__ = ("_index", "_leases", "_taken")

    def __init__(self, index: Index, leases: Leases, taken: float) -> None:
        self._index = index
        self._leases = leases
        self._taken = taken

    @property
    def revision(self) -> int:
        return self._index.revision


class MemoryStore(LocalStore):
    """A store in memory: what is committed is durable at once, as far as this process lives."""

    def __init__(
        self,
        world: World | None = None,
        *,
        snapshot: Snapshot | None = None,
        quota_bytes: int = 0,
        on_failure: Callable[[StoreFailed], None] | None = None,
    ) -> None:
        """Empty, or with the content of a snapshot. Its loop is the one it is first used on."""
        super().__init__(world, quota_bytes=quota_bytes, on_failure=on_failure)
        if snapshot is not None:
            leases = snapshot._leases.copy(snapshot._taken, self._clock.monotonic())
            self._adopt(snapshot._index.copy(), leases)

    def _continue(self) -> None:
        # In the next tick: a watch that writes in its callback must not keep the loop from going round.
        asyncio.get_running_loop().call_soon(self._flush)

    def _commit(self, batch: Batch) -> None:
        self._committed(batch, None)

    def snapshot(self) -> Snapshot:
        """What reads see now. Costs a copy of the indexes; keys and values are shared."""
        now = self._clock.monotonic()
        return Snapshot(self._index.copy(), self._leases.copy(now, now), now)

    def fork(self, world: World | None = None) -> MemoryStore:
        """An independent store with the same revision, content, history and leases; watches stay behind."""
        twin = MemoryStore(world, quota_bytes=self.quota_bytes)
        leases = self._leases.copy(self._clock.monotonic(), twin._clock.monotonic())
        twin._adopt(self._index.copy(), leases)
        return twin
