"""DeltaFIFO: what happened to which object, in the order in which objects were first touched.

Between the reflector, which learns of changes, and the informer, which applies them. A key waits once, with all
its deltas; a consumer sees every change, or a tombstone for a deletion that nobody saw happen.

Bound: one waiting key per object; a key's deltas grow only until the consumer, which never waits for anything
but this queue, takes them in its next turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from knarr.client.objects import Key, key_of

ADDED, UPDATED, DELETED, REPLACED, SYNC = "Added", "Updated", "Deleted", "Replaced", "Sync"


class Delta(NamedTuple):
    """One change; the object is the state after it (for Deleted the last state, or a tombstone)."""

    type: str
    object: Any


class DeletedFinalStateUnknown(NamedTuple):
    """A deletion that was missed: the object as last known, perhaps stale."""

    key: tuple[str, str]
    object: Any


class Known(Protocol):
    """The consumer's own state (an Indexer)."""

    def get(self, key: tuple[str, str]) -> Any | None: ...

    def keys(self) -> Iterable[tuple[str, str]]: ...


class DeltaFIFO:
    """`known` tells which objects the consumer has, so that `replace` and `resync` find what is missing."""

    def __init__(self, known: Known, key: Callable[[Any], tuple[str, str]] = key_of) -> None:
        self._known = known
        self._key = key
        self._items: dict[tuple[str, str], list[Delta]] = {}
        self._queue: deque[tuple[str, str]] = deque()
        self._wake = asyncio.Event()
        self._populated = False
        self._initial = 0

    @property
    def has_synced(self) -> bool:
        """True once everything of the first `replace` was popped (or something came before one)."""
        return self._populated and self._initial == 0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, obj: Any) -> None:
        self._populated = True
        self._push(self._key(obj), Delta(ADDED, obj))

    def update(self, obj: Any) -> None:
        self._populated = True
        self._push(self._key(obj), Delta(UPDATED, obj))

    def delete(self, obj: Any) -> None:
        """Nothing happens where neither the consumer nor the queue knows the object."""
        self._populated = True
        key = obj.key if type(obj) is DeletedFinalStateUnknown else self._key(obj)
        if key in self._items or self._known.get(key) is not None:
            self._push(key, Delta(DELETED, obj))

    def replace(self, objects: Iterable[Any]) -> None:
        """This is everything: the rest was deleted unseen and gets tombstones."""
        present: dict[tuple[str, str], None] = {}
        for obj in objects:
            key = self._key(obj)
            present[key] = None
            self._push(key, Delta(REPLACED, obj))
        gone = 0
        for key in [key for key in self._items if key not in present]:
            newest = self._items[key][-1]
            if newest.type == DELETED and self._known.get(key) is None:
                continue  # its end is already queued, and the consumer never saw it
            gone += 1
            self._push(key, Delta(DELETED, DeletedFinalStateUnknown(key, _last_known(newest.object))))
        for key in self._known.keys():  # noqa: SIM118 - a protocol, not a dict
            if key not in present and key not in self._items:
                gone += 1
                self._push(key, Delta(DELETED, DeletedFinalStateUnknown(key, self._known.get(key))))
        if not self._populated:
            self._populated = True
            self._initial = len(present) + gone
        self._wake.set()

    def resync(self) -> None:
        """Hand out again what the consumer knows, except where news is already waiting."""
        for key in list(self._known.keys()):
            if key not in self._items:
                self._push(key, Delta(SYNC, self._known.get(key)))

    def try_pop(self) -> tuple[Key, list[Delta]] | None:
        """The key that waited longest and its deltas, oldest first; None where nothing waits."""
        if not self._queue:
            return None
        key = self._queue.popleft()
        if self._initial:
            self._initial -= 1
        return Key(*key), self._items.pop(key)

    async def wait(self) -> None:
        """Until something waits to be popped, or `replace` was told that there is nothing."""
        await self._wake.wait()
        self._wake.clear()

    async def pop(self) -> tuple[Key, list[Delta]]:
        while (item := self.try_pop()) is None:
            await self.wait()
        return item

    def _push(self, key: tuple[str, str], delta: Delta) -> None:
        deltas = self._items.get(key)
        if deltas is None:
            self._items[key] = [delta]
            self._queue.append(key)
            self._wake.set()
        elif deltas[-1].type == DELETED and delta.type == DELETED:
            # deleted twice: the one that saw the final state tells more
            if type(delta.object) is not DeletedFinalStateUnknown:
                deltas[-1] = delta
        else:
            deltas.append(delta)


def _last_known(obj: Any) -> Any:
    return obj.object if type(obj) is DeletedFinalStateUnknown else obj
