"""An informer for every resource that can be deleted, as resources come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from knarr.api.resources import Resource
from knarr.client.codec import Partial, Target
from knarr.client.informer import Handler, Informer, SharedInformers
from knarr.controllers.garbagecollector.graph import Item

#: never owners, hardly ever owned, and many
IGNORED = {("", "events"), ("events.k8s.io", "events")}

#: how long new resources are waited for
SYNC_SECONDS = 30.0

Added = Callable[[Resource, Any], None]
Updated = Callable[[Resource, Any, Any], None]


class Monitor(NamedTuple):
    """One resource that is followed. `shared`: others follow it too."""

    row: Resource
    informer: Informer
    handler: Handler
    shared: bool


class Monitors:
    """`added`, `updated` and `deleted` hear of every object of every resource."""

    def __init__(self, informers: SharedInformers, added: Added, updated: Updated, deleted: Added) -> None:
        self._informers = informers
        self._added, self._updated, self._deleted = added, updated, deleted
        self._monitors: dict[tuple[str, str], Monitor] = {}
        #: every kind that is served, followed or not, by group and kind
        self.kinds: dict[tuple[str, str], Resource] = {}

    async def follow(self, rows: Iterable[Resource]) -> bool:
        """Follow exactly these; returns when all have synced. True where there are new ones."""
        rows = list(rows)
        self.kinds = {(row.group, row.kind): row for row in rows}
        wanted = {
            (row.group, row.name): row
            for row in rows
            if "watch" in row.verbs and (row.group, row.name) not in IGNORED
        }
        for place in [place for place in self._monitors if place not in wanted]:
            await self._forget(place)
        new = [self._begin(row) for place, row in wanted.items() if place not in self._monitors]
        for monitor in new:
            monitor.informer.start()
            # one resource at a time: nobody else is to wait for this
            await asyncio.sleep(0)
        # Another server may not answer: that one is followed when it does, and keeps nobody waiting for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(SYNC_SECONDS):
                for monitor in new:
                    await monitor.informer.wait_for_sync()
        return bool(new)

    def _begin(self, row: Resource) -> Monitor:
        target = self._target(row)
        informer = self._informers.of(target)
        handler = informer.add_handler(
            lambda obj: self._added(row, obj),
            lambda old, new: self._updated(row, old, new),
            lambda obj: self._deleted(row, obj),
        )
        monitor = Monitor(row, informer, handler, type(target) is not Partial)
        self._monitors[row.group, row.name] = monitor
        return monitor

    def _target(self, row: Resource) -> Target:
        """What others decode already costs nothing; else metadata is enough."""
        for target in self._informers.whole(row):
            if isinstance(target, type):
                return target
        return Partial(row)

    async def _forget(self, place: tuple[str, str]) -> None:
        monitor = self._monitors.pop(place)
        monitor.handler.remove()
        if not monitor.shared:
            await self._informers.forget(monitor.informer.target)

    # -- looking things up -------------------------------------------------------------------------------

    def row(self, item: Item) -> Resource | None:
        monitor = self._monitors.get((item.group, item.resource))
        return monitor.row if monitor is not None else None

    def meta(self, item: Item) -> Any | None:
        """The metadata of this very object as it was last seen; None where it is gone."""
        monitor = self._monitors.get((item.group, item.resource))
        if monitor is None:
            return None
        obj = monitor.informer.indexer.get((item.namespace, item.name))
        return obj.metadata if obj is not None and obj.metadata.uid == item.uid else None

    def owner_row(self, ref: Any) -> Resource | None:
        """The resource that an owner reference is about; None for a kind that is not served."""
        group, _, _ = ref.apiVersion.rpartition("/")
        return self.kinds.get((group, ref.kind))

    def owner_meta(self, ref: Any, namespace: str) -> Any | None:
        """The metadata of an owner where a dependent in `namespace` may look for it."""
        row = self.owner_row(ref)
        if row is None:
            return None
        place = namespace if row.namespaced else ""
        return self.meta(Item(row.group, row.name, place, ref.name, ref.uid))

    def elsewhere(self, ref: Any, namespace: str) -> bool:
        """The owner exists, but in a namespace other than `namespace`. Looks through the whole kind."""
        row = self.owner_row(ref)
        monitor = self._monitors.get((row.group, row.name)) if row is not None else None
        if monitor is None:
            return False
        return any(
            obj.metadata.uid == ref.uid and (obj.metadata.namespace or "") != namespace
            for obj in monitor.informer.indexer.list()
        )

    def all(self) -> Iterator[tuple[Resource, Any]]:
        """Every object that is known."""
        for monitor in list(self._monitors.values()):
            for obj in monitor.informer.indexer.list():
                yield monitor.row, obj

    def __len__(self) -> int:
        return len(self._monitors)
