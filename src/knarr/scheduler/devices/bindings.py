"""From the decision on a claim's devices to the claim that shows it: the only part of this package that writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from knarr.api.resource.claimfacts import FINALIZER, allocation_of, is_reserved_for, reserved_for
from knarr.api.scheme import evolve, scheme
from knarr.api.types import resource_v1
from knarr.client.client import is_conflict
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.scheduler.devices import extended
from knarr.scheduler.handle import Handle

#: writes that lost a race are tried again
TRIES_MAX = 5
#: how long devices may take until they are prepared for the node
BINDING_SECONDS_MAX, POLL_SECONDS = 600.0, 1.0


class Bindings:
    """What is decided for pods that are on their way to a node."""

    def __init__(self, handle: Handle) -> None:
        self._client, self._clock = handle.client, handle.world.clock
        self._claims = handle.informers.of(resource_v1.ResourceClaim).indexer
        #: by uid of a claim (see `extended.in_flight_key`): the allocation that is on its way into its status
        self.in_flight: dict[str, Any] = {}
        #: by uid of a pod: the claim that is to be made for its extended resources, and the one that was made
        self._to_make: dict[str, extended.Made] = {}
        self._made: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- decisions -----------------------------------------------------------------------------------------

    def will_make(self, pod: Any, made: extended.Made) -> None:
        self._to_make[pod.metadata.uid] = made

    def makes_for(self, pod: Any) -> bool:
        return pod.metadata.uid in self._to_make

    def forget(self, pod: Any) -> None:
        """The pod has its node."""
        self._to_make.pop(pod.metadata.uid, None)
        self._made.pop(pod.metadata.uid, None)

    def take_back(self, pod: Any, claims: Iterable[Any]) -> None:
        """The pod does not get its node after all; what was written of that is undone in time."""
        if self._to_make.pop(pod.metadata.uid, None) is not None:
            self.in_flight.pop(extended.in_flight_key(pod), None)
            if (made := self._made.pop(pod.metadata.uid, None)) is not None:
                self._begin(self.delete(made))
        for claim in claims:
            self.in_flight.pop(claim.metadata.uid, None)
            if allocation_of(claim) is not None and is_reserved_for(claim, pod):
                self._begin(self._cancel(claim, pod))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- giving up -----------------------------------------------------------------------------------------

    async def free(self, claim: Any) -> None:
        await self._client.update_status(evolve(claim, status={"reservedFor": (), "allocation": None}))

    async def delete(self, claim: Any) -> None:
        """One of our own making."""
        finalizers = [f for f in claim.metadata.finalizers if f != FINALIZER]
        try:
            if len(finalizers) < len(claim.metadata.finalizers):
                await self._client.update(evolve(claim, metadata={"finalizers": finalizers}))
            await self._client.delete(claim)
        except StatusError:
            return  # the next attempt finds it

    async def _cancel(self, claim: Any, pod: Any) -> None:
        """Take back the reservation; where that fails the next attempt finds it and goes on from there."""
        gone = [{"$patch": "delete", "uid": pod.metadata.uid}]
        patch = {"metadata": {"uid": claim.metadata.uid}, "status": {"reservedFor": gone}}
        meta = claim.metadata
        try:
            await self._client.patch(
                resource_v1.ResourceClaim, meta.name, meta.namespace, patch, "strategic", "status"
            )
        except StatusError:
            return

    # -- writing -------------------------------------------------------------------------------------------

    async def make(self, pod: Any) -> None:
        """The claim for extended resources, if there is to be one, and the pod's status, which says what it is for.

        Raises RuntimeError, StatusError."""
        client, meta = self._client, pod.metadata
        made = self._to_make.get(meta.uid)
        if made is None:
            return
        claim = await client.create(scheme().from_dict(resource_v1.ResourceClaim, made.wire))
        self._made[meta.uid] = claim
        self._made[meta.uid] = await self._bind(claim, pod, extended.in_flight_key(pod))
        told = {"requestMappings": made.mappings, "resourceClaimName": claim.metadata.name}
        patch = {"metadata": {"uid": meta.uid}, "status": {"extendedResourceClaimStatus": told}}
        await client.patch(type(pod), meta.name, meta.namespace, patch, "strategic", "status")

    async def bind(self, pod: Any, claims_of: Callable[[Any], list[Any]]) -> None:
        """Write allocations and reservations, then wait until the drivers have said that the devices are ready for
        the node. Raises RuntimeError, StatusError, TimeoutError, and what `claims_of` does."""
        for claim in claims_of(pod):
            if not is_reserved_for(claim, pod):
                await self._bind(claim, pod, claim.metadata.uid)
        async with asyncio.timeout(BINDING_SECONDS_MAX):
            while not all(_ready(claim) for claim in claims_of(pod)):
                await asyncio.sleep(POLL_SECONDS)

    async def _bind(self, claim: Any, pod: Any, key: str) -> Any:
        """`key`: by which its allocation is in flight. The claim as it is then."""
        found = self.in_flight.get(key)
        try:
            for attempt in range(1, TRIES_MAX + 1):
                try:
                    bound = await self._write(claim, found, pod)
                    break
                except StatusError as error:
                    if not is_conflict(error) or attempt == TRIES_MAX:
                        raise
                meta = claim.metadata
                claim = await self._client.get(resource_v1.ResourceClaim, meta.name, meta.namespace)
            # known at once: the next pod must not be given the same devices before the informer tells
            self._claims.put((bound.metadata.namespace, bound.metadata.name), bound)
            return bound
        finally:
            self.in_flight.pop(key, None)

    async def _write(self, claim: Any, found: Any, pod: Any) -> Any:
        client, meta = self._client, claim.metadata
        key = f"{meta.namespace}/{meta.name}"
        if meta.deletionTimestamp is not None:
            raise RuntimeError(f"claim {key} got deleted in the meantime")
        who = {"resource": "pods", "name": pod.metadata.name, "uid": pod.metadata.uid}
        status: dict[str, Any] = {"reservedFor": [*(scheme().to_dict(r) for r in reserved_for(claim)), who]}
        if found is not None:
            if allocation_of(claim) is not None:
                raise RuntimeError(f"claim {key} got allocated elsewhere in the meantime")
            if FINALIZER not in meta.finalizers:
                finalizers = [*meta.finalizers, FINALIZER]
                claim = await client.update(evolve(claim, metadata={"finalizers": finalizers}))
            status["allocation"] = scheme().to_dict(found)
            if any(result.bindingConditions for result in found.devices.results):
                status["allocation"]["allocationTimestamp"] = times.format(self._clock.now())
        return await client.update_status(evolve(claim, status=status))


def _ready(claim: Any) -> bool:
    """Raises RuntimeError where a driver says that it never will be."""
    found = allocation_of(claim)
    if found is None:
        raise RuntimeError(f"claim {claim.metadata.namespace}/{claim.metadata.name} is not allocated")
    for result in found.devices.results:
        if not result.bindingConditions:
            continue
        told = _told(claim, result)
        failed = [name for name in result.bindingFailureConditions if told.get(name) == "True"]
        if failed:
            raise RuntimeError(
                f"device {result.driver}/{result.pool}/{result.device} failed to bind: {failed[0]}"
            )
        if any(told.get(name) != "True" for name in result.bindingConditions):
            return False
    return True


def _told(claim: Any, result: Any) -> dict[str, str]:
    """The conditions of an allocated device."""
    which = (result.driver, result.pool, result.device, result.shareID)
    return {
        condition.type: condition.status
        for device in claim.status.devices
        if (device.driver, device.pool, device.device, device.shareID) == which
        for condition in device.conditions
    }
