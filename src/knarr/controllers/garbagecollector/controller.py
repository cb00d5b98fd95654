"""Deletes dependents without owners, and finishes deletions in the foreground and of owners that orphan."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

from knarr.api.resources import Resource
from knarr.client.batches import all_of
from knarr.client.client import Client, is_not_found
from knarr.client.codec import Partial
from knarr.client.events import LRU
from knarr.client.informer import SharedInformers
from knarr.controllers.base import KubeController
from knarr.controllers.garbagecollector.decide import (
    KEEP,
    Owner,
    judge,
    unblocking,
    without_finalizer,
    without_owners,
)
from knarr.controllers.garbagecollector.graph import (
    FOREGROUND,
    ORPHAN,
    Graph,
    Item,
    blocks,
    item_of,
    unblocked,
    waits_for_dependents,
    waits_for_orphaning,
)
from knarr.controllers.garbagecollector.monitors import Monitors
from knarr.controllers.served import API_SERVICE, CRD, discover
from knarr.meta.errors import StatusError
from knarr.world import World

log = logging.getLogger(__name__)

#: the cluster is to be usable before sixty resources are read
START_SECONDS = 1.0
#: whoever makes an object for an owner that never was reads it back first, as where the collector is a process apart
DANGLING_SECONDS = 0.1
#: servers of other APIs are asked again after so long where they did not answer
REDISCOVER_SECONDS = 30.0


class Task(NamedTuple):
    """What a worker is to do: `look` at an object's owners, `orphan` its dependents, or follow new `resources`."""

    what: str
    item: Item


RESOURCES = Task("resources", Item("", "", "", "", ""))


