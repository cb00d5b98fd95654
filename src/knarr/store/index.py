"""The state of a store in memory: what every key is now, and what it was since the last compaction."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from operator import attrgetter

from knarr.store.base import FIRST_REVISION, KV, Event, Range, range_end
from knarr.store.errors import Compacted, FutureRevision

_kv_revision = attrgetter("mod_revision")
_event_revision = attrgetter("kv.mod_revision")

#: what a revision costs besides its key and value; a rough figure for the quota
OVERHEAD_BYTES = 64
#: up to so many new keys are inserted one by one; more are sorted in with one (almost linear) sort
_INSORT_MAX = 32


def weight(kv: KV) -> int:
    """Bytes that one revision of a key counts against the quota."""
    return len(kv.key) + (len(kv.value) if kv.value is not None else 0) + OVERHEAD_BYTES


class SortedKeys:
    """A sorted list of keys that takes new ones cheaply: they are sorted in when order is asked for."""

    __slots__ = ("_fresh", "_keys")

    def __init__(self, keys: list[bytes] | None = None) -> None:
        self._keys = keys or []
        self._fresh: list[bytes] = []

    def add(self, key: bytes) -> None:
        """Add a key that is not in it."""
        self._fresh.append(key)

    def remove(self, key: bytes) -> None:
        keys = self.ordered()
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            del keys[at]

    def ordered(self) -> list[bytes]:
        """The live list: read it, never change it."""
        if self._fresh:
            if len(self._fresh) <= _INSORT_MAX:
                for key in self._fresh:
                    insort(self._keys, key)
            else:
                self._keys += self._fresh
                self._keys.sort()
            self._fresh = []
        return self._keys

    def between(self, start: bytes, end: bytes | None) -> tuple[list[bytes], int, int]:
        """The live list and the positions [i, j) of the keys in [start, end)."""
        keys = self.ordered()
        low = bisect_left(keys, start)
        return keys, low, len(keys) if end is None else bisect_left(keys, end, low)

    def copy(self) -> SortedKeys:
        return SortedKeys(self.ordered().copy())


class Index:
    """Current state plus history. It is changed only by durable events, in revision order."""

    __slots__ = ("bytes", "compact_revision", "current", "graves", "history", "keys", "log", "revision")

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.compact_revision = 0
        self.current: dict[bytes, KV] = {}
        self.keys = SortedKeys()
        #: replaced values and tombstones of a key, oldest first; absent while only the current value is kept
        self.history: dict[bytes, list[KV]] = {}
        #: keys that have history but do not exist now
        self.graves = SortedKeys()
        #: every change after compact_revision, in order
        self.log: list[Event] = []
        self.bytes = 0

    # -- changing ----------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in the next durable change."""
        kv = event.kv
        key = kv.key
        prev = event.prev
        if kv.value is None:
            if prev is None:
                return
            self._bury(kv, prev)
        else:
            if prev is not None:
                past = self.history.get(key)
                if past is None:
                    self.history[key] = [prev]
                else:
                    past.append(prev)
            else:
                if key in self.history:
                    self.graves.remove(key)
                self.keys.add(key)
            self.current[key] = kv
        self.revision = kv.mod_revision
        self.log.append(event)
        self.bytes += len(key) + (0 if kv.value is None else len(kv.value)) + OVERHEAD_BYTES

    def _bury(self, tombstone: KV, prev: KV) -> None:
        key = tombstone.key
        del self.current[key]
        self.keys.remove(key)
        past = self.history.get(key)
        if past is None:
            self.history[key] = [prev, tombstone]
        else:
            past += (prev, tombstone)
        self.graves.add(key)

    def begin_with(self, kvs: dict[bytes, KV]) -> None:
        """Start from keys that have no history (loading)."""
        self.current.update(kvs)
        self.keys = SortedKeys(sorted(kvs))
        self.bytes = sum(map(weight, kvs.values()))

    def compact_to(self, revision: int) -> None:
        """Refuse reads before `revision` from now on; `prune` then frees what they would have read."""
        if revision <= self.compact_revision:
            raise Compacted(self.compact_revision)
        if revision > self.revision:
            raise FutureRevision(self.revision)
        self.compact_revision = revision

    def prune(self, changes_max: int) -> list[KV]:
        """Forget what at most `changes_max` of the compacted changes replaced; the KVs that are gone.

        An empty answer means that nothing is left to prune.
        """
        log = self.log
        cut = min(changes_max, bisect_right(log, self.compact_revision, hi=len(log), key=_event_revision))
        gone: list[KV] = []
        for event in log[:cut]:
            key = event.kv.key
            past = self.history.get(key)
            if past is None:
                continue
            # Everything older than this change, and the change itself if it was a deletion.
            keep = (bisect_right if event.kv.value is None else bisect_left)(
                past, event.kv.mod_revision, key=_kv_revision
            )
            gone += past[:keep]
            del past[:keep]
            if not past:
                del self.history[key]
                if key not in self.current:
                    self.graves.remove(key)
        del log[:cut]
        for kv in gone:
            self.bytes -= weight(kv)
        return gone

    @property
    def prunable(self) -> bool:
        """There are changes at or before the compact revision whose history was not freed yet."""
        return bool(self.log) and self.log[0].kv.mod_revision <= self.compact_revision

    # -- reading -----------------------------------------------------------------------------------------

    def check(self, revision: int) -> None:
        """Raise when `revision` cannot be read."""
        if revision > self.revision:
            raise FutureRevision(self.revision)
        if revision < self.compact_revision:
            raise Compacted(self.compact_revision)

    def at(self, key: bytes, revision: int) -> KV | None:
        """The key as it was at a revision that `check` accepts."""
        kv = self.current.get(key)
        if kv is not None and kv.mod_revision <= revision:
            return kv
        past = self.history.get(key)
        if past is None:
            return None
        position = bisect_right(past, revision, key=_kv_revision)
        if position == 0:
            return None
        kv = past[position - 1]
        return None if kv.value is None else kv

    def get(self, key: bytes, revision: int = 0) -> KV | None:
        if not revision:
            return self.current.get(key)
        self.check(revision)
        return self.at(key, revision)

    def range(self, start: bytes, end: bytes, revision: int = 0, limit: int = 0) -> Range:
        bound = range_end(start, end)
        if revision:
            self.check(revision)
            if revision < self.revision:
                return self._range_at(start, bound, revision, limit)
        keys, low, high = self.keys.between(start, bound)
        count = high - low
        take = min(count, limit) if limit else count
        current = self.current
        kvs = [current[key] for key in keys[low : low + take]]
        return Range(self.revision, kvs, take < count, count)

    def _range_at(self, start: bytes, bound: bytes | None, revision: int, limit: int) -> Range:
        keys, low, high = self.keys.between(start, bound)
        graves, grave_low, grave_high = self.graves.between(start, bound)
        candidates = keys[low:high]
        if grave_high > grave_low:
            candidates = sorted(candidates + graves[grave_low:grave_high])
        at = self.at
        kvs = [kv for key in candidates if (kv := at(key, revision)) is not None]
        count = len(kvs)
        if limit and count > limit:
            return Range(self.revision, kvs[:limit], True, count)
        return Range(self.revision, kvs, False, count)

    def events(self, start_revision: int, start: bytes, end: bytes) -> list[Event]:
        """The kept changes of a range at or after `start_revision`."""
        if start_revision <= self.compact_revision:
            raise Compacted(self.compact_revision)
        log = self.log
        if not log or start_revision > self.revision:
            return []
        since = bisect_left(log, start_revision, key=_event_revision)
        bound = range_end(start, end)
        if not start and bound is None:
            return log[since:]
        if bound is None:
            return [event for event in log[since:] if event.kv.key >= start]
        return [event for event in log[since:] if start <= event.kv.key < bound]

    # -- copying -----------------------------------------------------------------------------------------

    def copy(self) -> Index:
        """An independent index with the same content; keys, values and events are shared (they never change)."""
        other = Index()
        other.revision = self.revision
        other.compact_revision = self.compact_revision
        other.current = self.current.copy()
        other.keys = self.keys.copy()
        other.history = {key: past.copy() for key, past in self.history.items()}
        other.graves = self.graves.copy()
        other.log = self.log.copy()
        other.bytes = self.bytes
        return other
