"""From changes to watchers: watchers of equal selections are one group, and groups are found by what they select.

A change looks only at the groups of everything, of its namespace, of its very object, and of the values that its
indexed fields have or had (a kubelet's `spec.nodeName=...`); the selectors of other groups are not even asked.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from knarr.watchcache.change import Change, WatchEvent
from knarr.watchcache.selection import Selection
from knarr.watchcache.watcher import Watcher


class Group:
    """The watchers of one selection."""

    __slots__ = ("selection", "watchers")

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.watchers: dict[Watcher, None] = {}

    def deliver(self, events: list[WatchEvent]) -> None:
        """Each form of the batch is made once; a watcher costs one call."""
        payloads: dict[Hashable, Any] = {}
        first, last = events[0].revision, events[-1].revision
        for watcher in list(self.watchers):
            if watcher.after >= first:
                # Joined during this very publication, or waits for a revision in the future.
                if watcher.after < last:
                    later = [event for event in events if event.revision > watcher.after]
                    watcher.deliver(watcher.representation.payload(later))
                continue
            key = watcher.representation.key
            payload = payloads.get(key)
            if payload is None:
                payload = payloads[key] = watcher.representation.payload(events)
            watcher.deliver(payload)


class Fanout:
    """All watchers of a resource."""

    def __init__(self, indexed: tuple[str, ...] = ()) -> None:
        """`indexed` names the fields by whose exact value watchers are looked up."""
        self._indexed = indexed
        self._groups: dict[Selection, Group] = {}
        #: where a change looks for groups: ("",), (namespace,), (namespace, name) or (field, value, "=")
        self._places: dict[tuple[str, ...], dict[Group, None]] = {}
        #: indexed fields that some group selects by; only then are fields looked at
        self._used: dict[str, int] = {}
        #: events told so far, each counted for each watcher
        self.sent = 0

    def __len__(self) -> int:
        return sum(len(group.watchers) for group in self._groups.values())

    def interested(self, namespace: str, name: str) -> int:
        """How many watchers a change of that object concerns, but for those that select one value of an indexed field:
        hardly any of them is asked."""
        places = {("",), ("", name), (namespace,), (namespace, name)}
        return sum(len(group.watchers) for place in places for group in self._places.get(place, ()))

    def watchers(self) -> list[Watcher]:
        return [watcher for group in self._groups.values() for watcher in group.watchers]

    def add(self, watcher: Watcher) -> None:
        selection = watcher.selection
        group = self._groups.get(selection)
        if group is None:
            group = self._groups[selection] = Group(selection)
            place = self._place(selection)
            self._places.setdefault(place, {})[group] = None
            if len(place) == 3:
                self._used[place[0]] = self._used.get(place[0], 0) + 1
        group.watchers[watcher] = None

    def remove(self, watcher: Watcher) -> None:
        group = self._groups.get(watcher.selection)
        if group is None or watcher not in group.watchers:
            return
        del group.watchers[watcher]
        if not group.watchers:
            del self._groups[watcher.selection]
            place = self._place(watcher.selection)
            groups = self._places[place]
            del groups[group]
            if not groups:
                del self._places[place]
            if len(place) == 3:
                self._used[place[0]] -= 1
                if not self._used[place[0]]:
                    del self._used[place[0]]

    def _place(self, selection: Selection) -> tuple[str, ...]:
        if selection.name:
            # A name without a namespace (a cluster-scoped object, or one name in all namespaces).
            return (selection.namespace, selection.name)
        for field in self._indexed:
            value = selection.required(field)
            if value is not None:
                return (field, value, "=")
        return (selection.namespace,)

    def publish(self, changes: list[Change]) -> None:
        """Tell every watcher of its part of a batch."""
        if not self._groups:
            return
        parts: dict[Group, list[WatchEvent]] = {}
        for change in changes:
            for group in self._candidates(change):
                event = group.selection.translate(change)
                if event is None:
                    continue
                part = parts.get(group)
                if part is None:
                    parts[group] = [event]
                else:
                    part.append(event)
        for group, events in parts.items():
            self.sent += len(events) * len(group.watchers)
            group.deliver(events)

    def _candidates(self, change: Change) -> Iterator[Group]:
        places = self._places
        entry = change.entry or change.prev
        assert entry is not None
        namespace, name = entry.namespace, entry.name
        keys: list[tuple[str, ...]] = [("",), ("", name), (namespace,), (namespace, name)]
        if not namespace:
            del keys[2:]
        for field in self._used:
            keys += self._values(change, field)
        for key in keys:
            groups = places.get(key)
            if groups:
                for group in groups:
                    if (
                        len(key) < 3
                        or not group.selection.namespace
                        or group.selection.namespace == namespace
                    ):
                        yield group

    @staticmethod
    def _values(change: Change, field: str) -> list[tuple[str, ...]]:
        """The places of the values that a field has and had."""
        now = change.entry.fields.get(field, "") if change.entry is not None else None
        was = change.prev.fields.get(field, "") if change.prev is not None else None
        return [(field, value, "=") for value in ((now,) if now == was else (now, was)) if value is not None]
