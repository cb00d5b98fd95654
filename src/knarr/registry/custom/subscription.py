"""A subscription of this process to objects that a webhook converts: in order, as fast as the webhook is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from knarr.meta import errors
from knarr.registry.storage import View
from knarr.watchcache import Entry, Selection

EntryEvent = tuple[str, Any, Any]
#: batches that wait for the webhook; beyond it the subscription ends with 410 and its reader lists again
BATCHES_MAX = 1000


class _Converted:
    """An entry in the view's version."""

    def __init__(self, entry: Entry, api_version: str, body: bytes) -> None:
        self._entry, self._api_version, self.body = entry, api_version, body
        self.namespace, self.name, self.mod_revision = entry.namespace, entry.name, entry.mod_revision

    def cached(self, key: Any, builder: Callable[[bytes, int], Any]) -> Any:
        return self._entry.cached(
            (self._api_version, key), lambda value, revision: builder(self.body, revision)
        )


class ConvertedSubscription:
    """Ends by `close`, or by itself: `closed(error)` is called once where the webhook fails or the resource goes."""

    def __init__(
        self,
        view: View,
        selection: Selection,
        since: int | None,
        callback: Callable[[list[EntryEvent]], None],
        closed: Callable[[errors.StatusError | None], None],
    ) -> None:
        self._view, self._callback, self._closed = view, callback, closed
        self._batches: asyncio.Queue[list[EntryEvent] | None] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._run())
        self._watcher = view.storage.cacher.subscribe(self._take, selection, since=since, closed=self._ended)

    def close(self) -> None:
        self._closed = lambda error: None
        self._watcher.close()
        self._task.cancel()

    def _take(self, batch: list[EntryEvent]) -> None:
        if self._batches.qsize() >= BATCHES_MAX:
            self._end(errors.expired("the watcher fell too far behind"))
        else:
            self._batches.put_nowait(batch)

    def _ended(self, why: str) -> None:
        self._batches.put_nowait(None)

    def _end(self, error: errors.StatusError | None) -> None:
        closed = self._closed
        self.close()
        closed(error)

    async def _run(self) -> None:
        while (batch := await self._batches.get()) is not None:
            try:
                events = await self._converted(batch)
            except errors.StatusError as error:
                self._end(error)
                return
            self._callback(events)
        self._end(None)

    async def _converted(self, batch: list[EntryEvent]) -> list[EntryEvent]:
        entries = list({id(e): e for _, *both in batch for e in both if e is not None}.values())
        states = [(entry.value, entry.mod_revision) for entry in entries]
        objects = await self._view.conversion.objects(states)
        api_version = self._view.row.api_version
        made = {
            id(entry): _Converted(entry, api_version, orjson.dumps(obj))
            for entry, obj in zip(entries, objects, strict=True)
        }
        return [(type_, made[id(entry)], prev and made[id(prev)]) for type_, entry, prev in batch]
