"""From pods to the endpoints that a service should have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from knarr.api.types import core_v1, discovery_v1
from knarr.controllers.pods import is_ready
from knarr.controllers.servicepods import (
    addresses,
    host_name,
    is_headless,
    may_serve,
    pod_reference,
    port_number,
)

#: what an endpoint is recognised by from one pass to the next
Identity = tuple[Any, ...]
Ports = tuple[Any, ...]


class Place(NamedTuple):
    """One pod's endpoints, per address family; `missing_node` is why it has none."""

    ports: Ports
    endpoints: dict[str, Any]
    missing_node: str = ""


NOWHERE = Place((), {})


def identity(endpoint: Any) -> Identity:
    ref = endpoint.targetRef
    target = (ref.namespace, ref.name) if ref is not None else None
    return endpoint.addresses, endpoint.hostname, target


def families(service: Any) -> tuple[str, ...]:
    """The address types of its slices."""
    if service.spec.ipFamilies:
        return service.spec.ipFamilies
    return ("IPv6",) if ":" in (service.spec.clusterIP or "") else ("IPv4",)


def placing(
    zone_of: Callable[[str], str | None], hints_later: Callable[[Any], bool] = lambda service: False
) -> Callable[[Any, Any], Place]:
    """How a pod's place is found. `zone_of(node)`: "" for a node without zone, None where there is no such node.

    `hints_later(service)`: whether its endpoints get their hints only once all of them are known.
    """

    def place(service: Any, pod: Any) -> Place:
        if not may_serve(pod, include_terminating=True):
            return NOWHERE
        node = pod.spec.nodeName or ""
        zone = zone_of(node) if node else ""
        if zone is None:
            # its node is gone: the pod will follow, unless the service wants every address there is
            if not service.spec.publishNotReadyAddresses:
                return Place((), {}, missing_node=node)
            zone = ""
        found = {
            family: endpoint(service, pod, mine, zone, not hints_later(service))
            for family in families(service)
            if (mine := addresses(pod, family))
        }
        return Place(ports_of(service, pod), found)

    return place


def endpoint(service: Any, pod: Any, mine: list[str], zone: str, hinted: bool = True) -> Any:
    """ready is never true for a pod that goes, unless the service publishes whatever is there."""
    serving, terminating = is_ready(pod), pod.metadata.deletionTimestamp is not None
    ready = bool(service.spec.publishNotReadyAddresses) or (serving and not terminating)
    node = pod.spec.nodeName or None
    return discovery_v1.Endpoint(
        addresses=tuple(mine),
        conditions=discovery_v1.EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=host_name(pod, service),
        nodeName=node,
        zone=zone or None,
        hints=hints(service.spec.trafficDistribution, node, zone) if hinted and ready else None,
        targetRef=core_v1.ObjectReference(**pod_reference(pod)),
    )


def hints(distribution: str | None, node: str | None, zone: str) -> Any:
    """For whom an endpoint is meant (KEP-4444, KEP-3015); None: for all."""
    if distribution not in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        return None
    zones = (discovery_v1.ForZone(name=zone),) if zone else ()
    nodes = (discovery_v1.ForNode(name=node),) if node and distribution == "PreferSameNode" else ()
    return discovery_v1.EndpointHints(forZones=zones, forNodes=nodes) if zones or nodes else None


def ports_of(service: Any, pod: Any) -> Ports:
    """What the service's ports are in this pod; those that lead nowhere are left out."""
    if not service.spec.ports and is_headless(service):
        return ()
    return tuple(
        discovery_v1.EndpointPort(
            name=port.name or "", port=number, protocol=port.protocol, appProtocol=port.appProtocol
        )
        for port in service.spec.ports
        if (number := port_number(pod, port)) is not None
    )


def grouped(places: Iterable[Place], family: str) -> dict[Ports, dict[Identity, Any]]:
    """The endpoints of one family by the ports they offer; slices are split along these."""
    groups: dict[Ports, dict[Identity, Any]] = {}
    for place in places:
        if (found := place.endpoints.get(family)) is not None:
            groups.setdefault(place.ports, {})[identity(found)] = found
    return groups
