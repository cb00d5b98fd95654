"""What the stores of this process have in common: the order of writes, group commit, reads, watches, leases.

The way of a write: it is decided at once against the newest written state (`head`), joins the open batch, and the
batch is committed at the end of the loop's tick, or, while an earlier one is being committed, right after that.
Only when it is durable does it enter the index that reads see, then watches are called, then writers are answered.

    queue            bound                                          at the bound
    the open batch   none of its own: each writer waits for its answer; flow control limits the writers
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from knarr.store.base import (
    KV,
    REQUEST_BYTES_MAX,
    TXN_OPS_MAX,
    Compare,
    Event,
    Lease,
    Op,
    Put,
    Range,
    Store,
    TxnResult,
    WatchCallback,
    range_end,
)
from knarr.store.errors import (
    CompareFailed,
    LeaseNotFound,
    NoSpace,
    RequestTooLarge,
    StoreClosed,
    StoreFailed,
    TooManyOps,
)
from knarr.store.index import OVERHEAD_BYTES, Index, weight
from knarr.store.lease import Leases
from knarr.store.txn import check_duplicates, decide, delete_event
from knarr.store.watchers import LocalWatch, Watchers
from knarr.world import World

#: changes that one slice of a compaction frees; a slice takes about a millisecond
COMPACT_SLICE = 1000


class Batch:
    """Writes that become durable together."""

    __slots__ = ("acks", "events", "leases")

    def __init__(self) -> None:
        self.events: list[Event] = []
        #: (who waits, the answer, or the error that is the answer)
        self.acks: list[tuple[asyncio.Future[Any], Any, Exception | None]] = []
        #: (id, ttl) to keep, or (id, None) to forget
        self.leases: list[tuple[int, float | None]] = []


class LocalStore(Store):
    """A store whose state is in this process; subclasses say how a batch becomes durable."""

    synchronous: ClassVar[bool] = True

    def __init__(
        self,
        world: World | None = None,
        *,
        quota_bytes: int = 0,
        on_failure: Callable[[StoreFailed], None] | None = None,
    ) -> None:
        """`quota_bytes` 0 is no quota; `on_failure` is called once, when a commit failed."""
        self._clock = (world or World()).clock
        self.quota_bytes = quota_bytes
        self.on_failure = on_failure
        #: the error every write is answered with since a commit failed
        self.failure: StoreFailed | None = None
        self._closed = False
        self._alarm = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batch = Batch()
        self._busy = False
        #: newest written but not yet durable state of keys; a tombstone hides the durable one
        self._pending: dict[bytes, KV] = {}
        self._watchers = Watchers()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._compacting = asyncio.Lock()
        self._adopt(Index(), Leases())

    def _adopt(self, index: Index, leases: Leases) -> None:
        """Begin with this state."""
        self._index = index
        self._leases = leases
        self._head_revision = self._watchers.revision = index.revision
        #: bytes of the kept revisions and of those under way
        self._head_bytes = index.bytes

    # -- what subclasses say -------------------------------------------------------------------------------

    def _continue(self) -> None:
        """Writes came while the last batch was committed: commit them, now or soon."""
        self._flush()

    @abstractmethod
    def _commit(self, batch: Batch) -> None:
        """Make the batch durable, then call `_committed(batch, error)` on the loop. One batch at a time."""

    async def _forget(self, gone: list[KV], compact_revision: int) -> None:
        """Drop rows that a compaction freed; raises StoreFailed."""

    # -- writing -------------------------------------------------------------------------------------------

    def put(self, key: bytes, value: bytes, expect: int | None = None, lease: int = 0) -> Awaitable[KV]:
        loop = self._loop or self._bind()
        future: asyncio.Future[KV] = loop.create_future()
        prev = self._pending.get(key)
        if prev is None:
            prev = self._index.current.get(key)
        elif prev.value is None:
            prev = None
        if expect is not None and expect != (0 if prev is None else prev.mod_revision):
            self._refuse(future, CompareFailed(prev), key)
            return future
        size = len(key) + len(value)
        if (
            self.failure is not None
            or self._closed
            or size > REQUEST_BYTES_MAX
            or (self.quota_bytes and self._over_quota(size))
            or (lease and lease not in self._leases)
        ):
            future.set_exception(self._why_not(size, lease))
            return future
        self._head_revision = revision = self._head_revision + 1
        if prev is None:
            kv = KV(key, value, revision, revision, 1, lease)
        else:
            kv = KV(key, value, prev.create_revision, revision, prev.version + 1, lease)
        if lease or (prev is not None and prev.lease):
            self._leases.move(key, 0 if prev is None else prev.lease, lease)
        self._pending[key] = kv
        self._head_bytes += size + OVERHEAD_BYTES
        batch = self._batch
        batch.events.append(Event(kv, prev))
        batch.acks.append((future, kv, None))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._flush)
        return future

    def delete(self, key: bytes, expect: int | None = None) -> Awaitable[KV | None]:
        future: asyncio.Future[KV | None] = (self._loop or self._bind()).create_future()
        prev = self.head(key)
        if expect is not None and (prev is None or expect != prev.mod_revision):
            self._refuse(future, CompareFailed(prev), key)
        elif self.failure is not None or self._closed:
            future.set_exception(self._why_not(0, 0))
        elif prev is None:
            # Perhaps deleted by somebody whose tombstone is not durable yet: answered after it is.
            self._answer(future, None)
        else:
            event = delete_event(prev, self._head_revision + 1)
            self._write([event])
            self._answer(future, event.kv)
        return future

    def txn(
        self, compare: Sequence[Compare], success: Sequence[Op] = (), failure: Sequence[Op] = ()
    ) -> Awaitable[TxnResult]:
        future: asyncio.Future[TxnResult] = (self._loop or self._bind()).create_future()
        try:
            future_result = self._decide_txn(compare, success, failure)
        except Exception as error:
            future.set_exception(error)
        else:
            self._answer(future, future_result)
        return future

    def _decide_txn(
        self, compare: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op]
    ) -> TxnResult:
        if max(len(compare), len(success), len(failure)) > TXN_OPS_MAX:
            raise TooManyOps()
        check_duplicates(success)
        check_duplicates(failure)
        puts = [op for branch in (success, failure) for op in branch if isinstance(op, Put)]
        size = sum(len(op.key) + len(op.value) for op in puts)
        if self.failure is not None or self._closed or size > REQUEST_BYTES_MAX:
            raise self._why_not(size, 0)
        revision = self._head_revision + 1
        succeeded, events, responses = decide(self, revision, compare, success, failure)
        puts = [op for op in (success if succeeded else failure) if isinstance(op, Put)]
        if puts and self.quota_bytes and self._over_quota(sum(len(op.key) + len(op.value) for op in puts)):
            raise NoSpace()
        if any(op.lease and op.lease not in self._leases for op in puts):
            raise LeaseNotFound()
        if events:
            self._write(events)
        else:
            revision = self._head_revision
            responses = [
                Range(revision, r.kvs, r.more, r.count) if isinstance(r, Range) else r for r in responses
            ]
        return TxnResult(succeeded, revision, responses)

    def _write(self, events: list[Event]) -> None:
        """Queue changes that share one new revision."""
        self._head_revision += 1
        for event in events:
            kv, prev = event.kv, event.prev
            old = 0 if prev is None else prev.lease
            if old or kv.lease:
                self._leases.move(kv.key, old, kv.lease)
            self._pending[kv.key] = kv
            self._head_bytes += weight(kv)
        self._batch.events += events

    def _answer(self, future: asyncio.Future[Any], result: Any, error: Exception | None = None) -> None:
        """Answer after everything written so far is durable."""
        self._batch.acks.append((future, result, error))
        if not self._busy:
            self._busy = True
            future.get_loop().call_soon(self._flush)

    def _refuse(self, future: asyncio.Future[Any], error: Exception, key: bytes) -> None:
        """Answer a lost compare: at once, or after the winner is durable, else the loser would read the old value."""
        if self.failure is not None:
            future.set_exception(self.failure)
        elif key in self._pending:
            self._answer(future, None, error)
        else:
            future.set_exception(error)

    def _why_not(self, size: int, lease: int) -> Exception:
        if self.failure is not None:
            return self.failure
        if self._closed:
            return StoreClosed()
        if size > REQUEST_BYTES_MAX:
            return RequestTooLarge()
        if lease and lease not in self._leases:
            return LeaseNotFound()
        return NoSpace()

    def _bind(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._arm_expiry()
        return self._loop

    # -- group commit --------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Commit the open batch; writes from now on join the next."""
        batch, self._batch = self._batch, Batch()
        self._commit(batch)

    def _committed(self, batch: Batch, error: BaseException | None) -> None:
        """The batch is durable, or failed: show it, answer it, go on with the next."""
        if error is not None:
            self._fail(batch, error)
            return
        events = batch.events
        if events:
            self._show(events)
        for future, result, refusal in batch.acks:
            if not future.done():
                if refusal is None:
                    future.set_result(result)
                else:
                    future.set_exception(refusal)
        if self._batch.acks:
            self._continue()
        else:
            self._busy = False

    def _show(self, events: list[Event]) -> None:
        apply, pending = self._index.apply, self._pending
        for event in events:
            apply(event)
            kv = event.kv
            if pending.get(kv.key) is kv:
                del pending[kv.key]
        self._watchers.publish(events, self._index.revision)
        if self._waiting:
            self._wake()

    def _fail(self, batch: Batch, error: BaseException) -> None:
        """Nothing is written after a failed commit: what is on the disk is unknown until it is opened again."""
        self.failure = StoreFailed(f"the store stopped: {error}")
        self.failure.__cause__ = error
        for future, _, _ in batch.acks + self._batch.acks:
            if not future.done():
                future.set_exception(self.failure)
        self._batch = Batch()
        self._pending.clear()
        self._head_revision, self._head_bytes = self._index.revision, self._index.bytes
        self._busy = False
        self._disarm_expiry()
        if self.on_failure is not None:
            self.on_failure(self.failure)

    # -- reading -------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:  # type: ignore[override]
        return self._index.revision

    @property
    def compact_revision(self) -> int:  # type: ignore[override]
        return self._index.compact_revision

    async def get(self, key: bytes, revision: int = 0) -> KV | None:
        return self._index.get(key, revision)

    async def range(self, start: bytes, end: bytes = b"", revision: int = 0, limit: int = 0) -> Range:
        return self._index.range(start, end, revision, limit)

    def peek(self, start: bytes, end: bytes = b"", revision: int = 0, limit: int = 0) -> Range:
        return self._index.range(start, end, revision, limit)

    def head(self, key: bytes) -> KV | None:
        """The key as last written, durable or not."""
        kv = self._pending.get(key)
        if kv is None:
            return self._index.current.get(key)
        return None if kv.value is None else kv

    def head_range(self, start: bytes, end: bytes) -> list[KV]:
        """A range as last written, durable or not; in no particular order."""
        bound = range_end(start, end)
        found = {kv.key: kv for kv in self._index.range(start, end).kvs}
        for key, kv in self._pending.items():
            if key >= start and (bound is None or key < bound):
                found[key] = kv
        return [kv for kv in found.values() if kv.value is not None]

    # -- watching ------------------------------------------------------------------------------------------

    def watch(
        self,
        start_revision: int,
        callback: WatchCallback,
        start: bytes = b"",
        end: bytes = b"",
        settled: Callable[[], None] | None = None,
    ) -> LocalWatch:
        past = self._index.events(start_revision, start, end) if start_revision else []
        # Joined before the replay: what the callback writes comes later in any case, and nothing awaits in between.
        watch = self._watchers.add(start_revision, callback, start, end, settled)
        if past:
            callback(past, self._index.revision)
            if settled is not None:
                settled()
        return watch

    def replay(self, start_revision: int, start: bytes = b"", end: bytes = b"") -> list[Event]:
        return self._index.events(start_revision, start, end)

    def reached(self, revision: int) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if revision <= self._index.revision:
            future.set_result(None)
        else:
            self._waiting.append((revision, future))
        return future

    def _wake(self) -> None:
        now, waiting = self._index.revision, self._waiting
        self._waiting = [(revision, f) for revision, f in waiting if revision > now and not f.done()]
        for revision, future in waiting:
            if revision <= now and not future.done():
                future.set_result(None)

    # -- compaction and space --------------------------------------------------------------------------------

    async def compact(self, revision: int) -> None:
        self._index.compact_to(revision)
        async with self._compacting:
            await self._prune()

    async def _prune(self) -> None:
        index = self._index
        while True:
            gone = index.prune(COMPACT_SLICE)
            if gone:
                self._head_bytes -= sum(map(weight, gone))
                self._alarm = False
            await self._forget(gone, index.compact_revision)
            if not index.prunable:
                return
            await asyncio.sleep(0)

    @property
    def bytes_in_use(self) -> int:
        """Bytes of all kept revisions, about: what the quota counts."""
        return self._head_bytes

    @property
    def alarm(self) -> bool:
        """A put was refused for lack of space, and no compaction has freed any since."""
        return self._alarm

    def _over_quota(self, size: int) -> bool:
        over = self._head_bytes + size > self.quota_bytes
        self._alarm |= over
        return over

    # -- leases --------------------------------------------------------------------------------------------

    def lease_grant(self, ttl: float, id: int = 0) -> Awaitable[Lease]:
        future: asyncio.Future[Lease] = (self._loop or self._bind()).create_future()
        try:
            if self.failure is not None or self._closed:
                raise self._why_not(0, 0)
            id = id or self._leases.choose_id()
            self._leases.grant(id, ttl, self._clock.monotonic())
        except Exception as error:
            future.set_exception(error)
            return future
        self._batch.leases.append((id, ttl))
        self._arm_expiry()
        self._answer(future, Lease(id, ttl, ttl))
        return future

    def lease_revoke(self, id: int) -> Awaitable[None]:
        future: asyncio.Future[None] = (self._loop or self._bind()).create_future()
        try:
            if self.failure is not None or self._closed:
                raise self._why_not(0, 0)
            keys = self._leases.revoke(id)
        except Exception as error:
            future.set_exception(error)
            return future
        self._batch.leases.append((id, None))
        revision = self._head_revision + 1
        events = [delete_event(kv, revision) for key in keys if (kv := self.head(key)) is not None]
        if events:
            self._write(events)
        self._answer(future, None)
        return future

    def lease_keepalive(self, id: int) -> float:
        return self._leases.keepalive(id, self._clock.monotonic())

    def leases(self) -> list[Lease]:
        return self._leases.list(self._clock.monotonic())

    def _arm_expiry(self) -> None:
        self._disarm_expiry()
        deadline = self._leases.next_deadline()
        if deadline is not None and self._loop is not None:
            delay = max(0.0, deadline - self._clock.monotonic())
            self._expiry = self._loop.call_later(delay, self._expire)

    def _disarm_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self) -> None:
        if self.failure is not None or self._closed:
            return
        for id in self._leases.expired(self._clock.monotonic()):
            self.lease_revoke(id)
        self._arm_expiry()

    # -- the end -------------------------------------------------------------------------------------------

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._disarm_expiry()
        while self._busy:
            future = (self._loop or self._bind()).create_future()
            self._answer(future, None)
            await asyncio.wait([future])
        for _, waiter in self._waiting:
            waiter.cancel()
        self._waiting.clear()
        await self._close()

    async def _close(self) -> None:
        """Let go of files and threads."""
