"""The interface of a store: revisioned keys over bytes, as etcd v3 has them.

Every change has a revision, a number that only grows; all changes of one transaction share one. A store starts
at revision 1, so the first change has revision 2. Keys and values are bytes; the store knows nothing of what
they mean. A range `[start, end)` follows etcd: an empty `end` means the one key `start`, `b"\\0"` means all keys
from `start` on, and both empty means every key.

Writes return awaitables, which may be futures: the write is queued by the call itself, in call order, whether or
not it is awaited. It is answered when it is durable, and reads and watches see only what is durable. Compares see
what was written before them, durable or not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from knarr.store.errors import (
    Compacted,
    CompareFailed,
    DuplicateKey,
    FutureRevision,
    LeaseExists,
    LeaseNotFound,
    NoSpace,
    OpenError,
    RequestTooLarge,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreFailed,
    StoreLocked,
    StoreNewer,
    StoreUnwritable,
    TooManyOps,
)

__all__ = [
    "KV",
    "Compacted",
    "Compare",
    "CompareFailed",
    "Delete",
    "DuplicateKey",
    "Event",
    "FutureRevision",
    "Get",
    "Lease",
    "LeaseExists",
    "LeaseNotFound",
    "NoSpace",
    "OpenError",
    "Op",
    "Put",
    "Range",
    "RequestTooLarge",
    "Store",
    "StoreClosed",
    "StoreCorrupt",
    "StoreError",
    "StoreFailed",
    "StoreLocked",
    "StoreNewer",
    "StoreUnwritable",
    "TooManyOps",
    "TxnResult",
    "Watch",
    "WatchCallback",
    "prefix_end",
    "range_end",
]

#: as `etcd --max-request-bytes`
REQUEST_BYTES_MAX = 1536 * 1024
#: as `etcd --max-txn-ops`
TXN_OPS_MAX = 128
#: the revision of a store into which nothing was ever written
FIRST_REVISION = 1


# gc=False: these hold bytes and numbers only, and there may be a million of them; the collector need not walk them.
class KV(msgspec.Struct, frozen=True, gc=False):
    """One key as it was from `mod_revision` on; `value` None is a tombstone (then `mod_revision` is the deletion's)."""

    key: bytes
    value: bytes | None
    create_revision: int
    mod_revision: int
    #: 1 when created, + 1 with each put; 0 in a tombstone
    version: int
    lease: int = 0


class Event(msgspec.Struct, frozen=True, gc=False):
    """One change: created when `kv.version == 1`, deleted when `kv.value is None`. `prev` is what it replaced."""

    kv: KV
    prev: KV | None


class Range(msgspec.Struct, frozen=True, gc=False):
    """The answer to a range: `count` keys exist in it at `revision`, `kvs` are the first of them in key order."""

    revision: int
    kvs: list[KV]
    more: bool
    count: int


class Compare(msgspec.Struct, frozen=True, gc=False):
    """One condition of a transaction. A missing key has revisions, version and lease 0 and equals no value."""

    key: bytes
    target: Literal["mod_revision", "create_revision", "version", "value", "lease"]
    op: Literal["=", "!=", "<", ">"]
    value: int | bytes


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write one key; answered with its KV."""

    key: bytes
    value: bytes
    lease: int = 0


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Delete a key or a range; answered with the list of tombstones (empty if nothing was there)."""

    key: bytes
    end: bytes = b""


class Get(msgspec.Struct, frozen=True, gc=False):
    """Read a key or a range inside a transaction, after the operations before it; answered with a Range."""

    key: bytes
    end: bytes = b""
    limit: int = 0


Op = Put | Delete | Get


class TxnResult(msgspec.Struct, frozen=True, gc=False):
    """Which branch ran, at which revision, and one answer per operation of that branch."""

    succeeded: bool
    revision: int
    responses: list[Any]


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A lease: `ttl` seconds as granted, `remaining` seconds until it expires, and the keys that go with it."""

    id: int
    ttl: float
    remaining: float
    keys: tuple[bytes, ...] = ()


#: called with the events of one durable batch, in revision order, and the revision up to which nothing is missing
WatchCallback = Callable[[list[Event], int], None]


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin with `prefix`."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else b"\0"


def range_end(start: bytes, end: bytes) -> bytes | None:
    """The exclusive upper bound that etcd's `start` and `end` mean; None is no bound."""
    if end == b"\0" or (not start and not end):
        return None
    return end or start + b"\0"


class Watch(ABC):
    """A running watch; see `Store.watch`."""

    @abstractmethod
    def cancel(self) -> None:
        """No callback after this returns, not even of a batch that is being published."""

    @abstractmethod
    def request_progress(self) -> None:
        """Ask for a callback with no events and the revision up to which all were delivered."""


class Store(ABC):
    """Revisioned keys. All methods belong to one event loop."""

    #: the newest durable revision
    revision: int
    #: reads and watches at or after this revision are answered; older history may be gone
    compact_revision: int
    #: watches are called before the write is answered, so that what a watch has seen is always as new as `revision`
    synchronous: ClassVar[bool] = False

    @abstractmethod
    async def get(self, key: bytes, revision: int = 0) -> KV | None:
        """The key now, or as it was at `revision`. Raises Compacted, FutureRevision."""

    @abstractmethod
    async def range(self, start: bytes, end: bytes = b"", revision: int = 0, limit: int = 0) -> Range:
        """The keys of a range in key order, now or at `revision`, at most `limit` (0: all). Raises as `get`."""

    def peek(self, start: bytes, end: bytes = b"", revision: int = 0, limit: int = 0) -> Range:
        """`range` without waiting; only where `synchronous`."""
        raise NotImplementedError(f"{type(self).__name__} cannot be read without waiting")

    @abstractmethod
    def put(self, key: bytes, value: bytes, expect: int | None = None, lease: int = 0) -> Awaitable[KV]:
        """Write a key; answered when durable.

        `expect` is the mod_revision the key must have (0: it must not exist; None: whatever). `lease` binds the
        key to a lease; 0 unbinds it. Raises CompareFailed, NoSpace, RequestTooLarge, LeaseNotFound, StoreFailed.
        """

    @abstractmethod
    def delete(self, key: bytes, expect: int | None = None) -> Awaitable[KV | None]:
        """Delete a key; answered with the tombstone when durable, or None when it was not there.

        With `expect` it must be there at that mod_revision, else CompareFailed.
        """

    @abstractmethod
    def txn(
        self, compare: Sequence[Compare], success: Sequence[Op] = (), failure: Sequence[Op] = ()
    ) -> Awaitable[TxnResult]:
        """If all of `compare` hold do `success`, else `failure`; one revision for all its changes.

        Raises TooManyOps, DuplicateKey and what `put` raises; then nothing was done.
        """

    @abstractmethod
    def watch(
        self,
        start_revision: int,
        callback: WatchCallback,
        start: bytes = b"",
        end: bytes = b"",
        settled: Callable[[], None] | None = None,
    ) -> Watch:
        """Call back with every change at or after `start_revision` (0: from now on; it may lie in the future).

        What already happened is delivered before this returns; then once per durable batch that touches the range,
        in revision order, without gaps or duplicates, the changes of one revision never split. `settled` is called
        after every watch of the batch had its callback: what it reads through other watches is of the same
        revision. Callbacks must be quick; what they raise goes to the loop's exception handler. Raises Compacted.
        """

    @abstractmethod
    def replay(self, start_revision: int, start: bytes = b"", end: bytes = b"") -> list[Event]:
        """The kept changes of a range at or after `start_revision`, at once. Raises Compacted."""

    @abstractmethod
    def reached(self, revision: int) -> Awaitable[None]:
        """Done as soon as `self.revision >= revision`, after the watches were called."""

    @abstractmethod
    async def compact(self, revision: int) -> None:
        """Forget what was replaced or deleted at or before `revision`. Raises Compacted, FutureRevision.

        Reads at `revision` itself and later still work, and so do watches from `revision + 1` on.
        """

    @abstractmethod
    def lease_grant(self, ttl: float, id: int = 0) -> Awaitable[Lease]:
        """A new lease that expires `ttl` seconds after its last keepalive; id 0 chooses one. Raises LeaseExists."""

    @abstractmethod
    def lease_revoke(self, id: int) -> Awaitable[None]:
        """End a lease and delete its keys, in one revision. Raises LeaseNotFound."""

    @abstractmethod
    def lease_keepalive(self, id: int) -> float:
        """Start the lease's time anew; its ttl. Raises LeaseNotFound."""

    @abstractmethod
    def leases(self) -> list[Lease]:
        """All leases, by id."""

    @abstractmethod
    async def close(self) -> None:
        """Make pending writes durable and end; later writes fail with StoreClosed."""
