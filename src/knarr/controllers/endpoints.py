"""Endpoints: the addresses behind a service in the old form, one object per service, a thousand addresses at most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1
from knarr.client.client import Client, is_already_exists, is_not_found, namespace_terminating
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.pods import is_ready
from knarr.controllers.servicepods import (
    HEADLESS_LABEL,
    Membership,
    PerPod,
    TriggerTimes,
    addresses,
    has_cluster_ip,
    host_name,
    is_headless,
    may_serve,
    pod_reference,
    port_number,
    with_trigger_time,
)
from knarr.meta.errors import StatusError
from knarr.world import World

ADDRESSES_MAX = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
LEADER = "control-plane.alpha.kubernetes.io/leader"
MANAGER = "endpoint-controller"


class EndpointsController(KubeController):
    """Keys are services."""

    name = "endpoints-controller"
    service_account = "endpoint-controller"
    component = "endpoint-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.services = self.watch(core_v1.Service)
        self.pods = self.watch(core_v1.Pod)
        self.endpoints = self.watch(core_v1.Endpoints, deleted=self.enqueue)
        self.members = Membership(self.touch)
        self.members.follow(self.services, self.pods)
        self.triggers = TriggerTimes()
        self.places = PerPod(place_of)

    def touch(self, key: Key) -> None:
        """Soon: events are gathered for as long as a pass over the pods is worth."""
        self.queue.add_after(key, self.members.patience(key))

    async def start(self) -> None:
        await super().start()
        # whose service went away while nobody looked
        for endpoints in self.endpoints.indexer.list():
            if LEADER not in endpoints.metadata.annotations:
                self.enqueue(endpoints)

    async def reconcile(self, key: Key) -> None:
        service = self.services.indexer.get(key)
        if service is None:
            self.triggers.forget(key)
            self.places.forget(key)
            await self._delete(key)
            return
        # an ExternalName service has no endpoints of ours even where it names a selector
        if not service.spec.selector or service.spec.type == "ExternalName":
            return
        pods = self.members.pods(key)
        trigger = self.triggers.of(service, pods.values())
        found = subsets(self.places.of(service, pods))
        wanted = endpoints_after(self.endpoints.indexer.get(key), service, found, trigger)
        if wanted is not None:
            await self._write(service, wanted)

    async def _write(self, service: Any, endpoints: Any) -> None:
        creating = not endpoints.metadata.resourceVersion
        try:
            if creating:
                await self.client.create(endpoints)
            else:
                await self.client.update(endpoints)
        except StatusError as error:
            if creating and (namespace_terminating(error) or is_already_exists(error)):
                return
            reason = "FailedToCreateEndpoint" if creating else "FailedToUpdateEndpoint"
            doing = "create endpoint for service" if creating else "update endpoint"
            self.events.event(
                endpoints, "Warning", reason, f"Failed to {doing} {key_of(service)}: {error.message}"
            )
            raise

    async def _delete(self, key: Key) -> None:
        if self.endpoints.indexer.get(key) is None:
            return
        try:
            await self.client.delete(core_v1.Endpoints, key.name, key.namespace)
        except StatusError as error:
            if not is_not_found(error):
                raise


# -- deciding --------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """One pod's address."""

    ports: tuple[Any, ...]
    address: Any
    ready: bool


def place_of(service: Any, pod: Any) -> Place | None:
    """Where a pod serves; None where it does not."""
    tolerant = bool(service.spec.publishNotReadyAddresses)
    if not may_serve(pod, include_terminating=tolerant):
        return None
    found = addresses(pod, service.spec.ipFamilies[0] if service.spec.ipFamilies else "IPv4")
    ports = ports_of(service, pod)
    if not found or ports is None:
        return None
    address = core_v1.EndpointAddress(
        ip=found[0],
        hostname=host_name(pod, service) or "",
        nodeName=pod.spec.nodeName or None,
        targetRef=core_v1.ObjectReference(**pod_reference(pod)),
    )
    return Place(ports, address, tolerant or is_ready(pod))


