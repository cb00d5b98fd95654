"""What can go wrong in a store. The type says who must act; the texts of the first group are etcd's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knarr.store.base import KV


class StoreError(Exception):
    """Anything a store refuses or fails at."""


# -- the caller must read again ---------------------------------------------------------------------------


class CompareFailed(StoreError):
    """The key is not at the revision the writer expected; `current` is what is there now, or None."""

    def __init__(self, current: KV | None) -> None:
        super().__init__("etcdserver: compare failed")
        self.current = current


class Compacted(StoreError):
    """The asked-for revision is no longer kept; `compact_revision` is the oldest that can be read."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__("etcdserver: mvcc: required revision has been compacted")
        self.compact_revision = compact_revision


class FutureRevision(StoreError):
    """The asked-for revision has not happened yet; `revision` is the newest there is."""

    def __init__(self, revision: int) -> None:
        super().__init__("etcdserver: mvcc: required revision is a future revision")
        self.revision = revision


# -- the caller asked for something that cannot be done -----------------------------------------------------


class RequestTooLarge(StoreError):
    """Key and value together (or all puts of a transaction) are over the limit."""

    def __init__(self) -> None:
        super().__init__("etcdserver: request is too large")


class TooManyOps(StoreError):
    """A transaction has more operations than the limit."""

    def __init__(self) -> None:
        super().__init__("etcdserver: too many operations in txn request")


class DuplicateKey(StoreError):
    """A transaction would write one key twice."""

    def __init__(self) -> None:
        super().__init__("etcdserver: duplicate key given in txn request")


class LeaseNotFound(StoreError):
    """No such lease: never granted, revoked or expired."""

    def __init__(self) -> None:
        super().__init__("etcdserver: requested lease not found")


class LeaseExists(StoreError):
    """A lease with the asked-for id exists already."""

    def __init__(self) -> None:
        super().__init__("etcdserver: lease already exists")


# -- whoever runs the cluster must act ----------------------------------------------------------------------


class NoSpace(StoreError):
    """The space quota is used up: only deletes and compaction are accepted until space is free again."""

    def __init__(self) -> None:
        super().__init__("etcdserver: mvcc: database space exceeded")


class StoreClosed(StoreError):
    """A write after `close()`."""

    def __init__(self) -> None:
        super().__init__("the store is closed")


class StoreFailed(StoreError):
    """A commit failed (disk full, I/O error); nothing is written any more. The process should end."""


class OpenError(StoreError):
    """The store cannot be opened. Its text is one sentence with a way out."""


class StoreCorrupt(OpenError):
    """The file is not a store, or is damaged."""


class StoreNewer(OpenError):
    """The file was written by a newer knarr."""


class StoreUnwritable(OpenError):
    """The directory or the file cannot be created or written."""


class StoreLocked(OpenError):
    """Another process has the file open."""
