"""Extended resources that a DeviceClass provides: the claim that the scheduler makes for a pod that asks for them.

A node that has a resource of this name itself (from a device plugin) serves it as ever; on the others the pod gets
devices of the class, by a claim with one request per container and resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from knarr.api.resource.claimfacts import EXTENDED_RESOURCE_CLAIM, IMPLICIT_RESOURCE
from knarr.api.scheme import scheme
from knarr.api.types import resource_v1
from knarr.client.objects import controlled_by, controller_ref

#: no claim that is stored is called so
UNNAMED = "<extended-resources>"


class Made(NamedTuple):
    """The claim that a pod would get on a node, as a Struct and in wire form, and what its status would say."""

    claim: Any
    wire: dict[str, Any]
    mappings: list[dict[str, str]]


def classes_by_resource(classes: Iterable[Any]) -> dict[str, str]:
    """resource -> class. Of several classes for one resource the newest is taken, then the first by name."""
    found: dict[str, str] = {}
    by_name = sorted(classes, key=lambda c: c.metadata.name, reverse=True)
    for kind in sorted(by_name, key=lambda c: c.metadata.creationTimestamp or ""):
        found[IMPLICIT_RESOURCE + kind.metadata.name] = kind.metadata.name
        if kind.spec.extendedResourceName:
            found[kind.spec.extendedResourceName] = kind.metadata.name
    return found


def asks_for_any(spec: Any, resources: Mapping[str, str]) -> bool:
    """Does a container of the pod ask for one of these?"""
    return any(
        name in resources
        for container in (*spec.containers, *spec.initContainers)
        if container.resources is not None
        for name in container.resources.requests
    )


def claim_of(pod: Any, claims: Iterable[Any]) -> Any | None:
    """One that an earlier attempt has left behind."""
    for claim in claims:
        if claim.metadata.annotations.get(EXTENDED_RESOURCE_CLAIM) == "true" and controlled_by(claim, pod):
            return claim
    return None


def make(pod: Any, resources: Iterable[str], class_of: Mapping[str, str]) -> Made:
    """`resources`: those that the node does not have itself."""
    requests: list[dict[str, Any]] = []
    mappings: list[dict[str, str]] = []
    for resource in sorted(resources):
        wanted, used = _requests(pod.spec, resource, class_of[resource])
        requests += wanted
        mappings += used
    owner = {k: v for k, v in controller_ref(pod).items() if k != "blockOwnerDeletion"}
    metadata = {
        "generateName": f"{pod.metadata.name}-extended-resources-",
        "namespace": pod.metadata.namespace,
        "annotations": {EXTENDED_RESOURCE_CLAIM: "true"},
        "ownerReferences": [owner],
    }
    wire = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": metadata,
        "spec": {"devices": {"requests": sorted(requests, key=lambda request: request["name"])}},
    }
    named = {**metadata, "name": UNNAMED, "uid": in_flight_key(pod)}
    claim = scheme().from_dict(resource_v1.ResourceClaim, {**wire, "metadata": named})
    return Made(claim, wire, mappings)


def in_flight_key(pod: Any) -> str:
    """Stands for the uid of the claim until there is one."""
    return f"{UNNAMED}{pod.metadata.uid}"


def _requests(
    spec: Any, resource: str, device_class: str
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Requests for one resource. Init containers run before the others and use the devices of those that follow; of
    what they need beyond that only the largest counts."""
    containers = (*spec.initContainers, *spec.containers)
    long_lived: dict[int, dict[str, Any]] = {}
    mappings: list[dict[str, str]] = []
    first = [
        i for i, c in enumerate(containers) if i < len(spec.initContainers) and c.restartPolicy != "Always"
    ]
    for i, container in enumerate(containers):
        if i not in first and (count := _count(container, resource)):
            long_lived[i] = _request(i, container, resource, device_class, count)
            mappings.append(_mapping(container, resource, long_lived[i]["name"]))
    largest: dict[str, Any] | None = None
    beyond: list[dict[str, str]] = []
    for i in first:
        container = containers[i]
        missing = _count(container, resource)
        for later, request in long_lived.items():
            if later >= i and missing > 0:
                missing -= request["exactly"]["count"]
                mappings.append(_mapping(container, resource, request["name"]))
        if missing > 0:
            request = _request(i, container, resource, device_class, missing)
            if largest is None or largest["exactly"]["count"] < missing:
                largest = request
            beyond.append(_mapping(container, resource, request["name"]))
            mappings.append(beyond[-1])
    if largest is None:
        return list(long_lived.values()), mappings
    for mapping in beyond:
        mapping["requestName"] = largest["name"]
    return [largest, *long_lived.values()], mappings


def _count(container: Any, resource: str) -> int:
    asked = container.resources.requests.get(resource) if container.resources is not None else None
    return asked.value if asked is not None else 0


def _request(at: int, container: Any, resource: str, device_class: str, count: int) -> dict[str, Any]:
    which = sorted(container.resources.requests).index(resource)
    wanted = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": count}
    return {"name": f"container-{at}-request-{which}", "exactly": wanted}


def _mapping(container: Any, resource: str, request: str) -> dict[str, str]:
    return {"containerName": container.name, "resourceName": resource, "requestName": request}