def subsets(places: Iterable[Place | None]) -> tuple[Any, ...]:
    """Addresses grouped by the ports that they offer, in order of address."""
    groups: dict[tuple[Any, ...], tuple[list[Any], list[Any]]] = {}
    for place in places:
        if place is not None:
            ready, waiting = groups.setdefault(place.ports, ([], []))
            (ready if place.ready else waiting).append(place.address)
    return tuple(
        core_v1.EndpointSubset(addresses=_sorted(ready), notReadyAddresses=_sorted(waiting), ports=ports)
        for ports, (ready, waiting) in sorted(groups.items(), key=lambda group: _port_order(group[0]))
    )


def ports_of(service: Any, pod: Any) -> tuple[Any, ...] | None:
    """What the service's ports are in this pod; None where none of them leads anywhere."""
    if not service.spec.ports:
        return () if is_headless(service) else None
    found = [
        core_v1.EndpointPort(
            name=port.name or "", port=number, protocol=port.protocol, appProtocol=port.appProtocol
        )
        for port in service.spec.ports
        if (number := port_number(pod, port)) is not None
    ]
    return tuple(found) or None


def _port_order(ports: tuple[Any, ...]) -> list[tuple[str, int]]:
    return [(port.name, port.port) for port in ports]


def _sorted(found: list[Any]) -> tuple[Any, ...]:
    return tuple(sorted(found, key=lambda address: (address.ip, address.targetRef.uid)))


def endpoints_after(current: Any | None, service: Any, wanted: tuple[Any, ...], trigger: str) -> Any | None:
    """What is to be written; None where all is as it should be."""
    kept, truncated = truncate(wanted)
    if current is not None and is_settled(current, service, kept, truncated):
        return None
    meta = service.metadata
    old = current or scheme().from_dict(
        core_v1.Endpoints, {"metadata": {"name": meta.name, "namespace": meta.namespace}}
    )
    annotations = with_trigger_time(old.metadata.annotations, trigger)
    annotations.pop(OVER_CAPACITY, None)
    if truncated:
        annotations[OVER_CAPACITY] = "truncated"
    metadata = {"labels": labels_for(service), "annotations": annotations}
    return evolve(old, subsets=kept, metadata=metadata)


def is_settled(current: Any, service: Any, wanted: tuple[Any, ...], truncated: bool) -> bool:
    """Neither addresses nor labels nor the mark of truncation have to change."""
    labels = {k: v for k, v in current.metadata.labels.items() if k not in (HEADLESS_LABEL, MANAGED_BY)}
    return (
        current.subsets == wanted
        and labels
        == {k: v for k, v in service.metadata.labels.items() if k not in (HEADLESS_LABEL, MANAGED_BY)}
        and (OVER_CAPACITY in current.metadata.annotations) == truncated
    )


def labels_for(service: Any) -> dict[str, str]:
    labels = {**service.metadata.labels, MANAGED_BY: MANAGER}
    labels.pop(HEADLESS_LABEL, None)
    return labels if has_cluster_ip(service) else {**labels, HEADLESS_LABEL: ""}


def truncate(wanted: tuple[Any, ...], limit: int = ADDRESSES_MAX) -> tuple[tuple[Any, ...], bool]:
    """At most `limit` addresses, the ready ones first, from every subset its share; (what is left, was it cut)."""
    ready = sum(len(subset.addresses) for subset in wanted)
    waiting = sum(len(subset.notReadyAddresses) for subset in wanted)
    if ready + waiting <= limit:
        return wanted, False
    cuts_ready = ready > limit
    total, room = (ready, limit) if cuts_ready else (waiting, limit - ready)
    share, left, cut = room, room, []
    for subset in wanted:
        here = subset.addresses if cuts_ready else subset.notReadyAddresses
        count = min(math.ceil(len(here) / total * share), left)
        left -= count
        changes: Mapping[str, Sequence[Any]] = (
            {"addresses": here[:count], "notReadyAddresses": ()}
            if cuts_ready
            else {"notReadyAddresses": here[:count]}
        )
        cut.append(evolve(subset, **changes))
    return tuple(cut), True
