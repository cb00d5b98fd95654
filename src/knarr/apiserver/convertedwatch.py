"""A watch of objects that a webhook converts: events wait in order until they are known in the watcher's version.

Between the fan-out, which must not wait, and the connection. Events of one batch are converted by one review; the
conversions are shared by all watchers of a version (registry/custom/conversion.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

import orjson

from knarr.meta import errors
from knarr.registry.storage import View
from knarr.watchcache import Representation, Selection, WatchEvent

#: events that may wait for the webhook, on top of the present state; beyond it the watch is cut
EVENTS_MAX = 10_000
#: events that are converted at once
BATCH_EVENTS = 500
Object = dict[str, Any]


class ConvertedEvent:
    """A `WatchEvent` in the watcher's version."""

    __slots__ = ("json", "revision", "type")

    def __init__(self, type_: str, obj: Object, revision: int) -> None:
        self.type, self.revision = type_, revision
        self.json = orjson.dumps({"type": type_, "object": obj}) + b"\n"

    def encoded(self, key: Hashable, builder: Callable[[Any], Any]) -> Any:
        return builder(self)


class ConvertedWatch:
    """One watcher's. `send` gets what `representation` makes of the events and waits while the client is slow;
    `ended(why)` is called once when nothing more comes: "slow" or "failed"."""

    def __init__(
        self,
        view: View,
        selection: Selection,
        representation: Representation,
        send: Callable[[Any], Any],
        ended: Callable[[str], None],
    ) -> None:
        self._view, self._selection, self._representation = view, selection, representation
        self._send, self._ended = send, ended
        self._events: list[WatchEvent] = []
        self._more = asyncio.Event()
        self._bound: int | None = None

    @property
    def selection(self) -> Selection:
        """What the cache is asked for: labels and fields are known after the conversion only."""
        chosen = self._selection
        return chosen if chosen.exact else Selection(chosen.namespace, chosen.name)

    def put(self, events: list[WatchEvent]) -> None:
        """From the fan-out."""
        self._events += events
        self._more.set()
        if self._bound is not None and len(self._events) > self._bound:
            self._ended("slow")

    async def run(self) -> None:
        """Until cancelled, or until a conversion fails: that is told as an ERROR event."""
        self._bound = len(self._events) + EVENTS_MAX
        while True:
            await self._more.wait()
            batch, self._events = self._events[:BATCH_EVENTS], self._events[BATCH_EVENTS:]
            if not self._events:
                self._more.clear()
            try:
                converted = await self._converted(batch)
            except errors.StatusError as error:
                status = errors.failure(500, "InternalError", error.message)
                event = ConvertedEvent("ERROR", status, 0)
                await self._send(self._representation_of_errors().payload([event]))  # type: ignore[list-item]
                self._ended("failed")
                return
            if converted:
                await self._send(self._representation.payload(converted))

    @staticmethod
    def _representation_of_errors() -> Representation:
        from knarr.apiserver.watch import CHUNKED_JSON

        return CHUNKED_JSON

    async def _converted(self, batch: list[WatchEvent]) -> list[Any]:
        """The events that are selected, in the watcher's version."""
        states: dict[tuple[bytes, int], int] = {}
        for event in batch:
            if event.type != "BOOKMARK":
                states.setdefault((event.entry.value, event.revision), len(states))
                if not self._selection.exact and event.prev is not None:
                    states.setdefault((event.prev.value, event.revision), len(states))
        objects = await self._view.conversion.objects(list(states))
        found: list[Any] = []
        for event in batch:
            if event.type == "BOOKMARK":
                found.append(self._bookmark(event))
                continue
            now = objects[states[event.entry.value, event.revision]]
            was = None
            if not self._selection.exact and event.prev is not None:
                was = objects[states[event.prev.value, event.revision]]
            type_, obj = self._translated(event.type, now, was)
            if type_:
                found.append(ConvertedEvent(type_, obj, event.revision))
        return found

    def _translated(self, type_: str, now: Object, was: Object | None) -> tuple[str, Object]:
        """The event as the selectors see it; "" is none."""
        if self._selection.exact:
            return type_, now
        is_in = self._selects(now)
        if type_ == "DELETED":
            return (type_, now) if is_in else ("", now)
        was_in = type_ == "MODIFIED" and was is not None and self._selects(was)
        if is_in:
            return ("MODIFIED" if was_in else "ADDED"), now
        return ("DELETED", was) if was_in and was is not None else ("", now)

    def _selects(self, obj: Object) -> bool:
        view, selection = self._view, self._selection
        return view.conversion.selects(obj, view.kind, selection.labels, selection.fields)

    def _bookmark(self, event: WatchEvent) -> ConvertedEvent:
        obj = orjson.loads(event.json)["object"]
        obj["apiVersion"] = self._view.row.api_version
        return ConvertedEvent("BOOKMARK", obj, event.revision)
