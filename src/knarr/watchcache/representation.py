"""In which form a watcher wants its events. Watchers that ask for an equal form of equal events share the bytes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from knarr.watchcache.change import WatchEvent


class Representation:
    """Makes of a batch of events what a watcher's `send` takes. Equal `key`s must mean equal results."""

    key: Hashable = "events"

    def payload(self, events: list[WatchEvent]) -> Any:
        """Here: the events themselves."""
        return events


class Frames(Representation):
    """One run of bytes per event, built once however many watchers there are, joined once per batch."""

    def __init__(
        self,
        key: Hashable,
        frame: Callable[[WatchEvent], bytes],
        wrap: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """`key` names `frame` and `wrap` together; `wrap` puts what surrounds a whole batch (an HTTP chunk)."""
        self.key = key
        self._frame = frame
        self._wrap = wrap

    def payload(self, events: list[WatchEvent]) -> bytes:
        key, frame = self.key, self._frame
        if len(events) == 1:
            data = events[0].encoded(key, frame)
        else:
            data = b"".join([event.encoded(key, frame) for event in events])
        return self._wrap(data) if self._wrap is not None else data


class _Json(Representation):
    """Lines of a JSON watch stream."""

    key = "json"

    def payload(self, events: list[WatchEvent]) -> bytes:
        return events[0].json if len(events) == 1 else b"".join([event.json for event in events])


class _Triples(Representation):
    """(type, entry, entry before or None), for informers in this process."""

    key = "triples"

    def payload(self, events: list[WatchEvent]) -> list[tuple[str, Any, Any]]:
        return [(event.type, event.entry, event.prev) for event in events]


EVENTS = Representation()
JSON = _Json()
TRIPLES = _Triples()
