"""Who is told of a batch of changes: one binary search per change, however many watches there are."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable

from knarr.store.base import Event, Watch, WatchCallback, range_end


class LocalWatch(Watch):
    """One watch of a store in this process."""

    __slots__ = ("_owner", "active", "bound", "callback", "settled", "start", "start_revision")

    def __init__(
        self,
        owner: Watchers,
        start_revision: int,
        callback: WatchCallback,
        start: bytes,
        bound: bytes | None,
        settled: Callable[[], None] | None,
    ) -> None:
        self._owner = owner
        #: changes before this are not delivered; only matters while it lies in the future
        self.start_revision = start_revision
        self.callback = callback
        self.start = start
        self.bound = bound
        self.settled = settled
        self.active = True

    def cancel(self) -> None:
        if self.active:
            self.active = False
            self._owner.remove(self)

    def request_progress(self) -> None:
        # Everything durable was delivered before anybody could ask, so the answer is there at once.
        if self.active:
            self.callback([], self._owner.revision)


class Watchers:
    """All watches of a store, found by key.

    The bounds of all watched ranges cut the key space into segments; each segment knows its watches. Watches come
    and go rarely, so the segments are rebuilt when the next batch comes.
    """

    def __init__(self) -> None:
        #: the newest published revision
        self.revision = 0
        self._watches: dict[LocalWatch, None] = {}
        self._bounds: list[bytes] | None = None
        self._segments: list[list[LocalWatch]] = []

    def __len__(self) -> int:
        return len(self._watches)

    def add(
        self,
        start_revision: int,
        callback: WatchCallback,
        start: bytes,
        end: bytes,
        settled: Callable[[], None] | None = None,
    ) -> LocalWatch:
        watch = LocalWatch(self, start_revision, callback, start, range_end(start, end), settled)
        self._watches[watch] = None
        self._bounds = None
        return watch

    def remove(self, watch: LocalWatch) -> None:
        self._watches.pop(watch, None)
        self._bounds = None

    def publish(self, events: list[Event], revision: int) -> None:
        """Tell every watch of its part of a durable batch, in the order in which its first change came."""
        self.revision = revision
        if not self._watches:
            return
        parts = self._split(events)
        for watch, part in parts.items():
            if watch.active:
                try:
                    watch.callback(part, revision)
                except (
                    Exception
                ) as error:  # the writers must be answered and the other watches told all the same
                    _report(error)
        for watch in parts:
            if watch.active and watch.settled is not None:
                try:
                    watch.settled()
                except Exception as error:
                    _report(error)

    def _split(self, events: list[Event]) -> dict[LocalWatch, list[Event]]:
        bounds = self._bounds
        if bounds is None:
            bounds = self._rebuild()
        segments = self._segments
        parts: dict[LocalWatch, list[Event]] = {}
        for event in events:
            kv = event.kv
            for watch in segments[bisect_right(bounds, kv.key)]:
                if kv.mod_revision >= watch.start_revision:
                    part = parts.get(watch)
                    if part is None:
                        parts[watch] = [event]
                    else:
                        part.append(event)
        return parts

    def _rebuild(self) -> list[bytes]:
        bounds = sorted(
            {watch.start for watch in self._watches}
            | {watch.bound for watch in self._watches if watch.bound is not None}
        )
        # Segment 0 lies before the first bound, segment i from bound i - 1 on.
        self._segments = [[] for _ in range(len(bounds) + 1)]
        for watch in self._watches:
            first = bisect_right(bounds, watch.start)
            last = len(bounds) + 1 if watch.bound is None else bisect_right(bounds, watch.bound)
            for segment in self._segments[first:last]:
                segment.append(watch)
        self._bounds = bounds
        return bounds


def _report(error: Exception) -> None:
    context = {"message": "a watch of the store raised", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