class GarbageCollector(KubeController):
    """Keys are `Task`s."""

    name = "garbage-collector-controller"
    service_account = "generic-garbage-collector"
    workers = 20

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.graph = Graph()
        self.monitors = Monitors(informers, self.added, self.updated, self.deleted)
        #: (uid, namespace) of owners that were looked for and not found; no object gets an old uid again
        self.absent: LRU[bool] = LRU()
        #: dependents of kinds that are not served, until that changes
        self.unresolved: dict[Item, None] = {}
        self.crds = self.watch(
            CRD, self._resources_changed, lambda *_: self._resources_changed(), self._resources_changed
        )
        self.api_services = self.watch(
            API_SERVICE,
            self._resources_changed,
            lambda *_: self._resources_changed(),
            self._resources_changed,
        )
        self._running = False
        self._beginning: asyncio.Task[None] | None = None

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns at once; begins to work when the rest of the cluster has started."""
        self._beginning = asyncio.get_running_loop().create_task(self._begin(), name=f"{self.name} start")

    async def stop(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.gather(self._beginning, return_exceptions=True)
        await super().stop()

    async def _begin(self) -> None:
        await asyncio.sleep(START_SECONDS)
        for informer in (self.crds, self.api_services):
            informer.start()
            await informer.wait_for_sync()
        await self.follow_resources()
        self._running = True
        for row, obj in self.monitors.all():
            self._look_if_odd(row, obj)
        await super().start()

    def _resources_changed(self, *_: Any) -> None:
        if self._running:
            self.queue.add(RESOURCES)

    async def follow_resources(self) -> None:
        """Follow everything that is served now."""
        found = await discover(self.client, self.crds.indexer.list(), self.api_services.indexer.list())
        if found.failures:
            self.queue.add_after(RESOURCES, REDISCOVER_SECONDS)
        await self.monitors.follow(found.rows)
        unresolved, self.unresolved = self.unresolved, {}
        for item in unresolved:
            self._look(item)

    # -- events ------------------------------------------------------------------------------------------

    def added(self, row: Resource, obj: Any) -> None:
        if obj.metadata.ownerReferences:
            self.graph.enter(item_of(row, obj), obj.metadata.ownerReferences)
        if self._running:
            self._look_if_odd(row, obj)

    def updated(self, row: Resource, old: Any, new: Any) -> None:
        before, after = old.metadata, new.metadata
        if before.uid != after.uid:
            self.deleted(row, old)
            self.added(row, new)
            return
        if before.ownerReferences != after.ownerReferences:
            item = item_of(row, new)
            self.graph.leave(item, before.ownerReferences)
            self.graph.enter(item, after.ownerReferences)
            for ref in before.ownerReferences:
                if ref.uid in unblocked(before.ownerReferences, after.ownerReferences):
                    self._look_at_owner(ref, item.namespace)
            if self._running:
                self._look_if_odd(row, new)
        elif after.deletionTimestamp is not None and (
            before.deletionTimestamp is None or before.finalizers != after.finalizers
        ):
            self._look_if_odd(row, new)

    def deleted(self, row: Resource, obj: Any) -> None:
        meta = obj.metadata
        if meta.ownerReferences:
            item = item_of(row, obj)
            self.graph.leave(item, meta.ownerReferences)
            for ref in meta.ownerReferences:
                self._look_at_owner(ref, item.namespace)
        if self.graph.has_dependents(meta.uid):
            self.absent.put((meta.uid, (meta.namespace or "")), True)
            for dependent in self.graph.dependents(meta.uid):
                self._look(dependent)

    def _look(self, item: Item) -> None:
        if self._running:
            self.queue.add(Task("look", item))

    def _look_at_owner(self, ref: Any, namespace: str) -> None:
        """It may wait for its dependents; then one less holds it."""
        meta = self.monitors.owner_meta(ref, namespace)
        if meta is not None and waits_for_dependents(meta):
            row = self.monitors.owner_row(ref)
            assert row is not None
            place = namespace if row.namespaced else ""
            self._look(Item(row.group, row.name, place, ref.name, ref.uid))

    def _look_if_odd(self, row: Resource, obj: Any) -> None:
        """Queue what an object's state asks for: its owners may be gone, its deletion may need us."""
        meta = obj.metadata
        if meta.deletionTimestamp is not None and meta.finalizers:
            if waits_for_orphaning(meta):
                self.queue.add(Task("orphan", item_of(row, obj)))
            if waits_for_dependents(meta):
                for dependent in self.graph.dependents(meta.uid):
                    self._look(dependent)
                self._look(item_of(row, obj))
                return
        for ref in meta.ownerReferences:
            owner = self.monitors.owner_meta(ref, meta.namespace or "")
            if owner is None:
                self.queue.add_after(Task("look", item_of(row, obj)), DANGLING_SECONDS)
                return
            if waits_for_dependents(owner):
                self._look(item_of(row, obj))
                return

    # -- work --------------------------------------------------------------------------------------------

    async def reconcile(self, key: Any) -> None:
        task: Task = key
        if task.what == "resources":
            await self.follow_resources()
            return
        meta = self.monitors.meta(task.item)
        row = self.monitors.row(task.item)
        if meta is None or row is None:
            return
        if task.what == "orphan":
            await self.orphan(task.item, row, meta)
        elif waits_for_dependents(meta):
            await self.finish_foreground(task.item, row, meta)
        elif meta.deletionTimestamp is None:
            await self.collect(task.item, row, meta)

    async def collect(self, item: Item, row: Resource, meta: Any) -> None:
        """Delete the object if no owner keeps it; drop references to owners that are gone."""
        owners = []
        for ref in meta.ownerReferences:
            owner = await self.owner(ref, item)
            if owner is None:
                return
            owners.append(owner)
        dependents = self.graph.dependents(item.uid)
        verdict = judge(meta, owners, bool(dependents), any(self._waits(d) for d in dependents))
        if verdict == KEEP:
            return
        if verdict.drop:
            await self.patch(row, meta, without_owners(meta, verdict.drop))
            return
        version = meta.resourceVersion
        if verdict.unblock:
            changed = await self.patch(row, meta, unblocking(meta))
            if changed is None:
                return
            version = changed.metadata.resourceVersion
        try:
            await self.client.delete(
                Partial(row),
                item.name,
                item.namespace,
                resource=row,
                uid=item.uid,
                resource_version=version,
                propagation=verdict.policy,
            )
        except StatusError as error:
            if not is_not_found(error):
                raise

    def _waits(self, item: Item) -> bool:
        meta = self.monitors.meta(item)
        return meta is not None and waits_for_dependents(meta)

    async def owner(self, ref: Any, item: Item) -> Owner | None:
        """What a reference leads to; None where that cannot be said (yet), and nothing may be done."""
        row = self.monitors.owner_row(ref)
        if row is None:
            self.unresolved[item] = None
            return None
        if row.namespaced and not item.namespace:
            return None  # not a valid reference; to delete for it would be bold
        namespace = item.namespace if row.namespaced else ""
        if self.absent.get((ref.uid, namespace)):
            return Owner.DANGLING
        try:
            found = (await self.client.get(Partial(row), ref.name, namespace)).metadata
        except StatusError as error:
            if not is_not_found(error):
                raise
            found = None
        if found is None or found.uid != ref.uid:
            self.absent.put((ref.uid, namespace), True)
            if self.monitors.elsewhere(ref, namespace):
                self._tell_of_namespace(ref, item)
            return Owner.DANGLING
        return Owner.WAITING if waits_for_dependents(found) else Owner.SOLID

    def _tell_of_namespace(self, ref: Any, item: Item) -> None:
        row = self.monitors.row(item)
        assert row is not None
        about = {
            "apiVersion": row.api_version,
            "kind": row.kind,
            "namespace": item.namespace,
            "name": item.name,
            "uid": item.uid,
        }
        owner = (
            f"[{ref.apiVersion}/{ref.kind}, namespace: {item.namespace}, name: {ref.name}, uid: {ref.uid}]"
        )
        self.events.event(
            about,
            "Warning",
            "OwnerRefInvalidNamespace",
            f'ownerRef {owner} does not exist in namespace "{item.namespace}"',
        )

    async def finish_foreground(self, item: Item, row: Resource, meta: Any) -> None:
        """Let the object go once nothing blocks it."""
        blocking = []
        for dependent in self.graph.dependents(item.uid):
            known = self.monitors.meta(dependent)
            if known is not None and blocks(known, item.uid):
                blocking.append((dependent, known))
        if not blocking:
            await self.patch(row, meta, without_finalizer(meta, FOREGROUND))
        for dependent, known in blocking:
            if known.deletionTimestamp is None:
                self._look(dependent)

    async def orphan(self, item: Item, row: Resource, meta: Any) -> None:
        """Free all dependents, then let the owner go."""
        if not waits_for_orphaning(meta):
            return

        async def free(dependent: Item) -> None:
            known, its_row = self.monitors.meta(dependent), self.monitors.row(dependent)
            if known is not None and its_row is not None:
                await self.patch(its_row, known, without_owners(known, (item.uid,)))

        await all_of(free, self.graph.dependents(item.uid))
        await self.patch(row, meta, without_finalizer(meta, ORPHAN))

    async def patch(self, row: Resource, meta: Any, body: dict[str, Any]) -> Any | None:
        """The object's metadata as it is then; None where it is gone. Raises Conflict for a state seen too early."""
        try:
            return await self.client.patch(Partial(row), meta.name, meta.namespace or "", body)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise
