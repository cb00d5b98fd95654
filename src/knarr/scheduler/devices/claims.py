"""Which claims a pod uses, and which devices the claims of the cluster hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from knarr.api.resource.claimfacts import allocation_of
from knarr.client.objects import controlled_by
from knarr.meta.quantity import Quantity


class DeviceId(NamedTuple):
    driver: str
    pool: str
    device: str

    def __str__(self) -> str:
        return "/".join(self)


class PodClaim(NamedTuple):
    """One entry of spec.resourceClaims. `claim` is "" where it is not made yet, None where none is needed."""

    name: str
    claim: str | None
    #: made for this pod
    owned: bool


def pod_claims(pod: Any) -> tuple[PodClaim, ...]:
    if not pod.spec.resourceClaims:
        return ()
    made = {status.name: status.resourceClaimName for status in pod.status.resourceClaimStatuses}
    return tuple(
        PodClaim(wanted.name, wanted.resourceClaimName, False)
        if wanted.resourceClaimName
        else PodClaim(wanted.name, made.get(wanted.name, ""), True)
        for wanted in pod.spec.resourceClaims
    )


def problem(pod: Any, wanted: PodClaim, claim: Any | None) -> str:
    """Why a pod cannot be tried with this claim; "" where it can."""
    if not wanted.claim:
        where = f"{pod.metadata.namespace}/{pod.metadata.name}"
        return f'"{where}": pod claim "{wanted.name}": ResourceClaim not created yet'
    if claim is None:
        return f'resourceclaim.resource.k8s.io "{wanted.claim}" not found'
    meta = claim.metadata
    if meta.deletionTimestamp is not None:
        return f'resourceclaim "{meta.name}" is being deleted'
    if wanted.owned and not controlled_by(claim, pod):
        ours = f"{pod.metadata.namespace}/{pod.metadata.name}"
        return f"ResourceClaim {meta.namespace}/{meta.name} was not created for pod {ours} (pod is not owner)"
    return ""


class Taken:
    """Devices in use, and how much of those that are shared."""

    def __init__(self) -> None:
        self.devices: set[DeviceId] = set()
        self.capacity: dict[DeviceId, dict[str, Quantity]] = {}

    def add(self, results: Iterable[Any]) -> None:
        """`results`: of an allocation. What is seen for administration only stays free."""
        for result in results:
            if result.adminAccess:
                continue
            device = DeviceId(result.driver, result.pool, result.device)
            if result.shareID:
                self.share(device, result.consumedCapacity)
            else:
                self.devices.add(device)

    def share(self, device: DeviceId, amounts: dict[str, Quantity]) -> None:
        held = self.capacity.setdefault(device, {})
        for name, amount in amounts.items():
            held[name] = held[name].add(amount) if name in held else amount

    def holds(self, device: DeviceId) -> bool:
        return device in self.devices or device in self.capacity


def taken_by(claims: Iterable[Any], in_flight: Iterable[Any]) -> Taken:
    """`in_flight`: allocations that are decided, but that no claim shows yet."""
    taken = Taken()
    for allocation in (*_allocations(claims), *in_flight):
        taken.add(allocation.devices.results)
    return taken


def _allocations(claims: Iterable[Any]) -> Iterator[Any]:
    for claim in claims:
        if (allocation := allocation_of(claim)) is not None:
            yield allocation
