"""Keeps the endpoint slices of every service with a selector."""

from __future__ import annotations

from typing import Any

from knarr.api.types import core_v1, discovery_v1
from knarr.client.client import Client
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.endpointslice import topology
from knarr.controllers.endpointslice.desired import Place, families, grouped, placing
from knarr.controllers.endpointslice.reconcile import Plan, plan
from knarr.controllers.endpointslice.topology import ZONE
from knarr.controllers.endpointslice.tracker import SliceTracker
from knarr.controllers.endpointslice.writer import (
    MANAGED_BY,
    SERVICE_NAME,
    SliceWriter,
    slices_index,
    slices_of,
)
from knarr.controllers.servicepods import (
    HEADLESS_LABEL,
    Membership,
    PerPod,
    TriggerTimes,
    is_headless,
    with_trigger_time,
)
from knarr.meta.errors import StatusError
from knarr.world import World

MANAGER = "endpointslice-controller.k8s.io"
#: how long a write may take to be seen
STALE_SECONDS = 1.0


class EndpointSliceController(KubeController):
    """Keys are services."""

    name = "endpointslice-controller"
    component = "endpoint-slice-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.services = self.watch(core_v1.Service)
        self.pods = self.watch(core_v1.Pod)
        self.slices = self.watch(
            discovery_v1.EndpointSlice,
            self._slice_seen,
            lambda old, new: self._slice_seen(new),
            self._slice_deleted,
        )
        self.slices.indexer.add_index(SERVICE_NAME, slices_index)
        self.nodes = self.watch(core_v1.Node, self._node_added, self._node_updated, self._node_deleted)
        self.places: PerPod[Place] = PerPod(placing(self._zone_of, topology.wanted))
        #: endpoints by zone, by address family, of the services that have hints by zone
        self.hinted: dict[Key, dict[str, topology.Counts]] = {}
        self._ratios: dict[str, float] | None = None
        self._ratios_known = False
        self.waiting: dict[str, set[Key]] = {}  # services with pods on nodes that are not there, by node
        self.triggers = TriggerTimes()
        self.tracker = SliceTracker()
        self.writer = SliceWriter(self.client, self.tracker)
        self.members = Membership(self.touch)
        self.members.follow(self.services, self.pods)

    def touch(self, key: Key) -> None:
        """Soon: events are gathered for as long as a pass over the pods is worth."""
        self.queue.add_after(key, self.members.patience(key))

    # -- events ------------------------------------------------------------------------------------------

    def _slice_seen(self, piece: Any) -> None:
        key = _service_of(piece)
        if key is not None and self.tracker.is_news(key, piece):
            self.touch(key)

    def _slice_deleted(self, piece: Any) -> None:
        key = _service_of(piece)
        if key is not None and self.tracker.gone(key, piece):
            self.touch(key)

    def _zone_of(self, name: str) -> str | None:
        node = self.nodes.indexer.get(("", name))
        return node.metadata.labels.get(ZONE, "") if node is not None else None

    def _node_added(self, node: Any) -> None:
        self._capacity_changed()
        for key in sorted(self.waiting.pop(node.metadata.name, ())):
            self.places.forget(key)
            self.touch(key)

    def _node_deleted(self, node: Any) -> None:
        self.places.forget_all()
        self._capacity_changed()

    def _node_updated(self, old: Any, new: Any) -> None:
        moved = old.metadata.labels.get(ZONE) != new.metadata.labels.get(ZONE)
        if moved or topology.is_ready(old) != topology.is_ready(new):
            self._capacity_changed()
        if moved:
            self.places.forget_all()
            for service in self.services.indexer.list():
                if service.spec.selector:
                    self.touch(key_of(service))

    def _capacity_changed(self) -> None:
        """The zones' shares are others now: services in which one has too few endpoints are looked at again."""
        self._ratios_known = False
        for key, families_ in self.hinted.items():
            if any(topology.is_overloaded(counts, self._zone_ratios()) for counts in families_.values()):
                self.touch(key)

    def _zone_ratios(self) -> dict[str, float] | None:
        if not self._ratios_known:
            self._ratios = topology.cpu_ratios(self.nodes.indexer.list())
            self._ratios_known = True
        return self._ratios

    # -- work --------------------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Requeue | None:
        service = self.services.indexer.get(key)
        if service is None:
            # its slices are the garbage collector's
            self.triggers.forget(key)
            self.tracker.forget(key)
            self.places.forget(key)
            self.hinted.pop(key, None)
            return None
        if not service.spec.selector or service.spec.type == "ExternalName":
            return None
        slices = slices_of(self.slices.indexer, key, MANAGER)
        if self.tracker.is_stale(key, slices):
            return Requeue(STALE_SECONDS)
        pods = self.members.pods(key)
        trigger = self.triggers.of(service, pods.values())
        places = self.places.of(service, pods)
        for place in places:
            if place.missing_node:
                self.waiting.setdefault(place.missing_node, set()).add(key)
        labels = labels_for(service)
        todo, told = self._plan(service, places, slices, labels)
        if service.metadata.deletionTimestamp is not None:
            todo.create.clear()  # the garbage collector deletes what we would create
        try:
            await self.writer.write(service, todo, labels, lambda old: with_trigger_time(old, trigger))
        except StatusError as error:
            self.events.event(
                service,
                "Warning",
                "FailedToUpdateEndpointSlices",
                f"Error updating Endpoint Slices for Service {key}: {error.message}",
            )
            raise
        for type_, reason, message in told:
            self.events.event(service, type_, reason, message)
        return None

    def _plan(
        self, service: Any, places: list[Place], slices: list[Any], labels: dict[str, str]
    ) -> tuple[Plan, list[tuple[str, str, str]]]:
        """What to write, and events (type, reason, message) that tell of its hints."""
        groups = {family: grouped(places, family) for family in families(service)}
        by_zone = topology.wanted(service)
        if by_zone:
            for family, group in groups.items():
                topology.keep_hints(group, [piece for piece in slices if piece.addressType == family])
        todo = plan(slices, groups, labels)
        told = (self._hint(key_of(service), family, todo, slices, by_zone) for family in groups)
        return todo, [said for said in told if said is not None]

    def _hint(
        self, key: Key, family: str, todo: Plan, slices: list[Any], by_zone: bool
    ) -> tuple[str, str, str] | None:
        """Hints by zone for one address family's slices; an event (type, reason, message) where that is news."""
        known = self.hinted.get(key)
        if not by_zone:
            if known is None:
                return None
            # what had hints differs from what is desired, and is written without them already
            self._forget_hints(key, family)
            return "Warning", "TopologyAwareHintsDisabled", f"{topology.DISABLED}, addressType: {family}"
        drafts = [draft for draft in (*todo.create, *todo.update) if draft.family == family]
        touched = {id(draft.old) for draft in drafts} | {id(piece) for piece in todo.delete}
        unchanged = [piece for piece in slices if piece.addressType == family and id(piece) not in touched]
        try:
            counts, more = topology.add_hints(drafts, unchanged, self._zone_ratios())
        except topology.Impossible as why:
            todo.update += topology.remove_hints(drafts, unchanged)
            self._forget_hints(key, family)
            return "Warning", "TopologyAwareHintsDisabled", f"{why}, addressType: {family}"
        todo.update += more
        self.hinted.setdefault(key, {})[family] = counts
        if known is not None:
            return None
        return "Normal", "TopologyAwareHintsEnabled", f"{topology.ENABLED}, addressType: {family}"

    def _forget_hints(self, key: Key, family: str) -> None:
        known = self.hinted.get(key, {})
        known.pop(family, None)
        if not known:
            self.hinted.pop(key, None)


def _service_of(piece: Any) -> Key | None:
    labels = piece.metadata.labels
    if labels.get(MANAGED_BY) != MANAGER or SERVICE_NAME not in labels:
        return None
    return Key(piece.metadata.namespace, labels[SERVICE_NAME])


def labels_for(service: Any) -> dict[str, str]:
    """The service's own, and what slices are found by."""
    labels = dict(service.metadata.labels)
    labels.pop(HEADLESS_LABEL, None)
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    return {**labels, SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}
