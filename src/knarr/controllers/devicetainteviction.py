"""Device taint eviction: pods go whose devices have NoExecute taints that their claims do not tolerate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.api.core.taints import tolerates
from knarr.api.resource.claimfacts import allocation_of
from knarr.api.types import core_v1, resource_v1
from knarr.client.client import Client
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.pods import is_active
from knarr.controllers.podstatus import disrupt
from knarr.controllers.resourceclaim import BY_CLAIM, claim_names, claims_index
from knarr.controllers.servicepods import pod_reference
from knarr.meta import times
from knarr.world import World

#: index of claims, by the pools of their devices; of slices, by pool
BY_POOL = "pool"


class DeviceTaintEvictionController(KubeController):
    """Keys are pods."""

    name = "device-taint-eviction-controller"
    component = "device-taint-eviction"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        #: pods whose end is planned
        self.planned: set[Key] = set()
        self.pods = self.watch(core_v1.Pod, self._pod_seen, lambda _, new: self._pod_seen(new))
        self.pods.indexer.add_index(BY_CLAIM, claims_index)
        self.claims = self.watch(
            resource_v1.ResourceClaim, self._claim_seen, lambda _, new: self._claim_seen(new)
        )
        self.claims.indexer.add_index(BY_POOL, pools_of_claim)
        self.slices = self.watch(
            resource_v1.ResourceSlice,
            self._slice_seen,
            lambda _, new: self._slice_seen(new),
            self._slice_seen,
        )
        self.slices.indexer.add_index(BY_POOL, pool_of_slice)

    def _pod_seen(self, pod: Any) -> None:
        if pod.spec.resourceClaims and pod.spec.nodeName:
            self.enqueue(pod)

    def _claim_seen(self, claim: Any) -> None:
        for pod in self.pods.indexer.by_index(BY_CLAIM, str(key_of(claim))):
            self._pod_seen(pod)

    def _slice_seen(self, found: Any) -> None:
        for claim in self.claims.indexer.by_index(BY_POOL, pool_of_slice(found)[0]):
            self._claim_seen(claim)

    async def reconcile(self, key: Key) -> Requeue | None:
        pod = self.pods.indexer.get(key)
        if pod is None or not is_active(pod):
            self.planned.discard(key)
            return None
        ends = min(self._ends(pod), default=None)
        if ends is None:
            if key in self.planned:
                self.planned.discard(key)
                self._tell(pod, "Cancelling deletion")
            return None
        self.planned.add(key)
        left = ends - self.clock.now()
        if left > 0:
            return Requeue(left)
        await self._evict(pod)
        self.planned.discard(key)
        return None

    def _ends(self, pod: Any) -> Iterator[float]:
        """When each of its tainted devices ends it, in epoch seconds."""
        for name in claim_names(pod):
            claim = self.claims.indexer.get((pod.metadata.namespace, name))
            for result in results_of(claim):
                for taint in self._taints(result):
                    patience = patience_of(result.tolerations, taint)
                    if patience is not None:
                        yield times.parse(taint.timeAdded) + patience if taint.timeAdded else self.clock.now()

    def _taints(self, result: Any) -> Iterator[Any]:
        slices = self.slices.indexer.by_index(BY_POOL, f"{result.driver}/{result.pool}")
        newest = max((found.spec.pool.generation for found in slices), default=0)
        for found in slices:
            if found.spec.pool.generation == newest:
                for device in found.spec.devices:
                    if device.name == result.device:
                        yield from (taint for taint in device.taints if taint.effect == "NoExecute")

    async def _evict(self, pod: Any) -> None:
        """Say why, then delete."""
        self._tell(pod, "Marking for deletion")
        message = "Device Taint manager: deleting due to NoExecute taint"
        await disrupt(self.client, pod, "DeletionByDeviceTaintManager", message, self.clock.now())

    def _tell(self, pod: Any, message: str) -> None:
        about = {"apiVersion": "v1", **pod_reference(pod)}
        self.events.event(about, "Normal", "DeviceTaintManagerEviction", message)


def results_of(claim: Any | None) -> tuple[Any, ...]:
    found = allocation_of(claim) if claim is not None else None
    return found.devices.results if found is not None else ()


def pools_of_claim(claim: Any) -> tuple[str, ...]:
    return tuple({f"{result.driver}/{result.pool}" for result in results_of(claim)})


def pool_of_slice(found: Any) -> tuple[str, ...]:
    return (f"{found.spec.driver}/{found.spec.pool.name}",)


def patience_of(tolerations: Any, taint: Any) -> float | None:
    """Seconds from the taint's beginning; 0 where it is not tolerated, None where it is for ever."""
    fitting = [toleration for toleration in tolerations if tolerates(toleration, taint)]
    if not fitting:
        return 0.0
    limits = [max(0.0, float(t.tolerationSeconds)) for t in fitting if t.tolerationSeconds is not None]
    return min(limits, default=None)
