"""Compaction by itself, as etcd's --auto-compaction-mode and --auto-compaction-retention have it."""

from __future__ import annotations

import asyncio
from collections import deque

from knarr.store.base import Store
from knarr.store.errors import Compacted, StoreError

#: how often the revision mode looks
REVISION_INTERVAL_SECONDS = 300.0
#: the periodic mode looks so many times per retention, but not less than once an hour
STEPS_PER_RETENTION = 10
MODES = ("periodic", "revision")


def parse_retention(mode: str, text: str) -> float:
    """Revisions, or seconds from "5m" or from a bare number of hours; 0 is no compaction. Raises ValueError."""
    if mode not in MODES:
        raise ValueError(f'unsupported compaction mode "{mode}": use "periodic" or "revision"')
    if text.isascii() and text.isdigit():
        return float(text) * (3600 if mode == "periodic" else 1)
    if mode == "revision":
        raise ValueError(f'invalid retention "{text}": mode "revision" takes a number of revisions')
    from knarr.meta import times

    seconds = times.parse_go_duration(text)
    if seconds < 0:
        raise ValueError(f'invalid retention "{text}": it must not be negative')
    return seconds


class AutoCompactor:
    """Keeps a store's history to `retention` revisions, or to about `retention` seconds."""

    def __init__(self, store: Store, mode: str, retention: float) -> None:
        self._store = store
        self._mode = mode
        self._retention = retention
        #: revisions at the last looks, the oldest first
        self._looks: deque[int] = deque()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running loop; does nothing with a retention of 0."""
        if self._retention and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="store-compactor")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        interval = REVISION_INTERVAL_SECONDS
        if self._mode == "periodic":
            interval = min(self._retention, 3600.0) / STEPS_PER_RETENTION
        while True:
            await asyncio.sleep(interval)
            target = self.plan(interval)
            if target is None:
                continue
            try:
                await self._store.compact(target)
            except Compacted:
                continue  # somebody else compacts too
            except StoreError:
                return  # the store failed or was closed; it has said so itself

    def plan(self, interval: float) -> int | None:
        """The revision to compact to at this look, or None."""
        store = self._store
        if self._mode == "revision":
            target = store.revision - int(self._retention)
        else:
            self._looks.append(store.revision)
            if len(self._looks) * interval <= self._retention:
                return None
            target = self._looks.popleft()
        return target if target > store.compact_revision else None
