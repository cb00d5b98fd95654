"""From an Endpoints object to the endpoints of its slices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.api.types import discovery_v1
from knarr.controllers.endpointslice.desired import Identity, Ports, identity
from knarr.controllers.endpointslice.writer import MANAGED_BY, SERVICE_NAME
from knarr.controllers.servicepods import TRIGGER_TIME

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
MANAGED_ENDPOINTS = "endpoints.kubernetes.io/managed-by"
LEADER = "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: addresses that are mirrored of one subset
SUBSET_ADDRESSES_MAX = 1000


def is_mirrored(endpoints: Any) -> bool:
    """Written by hand, not by a controller and not as a lock."""
    labels, annotations = endpoints.metadata.labels, endpoints.metadata.annotations
    return labels.get(SKIP_MIRROR) != "true" and MANAGED_ENDPOINTS not in labels and LEADER not in annotations


def wants_mirror(service: Any | None) -> bool:
    """Its endpoints are the user's: it exists and selects nothing."""
    return service is not None and not service.spec.selector


def desired(endpoints: Any) -> tuple[dict[str, dict[Ports, dict[Identity, Any]]], int]:
    """By address family and ports; and how many addresses were left out because a subset has too many."""
    found: dict[str, dict[Ports, dict[Identity, Any]]] = {}
    skipped = 0
    for subset in endpoints.subsets:
        ports = tuple(
            discovery_v1.EndpointPort(
                name=port.name or "", port=port.port, protocol=port.protocol, appProtocol=port.appProtocol
            )
            for port in subset.ports
        )
        addresses = [(a, True) for a in subset.addresses] + [(a, False) for a in subset.notReadyAddresses]
        skipped += max(0, len(addresses) - SUBSET_ADDRESSES_MAX)
        for address, ready in addresses[:SUBSET_ADDRESSES_MAX]:
            family = "IPv6" if ":" in address.ip else "IPv4"
            one = endpoint(address, ready)
            found.setdefault(family, {}).setdefault(ports, {}).setdefault(identity(one), one)
    return found, skipped


def endpoint(address: Any, ready: bool) -> Any:
    return discovery_v1.Endpoint(
        addresses=(address.ip,),
        conditions=discovery_v1.EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        nodeName=address.nodeName,
        targetRef=address.targetRef,
    )


def labels_for(endpoints: Any) -> dict[str, str]:
    return {
        **endpoints.metadata.labels,
        SERVICE_NAME: endpoints.metadata.name,
        MANAGED_BY: MANAGER,
    }


def annotations_for(endpoints: Any) -> Mapping[str, str]:
    """All but what kubectl noted for itself; the trigger time goes along."""
    return {k: v for k, v in endpoints.metadata.annotations.items() if k != LAST_APPLIED}


__all__ = ["TRIGGER_TIME", "annotations_for", "desired", "is_mirrored", "labels_for", "wants_mirror"]
