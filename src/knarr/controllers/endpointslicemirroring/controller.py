"""Keeps the slices that mirror hand-written Endpoints."""

from __future__ import annotations

from typing import Any

from knarr.api.types import core_v1, discovery_v1
from knarr.client.client import Client
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.controllers.endpointslice.reconcile import ENDPOINTS_MAX, Plan, plan
from knarr.controllers.endpointslice.tracker import SliceTracker
from knarr.controllers.endpointslice.writer import (
    MANAGED_BY,
    SERVICE_NAME,
    SliceWriter,
    slices_index,
    slices_of,
)
from knarr.controllers.endpointslicemirroring.desired import (
    MANAGER,
    SUBSET_ADDRESSES_MAX,
    annotations_for,
    desired,
    is_mirrored,
    labels_for,
    wants_mirror,
)
from knarr.meta.errors import StatusError
from knarr.world import World

STALE_SECONDS = 1.0
FAMILIES = ("IPv4", "IPv6")


class EndpointSliceMirroringController(KubeController):
    """Keys are Endpoints, and so services."""

    name = "endpointslice-mirroring-controller"
    service_account = "endpointslicemirroring-controller"
    component = "endpoint-slice-mirroring-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.endpoints = self.watch(
            core_v1.Endpoints, self._endpoints_changed, self._endpoints_updated, self._endpoints_changed
        )
        self.services = self.watch(core_v1.Service, self.enqueue, self._service_updated, self.enqueue)
        self.slices = self.watch(
            discovery_v1.EndpointSlice,
            self._slice_seen,
            lambda _, new: self._slice_seen(new),
            self._slice_deleted,
        )
        self.slices.indexer.add_index(SERVICE_NAME, slices_index)
        self.tracker = SliceTracker()
        self.writer = SliceWriter(self.client, self.tracker)

    def _endpoints_changed(self, endpoints: Any) -> None:
        if is_mirrored(endpoints):
            self.enqueue(endpoints)

    def _endpoints_updated(self, old: Any, new: Any) -> None:
        if is_mirrored(old) or is_mirrored(new):
            self.enqueue(new)

    def _service_updated(self, old: Any, new: Any) -> None:
        if bool(old.spec.selector) != bool(new.spec.selector):
            self.enqueue(new)

    def _slice_seen(self, piece: Any) -> None:
        key = _service_of(piece)
        if key is not None and self.tracker.is_news(key, piece):
            self.queue.add(key)

    def _slice_deleted(self, piece: Any) -> None:
        key = _service_of(piece)
        if key is not None and self.tracker.gone(key, piece):
            self.queue.add(key)

    async def reconcile(self, key: Key) -> Requeue | None:
        slices = slices_of(self.slices.indexer, key, MANAGER)
        if self.tracker.is_stale(key, slices):
            return Requeue(STALE_SECONDS)
        endpoints, service = self.endpoints.indexer.get(key), self.services.indexer.get(key)
        if endpoints is None or not is_mirrored(endpoints) or not wants_mirror(service):
            await self._drop(key, endpoints, slices)
            return None
        found, skipped = desired(endpoints)
        labels = labels_for(endpoints)
        groups = {family: found.get(family, {}) for family in FAMILIES}
        todo = plan(slices, groups, labels, ENDPOINTS_MAX, placeholder=False)
        if skipped:
            self.events.event(
                endpoints,
                "Warning",
                "TooManyAddressesToMirror",
                f"A max of {SUBSET_ADDRESSES_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset."
                f" {skipped} addresses were skipped",
            )
        try:
            await self.writer.write(endpoints, todo, labels, lambda _: dict(annotations_for(endpoints)))
        except StatusError as error:
            message = f"Error updating EndpointSlices for Endpoints {key}: {error.message}"
            self.events.event(endpoints, "Warning", "FailedToUpdateEndpointSlices", message)
            raise
        return None

    async def _drop(self, key: Key, endpoints: Any | None, slices: list[Any]) -> None:
        """Nothing is mirrored any more."""
        if slices:
            owner = endpoints or self.services.indexer.get(key) or slices[0]
            await self.writer.write(owner, Plan(delete=slices), {}, dict)
        self.tracker.forget(key)


def _service_of(piece: Any) -> Key | None:
    labels = piece.metadata.labels
    if labels.get(MANAGED_BY) != MANAGER or SERVICE_NAME not in labels:
        return None
    return Key(piece.metadata.namespace, labels[SERVICE_NAME])
