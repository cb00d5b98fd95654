"""The default store: state in memory, every batch durable in a SQLite file before anybody sees it.

The loop decides writes and answers reads; one thread commits. While it waits for the disk, the next batch gathers.
Measured choices (page size, one table, no second index) are in docs/decisions.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from knarr.store.base import KV, Event
from knarr.store.database import Database
from knarr.store.errors import StoreFailed
from knarr.store.index import Index
from knarr.store.lease import Leases
from knarr.store.local import COMPACT_SLICE, Batch, LocalStore
from knarr.world import World

#: etcd's default for --quota-backend-bytes
QUOTA_BYTES = 2 << 30

_Job = tuple[Callable[[], None], Callable[[BaseException | None], None]]


class SqliteStore(LocalStore):
    """A durable store for one process."""

    def __init__(
        self,
        path: str | Path,
        world: World | None = None,
        *,
        quota_bytes: int = QUOTA_BYTES,
        on_failure: Callable[[StoreFailed], None] | None = None,
        lock_seconds: float = 0.2,
    ) -> None:
        """Open or create the file and read it all: about 3 us per kept change. Leases start their time anew.

        Raises an OpenError: StoreLocked (after waiting `lock_seconds`), StoreCorrupt, StoreNewer, StoreUnwritable.
        """
        super().__init__(world, quota_bytes=quota_bytes, on_failure=on_failure)
        self._database = Database(Path(path), lock_seconds=lock_seconds)
        #: freed by a compaction that was cut short; dropped with the next one
        self._leftover: list[KV] = []
        try:
            self._load()
        except BaseException:
            self._database.close()
            raise
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="knarr-store", daemon=True)
        self._thread.start()

    def _load(self) -> None:
        index, leases = Index(), Leases()
        compacted = index.compact_revision = self._database.compact_revision()
        index.revision = max(index.revision, compacted)
        #: what each key was at the compact revision; history begins after that
        base: dict[bytes, KV] = {}
        adopted = False
        current = index.current
        for kv in self._database.kvs():
            if kv.mod_revision <= compacted:
                self._take_base(base, kv)
                continue
            if not adopted:
                index.begin_with(base)
                adopted = True
            index.apply(Event(kv, current.get(kv.key)))
        if not adopted:
            index.begin_with(base)
        now = self._clock.monotonic()
        for id, ttl in self._database.leases():
            leases.grant(id, ttl, now)
        for kv in current.values():
            if kv.lease in leases:
                leases.move(kv.key, 0, kv.lease)
        self._adopt(index, leases)

    def _take_base(self, base: dict[bytes, KV], kv: KV) -> None:
        """A compacted change: only the last one of a key counts, and a deletion not at all."""
        prev = base.pop(kv.key, None)
        if prev is not None:
            self._leftover.append(prev)
        if kv.value is None:
            self._leftover.append(kv)
        else:
            base[kv.key] = kv

    # -- the committing thread -----------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            act, done = job
            error: BaseException | None = None
            try:
                act()
            except BaseException as failure:  # the loop decides what it means
                error = failure
            loop = self._loop
            if loop is None:
                continue
            try:
                loop.call_soon_threadsafe(done, error)
            except RuntimeError:  # the loop was closed with writes under way; nobody waits any more
                return

    def _submit(self, act: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        loop: Any = self._loop or self._bind()
        if hasattr(loop, "real_io"):  # a virtual loop must not jump ahead while the disk is busy
            loop.real_io += 1

            def landed(error: BaseException | None) -> None:
                loop.real_io -= 1
                done(error)

            self._jobs.put((act, landed))
        else:
            self._jobs.put((act, done))

    def _commit(self, batch: Batch) -> None:
        if not batch.events and not batch.leases:
            self._committed(batch, None)
            return
        append = self._database.append
        self._submit(lambda: append(batch.events, batch.leases), lambda error: self._committed(batch, error))

    async def _forget(self, gone: list[KV], compact_revision: int) -> None:
        gone = self._leftover[:COMPACT_SLICE] + gone
        del self._leftover[:COMPACT_SLICE]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        forget = self._database.forget

        def landed(error: BaseException | None) -> None:
            if error is not None and self.failure is None:
                self._fail(Batch(), error)
            if not done.done():
                done.set_result(None)

        self._submit(lambda: forget(gone, compact_revision), landed)
        await done
        if self.failure is not None:
            raise self.failure

    async def _close(self) -> None:
        # Closing folds the log into the file, which may take a while: on the thread, like all else that blocks.
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._submit(self._database.close, lambda error: done.set_result(None))
        await done
        self._jobs.put(None)
        self._thread.join()
