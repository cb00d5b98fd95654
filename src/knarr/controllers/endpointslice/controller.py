"""Keeps the endpoint slices of every service with a selector."""

from __future__ import annotations

from typing import Any

from knarr.api.types import core_v1, discovery_v1
from knarr.client.client import Client
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.endpointslice.desired import Place, families, grouped, placing
from knarr.controllers.endpointslice.reconcile import plan
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
ZONE = "topology.kubernetes.io/zone"
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
        self.nodes = self.watch(
            core_v1.Node, self._node_added, self._node_updated, lambda _: self.places.forget_all()
        )
        self.places: PerPod[Place] = PerPod(placing(self._zone_of))
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
        for key in sorted(self.waiting.pop(node.metadata.name, ())):
            self.places.forget(key)
            self.touch(key)

    def _node_updated(self, old: Any, new: Any) -> None:
        if old.metadata.labels.get(ZONE) != new.metadata.labels.get(ZONE):
            self.places.forget_all()
            for service in self.services.indexer.list():
                if service.spec.selector:
                    self.touch(key_of(service))

    # -- work --------------------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Requeue | None:
        service = self.services.indexer.get(key)
        if service is None:
            # its slices are the garbage collector's
            self.triggers.forget(key)
            self.tracker.forget(key)
            self.places.forget(key)
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
        todo = plan(slices, {f: grouped(places, f) for f in families(service)}, labels)
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
        return None


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
