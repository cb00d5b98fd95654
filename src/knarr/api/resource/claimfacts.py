"""What everybody who deals with claims of devices goes by: limits, names, and how to read a claim's status."""

from __future__ import annotations

from typing import Any

#: consumers of one claim, devices in its allocation, alternatives of a request
RESERVATIONS_MAX, RESULTS_MAX, FIRST_AVAILABLE_MAX = 256, 32, 8
#: set by the scheduler on claims with an allocation, removed by the controller without
FINALIZER = "resource.kubernetes.io/delete-protection"
#: annotation of claims that the scheduler makes for pods with extended resources
EXTENDED_RESOURCE_CLAIM = "resource.kubernetes.io/extended-resource-claim"
#: a DeviceClass serves the extended resource of this prefix and its name, besides spec.extendedResourceName
IMPLICIT_RESOURCE = "deviceclass.resource.kubernetes.io/"


def may_be_devices(resource: str) -> bool:
    """Can a DeviceClass provide a resource of this name?"""
    return "/" in resource and ("kubernetes.io/" not in resource or resource.startswith(IMPLICIT_RESOURCE))


def allocation_of(claim: Any) -> Any | None:
    return claim.status.allocation if claim.status is not None else None


def reserved_for(claim: Any) -> tuple[Any, ...]:
    return claim.status.reservedFor if claim.status is not None else ()


def is_reserved_for(claim: Any, pod: Any) -> bool:
    return any(who.uid == pod.metadata.uid for who in reserved_for(claim))


def has_room(claim: Any) -> bool:
    """One more pod may use it."""
    return len(reserved_for(claim)) < RESERVATIONS_MAX
