"""One resource in memory: its objects now, its recent changes, and its watchers.

The cache is as new as the store: a store in this process calls its watches before it answers the writer, so a
consistent read (resourceVersion "") costs nothing and a writer finds its own write here.

The way of a change: the store's watch turns it into a `Change` and an `Entry`, which readers see from then on; when
all caches have taken in the batch, watchers are told.

    queue               bound                              at the bound
    ring of changes     `ring_changes_max` (10,000)        the oldest go; the store's history answers until compaction
    a watcher's bytes   `unsent_bytes_max` (4 MiB)         the watch is closed; the client watches again
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any

from knarr.meta import errors
from knarr.store.base import KV, Compacted, Event, Store, prefix_end
from knarr.store.index import SortedKeys
from knarr.watchcache.change import Change, WatchEvent
from knarr.watchcache.entry import Attributes, Entry, Extract, Shape
from knarr.watchcache.fanout import Fanout
from knarr.watchcache.representation import JSON, TRIPLES, Representation
from knarr.watchcache.ring import Ring
from knarr.watchcache.selection import EVERYTHING, Selection
from knarr.watchcache.watcher import ENDED, UNSENT_BYTES_MAX, Watcher
from knarr.world import Chance, World

#: (the class below has a method of the name `list`)
Entries = list[Entry]
Changes = list[Change]
Events = list[WatchEvent]
StoreEvents = list[Event]
Triples = list[tuple[str, Entry, Entry | None]]

RING_CHANGES_MAX = 10_000
#: objects whose size stands for that of all
SAMPLE = 16
#: initial events are encoded and sent in pieces of so many, so that no piece is huge
INITIAL_EVENTS_PIECE = 500
#: what a bookmark's object is made of where the resource does not say
BOOKMARK = b'{"metadata":{}}'
_METADATA = b'"metadata":{'
_INITIAL_EVENTS_END = b'"annotations":{"k8s.io/initial-events-end":"true"}'


class Cacher:
    """The cache of all keys under one prefix."""

    def __init__(
        self,
        store: Store,
        prefix: bytes,
        *,
        attributes: Extract,
        namespaced: bool = True,
        world: World | None = None,
        indexed: tuple[str, ...] = (),
        keep_objects: bool = False,
        bookmark: bytes | Callable[[], bytes] = BOOKMARK,
        floor: int = 0,
        history: bool = True,
        ring_changes_max: int = RING_CHANGES_MAX,
    ) -> None:
        """Filled at once where the store is synchronous; else `await fill()`.

        `prefix` ends with "/". `attributes` extracts labels and fields. `indexed` names fields that many watchers
        select by one value of (pods: spec.nodeName). `bookmark` is the empty object as JSON with kind and
        apiVersion. A watch from a revision before `floor` is too old even if the store still knows it (custom
        resources: the revision at which their definition was served). Without `history` so is one that the ring
        no longer holds, as it is in Kubernetes.
        """
        self.prefix = prefix
        self.chance: Chance = (world or World()).chance
        self._store = store
        self._shape = Shape(prefix, namespaced, attributes, keep_objects)
        self._entries: dict[bytes, Entry] = {}
        self._keys = SortedKeys()
        self._fanout = Fanout(indexed)
        self._floor = floor
        self._history = history
        self._ring_changes_max = ring_changes_max
        #: changes taken in so far
        self.received = 0
        #: events that watchers were told when they came
        self.initial = 0
        self._ring = Ring(ring_changes_max, floor)
        self._seen = 0
        self._unsettled: list[Change] = []
        self._bookmark_template = bookmark
        self._bookmarks: dict[bool, WatchEvent] = {}
        self._watch: Any = None
        self._closed = False
        if store.synchronous:
            self._fill(store.peek(prefix, prefix_end(prefix)))

    # -- filling and following -------------------------------------------------------------------------------

    async def fill(self) -> None:
        """List the prefix and follow it; does nothing where that was done already."""
        if self._watch is None:
            self._fill(await self._store.range(self.prefix, prefix_end(self.prefix)))

    def _fill(self, found: Any) -> None:
        shape = self._shape
        self._entries = {kv.key: Entry(kv, shape) for kv in found.kvs}
        self._keys = SortedKeys([kv.key for kv in found.kvs])
        self._ring = Ring(self._ring_changes_max, found.revision)
        self._seen = found.revision
        self._watch = self._store.watch(
            found.revision + 1, self._take, self.prefix, prefix_end(self.prefix), self._settle
        )

    def _take(self, events: StoreEvents, revision: int) -> None:
        """A durable batch: readers see it when this returns."""
        changes = [self._change(event) for event in events]
        self.received += len(changes)
        self._ring.extend(changes)
        self._unsettled += changes
        self._seen = revision

    def _change(self, event: Event) -> Change:
        kv = event.kv
        key, entries = kv.key, self._entries
        if kv.value is None:
            gone = entries.pop(key)
            self._keys.remove(key)
            return Change(None, gone, kv.mod_revision)
        shape = self._shape
        attributes = shape.recall(kv.value)
        prev = entries.get(key)
        if prev is None:
            self._keys.add(key)
            entry = Entry(kv, shape, None, attributes)
        else:
            entry = Entry(kv, shape, prev._names, attributes)
        entries[key] = entry
        return Change(entry, prev, kv.mod_revision)

    def _settle(self) -> None:
        """All caches have taken in the batch: tell the watchers."""
        changes, self._unsettled = self._unsettled, []
        self._fanout.publish(changes)
        for change in changes:
            change.settle()

    def remember(self, value: bytes, attributes: Attributes) -> None:
        """Before a write: what selectors see of `value`, so that these bytes need not be decoded when they come back.

        Only for the very bytes object given to the store. Optional; forgotten if the write does not happen.
        """
        self._shape.remember(value, attributes)

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """The revision that reads answer with: nothing up to it is missing."""
        return self._store.revision if self._store.synchronous else self._seen

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def capacity(self) -> int:
        """Recent changes that are remembered."""
        return self._ring_changes_max

    @property
    def sent(self) -> int:
        """Events that watchers were told, each counted for each of them."""
        return self._fanout.sent

    def interested(self, namespace: str, name: str) -> int:
        """How many watchers a change of an object concerns (see Fanout)."""
        return self._fanout.interested(namespace, name)

    @property
    def average_bytes(self) -> int:
        """How large an object is, judged by a few of them."""
        few = list(islice(self._entries.values(), SAMPLE))
        return sum(len(entry.value) for entry in few) // len(few) if few else 0

    def get(self, key: bytes) -> Entry | None:
        """The newest entry of a key."""
        return self._entries.get(key)

    def list(self, namespace: str = "", wanted: Callable[[Entry], bool] | None = None) -> Entries:
        """The newest entries in key order, of one namespace or of all; `wanted` (a Selection's `matches`) filters."""
        prefix = self._prefix_of(namespace)
        keys, low, high = self._keys.between(prefix, prefix_end(prefix))
        entries = self._entries
        found = [entries[key] for key in (keys if high - low == len(keys) else keys[low:high])]
        return found if wanted is None else [entry for entry in found if wanted(entry)]

    def select(self, selection: Selection) -> Entries:
        """The newest entries of a selection, in key order."""
        if selection.name and (selection.namespace or not self._shape.namespaced):
            entry = self._entries.get(self._prefix_of(selection.namespace) + selection.name.encode())
            return [entry] if entry is not None and selection.matches(entry) else []
        everything = selection.exact and not selection.name
        if selection.namespace and not self._shape.namespaced:
            return []
        return self.list(selection.namespace, None if everything else selection.matches)

    def _prefix_of(self, namespace: str) -> bytes:
        if namespace and self._shape.namespaced:
            return b"%b%b/" % (self.prefix, namespace.encode())
        return self.prefix

    def at(self, prefix: bytes, start: bytes, revision: int) -> Entries:
        """The entries under `prefix` from key `start` on as they were at `revision`, in key order.

        Raises store.Compacted and store.FutureRevision. For stores in this process.
        """
        end = prefix_end(prefix)
        start = max(start, prefix)
        if revision == self.revision:
            keys, low, high = self._keys.between(start, end)
            entries = self._entries
            return [entries[key] for key in keys[low:high]]
        return [self._entry(kv) for kv in self._store.peek(start, end, revision).kvs]

    def _entry(self, kv: KV) -> Entry:
        """The entry of a stored state: the current one where it is that."""
        entry = self._entries.get(kv.key)
        return entry if entry is not None and entry.kv is kv else Entry(kv, self._shape)

    async def wait_until(self, revision: int, timeout: float) -> bool:
        """Whether the cache is at least as new as `revision`, within `timeout` seconds."""
        if revision <= self.revision:
            return True
        try:
            async with asyncio.timeout(timeout):
                await self._store.reached(revision)
        except TimeoutError:
            return False
        return True

    # -- watching --------------------------------------------------------------------------------------------

    def watch(
        self,
        send: Callable[[Any], None],
        selection: Selection = EVERYTHING,
        *,
        since: int | None = None,
        representation: Representation = JSON,
        bookmarks: bool = False,
        initial_events_end: bool = False,
        timeout: float | None = None,
        unsent: Callable[[], int] | None = None,
        unsent_bytes_max: int = UNSENT_BYTES_MAX,
        closed: Callable[[str], None] | None = None,
    ) -> Watcher:
        """Send every selected change to `send`, in revision order, without gaps or duplicates.

        `since` None begins with the present state as ADDED events, followed by the bookmark that says so with
        `initial_events_end`; a number begins after that revision (it may lie in the future). What is already there
        is sent before this returns, in pieces of at most `INITIAL_EVENTS_PIECE` events; later once per batch. `send`
        gets what `representation` makes of the events; it must be quick and not raise, and may close the watcher.

        `bookmarks`: about every minute, and two seconds before `timeout` (seconds), which ends the watch. `unsent`
        says how many bytes the client has not read; over `unsent_bytes_max` the watch ends. `closed(why)` is called
        when the server ends it: "slow", "timeout", "ended" (the resource or the server went away) or "failed" (`send`
        raised).

        Raises StatusError 410 when `since` is older than what is kept.
        """
        after = self.revision if since is None else since
        watcher = Watcher(self, selection, send, representation, after, unsent, unsent_bytes_max, closed)
        # No await from here to the joining: nothing can happen in between.
        if since is None:
            past = [WatchEvent("ADDED", entry) for entry in self.select(selection)]
        else:
            past = self._replay(since, selection)
        watcher.after = watcher.revision = max(after, self.revision)
        if since is not None and since > self.revision:
            watcher.after = watcher.revision = since
        self._fanout.add(watcher)
        self.initial += len(past)
        for at in range(0, len(past), INITIAL_EVENTS_PIECE):
            if watcher.active:
                watcher.deliver_initial(representation.payload(past[at : at + INITIAL_EVENTS_PIECE]))
        if initial_events_end and watcher.active:
            watcher.send_bookmark(initial_events_end=True)
        if watcher.active:
            watcher.start_timers(bookmarks, timeout)
        if self._closed:
            asyncio.get_running_loop().call_soon(watcher.end, ENDED)
        return watcher

    def subscribe(
        self,
        callback: Callable[[Triples], None],
        selection: Selection = EVERYTHING,
        *,
        since: int | None = None,
        closed: Callable[[str], None] | None = None,
    ) -> Watcher:
        """A watch for parts of this process: `callback([(type, entry, entry before or None), ...])` per batch.

        With `since` None the first call is the present state in one piece, even if it is empty.
        """
        if since is not None:
            return self.watch(callback, selection, since=since, representation=TRIPLES, closed=closed)
        present: Triples = [("ADDED", entry, None) for entry in self.select(selection)]
        watcher = self.watch(callback, selection, since=self.revision, representation=TRIPLES, closed=closed)
        self.initial += len(present)
        callback(present)
        return watcher

    def _replay(self, since: int, selection: Selection) -> Events:
        if since >= self.revision:
            return []
        floor = self._floor if self._history else max(self._floor, self._ring.floor)
        if since < floor:
            raise too_old(since, floor)
        if since >= self._ring.floor:
            changes = self._ring.since(since)
        else:
            changes = self._history_since(since)
        events = []
        for change in changes:
            if self._fits(selection, change) and (event := selection.translate(change)) is not None:
                events.append(event)
        return events

    def _history_since(self, since: int) -> Changes:
        """Older than the ring: what the store still has."""
        try:
            events = self._store.replay(since + 1, self.prefix, prefix_end(self.prefix))
        except Compacted as error:
            raise too_old(since, error.compact_revision) from None
        changes = []
        for event in events:
            prev = None if event.prev is None else self._entry(event.prev)
            entry = None if event.kv.value is None else self._entry(event.kv)
            changes.append(Change(entry, prev, event.kv.mod_revision))
        return changes

    @staticmethod
    def _fits(selection: Selection, change: Change) -> bool:
        entry = change.entry or change.prev
        assert entry is not None
        if selection.name and entry.name != selection.name:
            return False
        return not selection.namespace or entry.namespace == selection.namespace

    def bookmark(self, initial_events_end: bool = False) -> WatchEvent:
        """The bookmark of the current revision; one for all who ask at that revision."""
        event = self._bookmarks.get(initial_events_end)
        revision = self.revision
        if event is None or event.revision != revision:
            template = self._bookmark_template
            value = template if isinstance(template, bytes) else template()
            if initial_events_end:
                at = value.index(_METADATA) + len(_METADATA)
                comma = b"" if value[at : at + 1] == b"}" else b","
                value = value[:at] + _INITIAL_EVENTS_END + comma + value[at:]
            entry = Entry(KV(self.prefix, value, 0, revision, 0), self._shape, ("", ""))
            event = self._bookmarks[initial_events_end] = WatchEvent("BOOKMARK", entry)
        return event

    @property
    def watcher_count(self) -> int:
        return len(self._fanout)

    def leave(self, watcher: Watcher) -> None:
        """A watcher ended."""
        self._fanout.remove(watcher)

    def close(self) -> None:
        """End all watches and let go of everything; a watch that begins later ends at once."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        for watcher in self._fanout.watchers():
            watcher.end(ENDED)
        self._entries = {}
        self._keys = SortedKeys()
        self._ring = Ring(1, self.revision)
        self._unsettled = []


def too_old(since: int, floor: int) -> errors.StatusError:
    """410: the client must list again."""
    return errors.expired(f"too old resource version: {since} ({floor})")
