"""ResourceQuota: count again what a namespace uses, whenever something in it went or shrank.

Admission adds what is created; this controller takes away what is gone. What one object counts for is admission's
own table (`admission.quota.usage`), so the two never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.admission.quota import amounts, scopes, usage
from knarr.admission.quota.amounts import Amounts
from knarr.api.resource.claimfacts import EXTENDED_RESOURCE_CLAIM
from knarr.api.resources import Resource
from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1, resource_v1
from knarr.client.client import Client
from knarr.client.codec import Partial
from knarr.client.controller import Requeue
from knarr.client.informer import Informer, SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import GATHER_SECONDS_MIN, KubeController
from knarr.controllers.served import BUILT_IN, CRD, custom_row
from knarr.world import World

#: everything is counted again after so long
RESYNC_SECONDS = 300.0
#: counting takes time in proportion to the objects: so long are deletions gathered before one count
SECONDS_PER_OBJECT = 20e-6

Place = tuple[str, str]
#: resources whose objects count for more than one each
WEIGHED: dict[Place, Any] = {
    ("", "pods"): core_v1.Pod,
    ("", "services"): core_v1.Service,
    ("", "persistentvolumeclaims"): core_v1.PersistentVolumeClaim,
    usage.CLAIMS: resource_v1.ResourceClaim,
}


class ResourceQuotaController(KubeController):
    """Keys are quotas."""

    name = "resourcequota-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.followed: dict[Place, Informer] = {}
        self._counted: dict[Key, Counted] = {}
        self._classes: Informer | None = None
        self._others = usage.Others(self._resource_of_class, self._pod)
        self.quotas = self.watch(core_v1.ResourceQuota, self.enqueue, self._updated, self._deleted)
        self.crds = self.watch(
            CRD, self._resources_changed, lambda *_: self._resources_changed(), self._resources_changed
        )

    # -- events ------------------------------------------------------------------------------------------

    def _updated(self, old: Any, new: Any) -> None:
        if old.spec != new.spec:
            self.enqueue(new)

    def _deleted(self, quota: Any) -> None:
        self._counted.pop(key_of(quota), None)

    def _resources_changed(self, *_: Any) -> None:
        for quota in self.quotas.indexer.list():
            if any("/" in name for name in quota.spec.hard):
                self.enqueue(quota)

    def _replenish(self, place: Place, namespace: str) -> None:
        """Something of a resource is there no more: whoever counts it counts again."""
        for quota in self.quotas.indexer.list(namespace):
            if any(usage.tracks(*place, name) for name in quota.spec.hard):
                seconds = self._size(quota) * SECONDS_PER_OBJECT
                self.enqueue_after(quota, seconds if seconds >= GATHER_SECONDS_MIN else 0)

    def _size(self, quota: Any) -> int:
        counted = self._counted.get(key_of(quota))
        return len(counted) if counted is not None else 0

    # -- what is counted ---------------------------------------------------------------------------------

    def rows(self) -> dict[Place, Resource]:
        """Every namespaced resource."""
        custom = [row for crd in self.crds.indexer.list() if (row := custom_row(crd)) is not None]
        return {(row.group, row.name): row for row in (*BUILT_IN, *custom) if row.namespaced}

    async def follow(self, places: Iterable[tuple[Place, Resource]]) -> None:
        """Follow resources that a quota counts; nothing is followed that none does."""
        new = []
        for place, row in places:
            if place not in self.followed:
                self.followed[place] = self._informer(place, row)
                new.append(self.followed[place])
        if usage.CLAIMS in self.followed and self._classes is None:
            self._classes = self.informers.of(resource_v1.DeviceClass)
            self._classes.add_handler(self._class_changed, self._class_changed, self._class_changed)
            new.append(self._classes)
        for informer in new:
            informer.start()
            await informer.wait_for_sync()

    def _informer(self, place: Place, row: Resource) -> Informer:
        target = WEIGHED.get(place) or Partial(row)
        informer = self.informers.of(target)

        def deleted(obj: Any) -> None:
            self._replenish(place, obj.metadata.namespace)

        def updated(old: Any, new: Any) -> None:
            if shrank(place, old, new):
                self._replenish(place, new.metadata.namespace)

        informer.add_handler(None, updated if place in WEIGHED else None, deleted)
        return informer

    def _class_changed(self, *_: Any) -> None:
        """Its devices may count for another resource: with the next count."""
        self._counted.clear()

    def _resource_of_class(self, name: str) -> str:
        found = self._classes.indexer.get(Key("", name)) if self._classes is not None else None
        return (found.spec.extendedResourceName or "") if found is not None else ""

    def _pod(self, namespace: str, name: str) -> dict[str, Any] | None:
        pods = self.followed.get(("", "pods"))
        found = pods.indexer.get(Key(namespace, name)) if pods is not None else None
        return scheme().to_dict(found) if found is not None else None

    # -- work --------------------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Requeue | None:
        quota = self.quotas.indexer.get(key)
        if quota is None:
            return None
        names = list(quota.spec.hard)
        tracked = {
            place: row
            for place, row in self.rows().items()
            if any(usage.tracks(*place, name) for name in names)
        }
        await self.follow(tracked.items())
        counted = self._counted.setdefault(key, Counted(self._others))
        counted.begin(quota)
        totals: Amounts = {}
        now = self.clock.now()
        for place in tracked:
            matching = [name for name in names if usage.tracks(*place, name)]
            found = dict.fromkeys(matching, usage.ZERO)
            for obj in self.followed[place].indexer.list(key.namespace):
                found = amounts.add(found, amounts.only(counted.of(place, obj, now), matching))
            totals = amounts.add(totals, found)
        used = {name: totals[name] for name in names if name in totals}
        if dict(quota.status.hard) != dict(quota.spec.hard) or dict(quota.status.used) != used:
            await self.client.update_status(
                evolve(quota, status={"hard": dict(quota.spec.hard), "used": used})
            )
        return Requeue(RESYNC_SECONDS)


class Counted:
    """What each object counts for in one quota, asked again only of those that changed."""

    def __init__(self, others: usage.Others) -> None:
        self._others = others
        self._quota: Any = None
        self._wire: dict[str, Any] = {}
        self._known: dict[tuple[Place, Key], tuple[Any, Amounts]] = {}
        self._before: dict[tuple[Place, Key], tuple[Any, Amounts]] = {}

    def begin(self, quota: Any) -> None:
        """Start a count; what is not asked for in it is forgotten after the next."""
        if self._quota is None or self._quota.spec != quota.spec:
            self._known = {}
            self._wire = scheme().to_dict(quota)
        self._quota = quota
        self._before, self._known = self._known, {}

    def of(self, place: Place, obj: Any, now: float) -> Amounts:
        at = place, key_of(obj)
        entry = self._before.get(at)
        if entry is not None and entry[0] is obj:
            self._known[at] = entry
            return entry[1]
        found = self._count(place, obj, now)
        # one that is being deleted counts until its time is up, and what a claim made for a pod counts for depends
        # on the pod: these must be asked anew
        if obj.metadata.deletionTimestamp is None and EXTENDED_RESOURCE_CLAIM not in obj.metadata.annotations:
            self._known[at] = obj, found
        return found

    def _count(self, place: Place, obj: Any, now: float) -> Amounts:
        wire = scheme().to_dict(obj) if place in WEIGHED else {"metadata": {}}
        if not scopes.in_scope(self._wire, *place, wire):
            return {}
        return usage.usage(*place, wire, now, self._others)

    def __len__(self) -> int:
        return len(self._known)


def shrank(place: Place, old: Any, new: Any) -> bool:
    """An update after which the object may count for less."""
    if place == ("", "pods"):
        ended = ("Succeeded", "Failed")
        return (
            (new.status.phase in ended) != (old.status.phase in ended)
            or old.spec.containers != new.spec.containers
            or _resized(old.status.containerStatuses, new.status.containerStatuses)
            or _resized(old.status.initContainerStatuses, new.status.initContainerStatuses)
            or (old.metadata.deletionTimestamp is None) != (new.metadata.deletionTimestamp is None)
        )
    return old.spec != new.spec or (place == ("", "persistentvolumeclaims") and old.status != new.status)


def _resized(old: Iterable[Any], new: Iterable[Any]) -> bool:
    """Has any of the containers other resources now than those it showed before?"""
    before = {shown.name: (shown.resources, shown.allocatedResources) for shown in old if shown.resources}
    return any(
        before.get(s.name, (s.resources, s.allocatedResources)) != (s.resources, s.allocatedResources)
        for s in new
    )
