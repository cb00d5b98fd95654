"""Pod garbage: pods of nodes that are gone, that nobody runs any more, or that ended and are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from knarr.api.scheme import evolve
from knarr.api.types import core_v1
from knarr.client.batches import all_of
from knarr.client.client import Client, is_conflict, is_not_found
from knarr.client.informer import SharedInformers
from knarr.controllers.base import PeriodicController
from knarr.controllers.conditions import is_true
from knarr.controllers.nodelifecycle.taints import OUT_OF_SERVICE
from knarr.controllers.podstatus import with_condition, write_pod_status
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

PERIOD_SECONDS = 20.0
#: how long a node may be missing before its pods are given up
QUARANTINE_SECONDS = 40.0
ENDED_PODS_MAX = 12_500


class PodGarbageCollector(PeriodicController):
    """Looks at all pods every 20 seconds; has no keys."""

    name = "pod-garbage-collector-controller"
    service_account = "pod-garbage-collector"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.pods = self.watch(core_v1.Pod)
        self.nodes = self.watch(core_v1.Node)
        #: nodes that pods name and that are not there -> since when (loop time)
        self.missing: dict[str, float] = {}

    async def for_ever(self) -> None:
        while True:
            await self.collect()
            await asyncio.sleep(PERIOD_SECONDS)

    async def collect(self) -> None:
        """One look at everything."""
        pods, now = self.pods.indexer.list(), asyncio.get_running_loop().time()
        nodes = {node.metadata.name: node for node in self.nodes.indexer.list()}
        self.missing = still_missing(pods, nodes, self.missing, now)
        gone = [name for name, since in self.missing.items() if now - since >= QUARANTINE_SECONDS]
        really_gone = {name for name in gone if await self._is_gone(name)}
        await all_of(self._delete, [pod for pod in pods if is_abandoned(pod, nodes)])
        await all_of(self._delete_orphan, [pod for pod in pods if pod.spec.nodeName in really_gone])
        await all_of(self._delete, too_many(pods))

    async def _is_gone(self, node: str) -> bool:
        try:
            await self.client.get(core_v1.Node, node)
        except StatusError as error:
            return is_not_found(error)
        return False

    async def _delete_orphan(self, pod: Any) -> None:
        now = times.format(self.clock.now())
        reason, message = "DeletionByPodGC", "PodGC: node no longer exists"
        await self._delete(pod, with_condition(pod.status, "DisruptionTarget", reason, message, now))

    async def _delete(self, pod: Any, status: Any = None) -> None:
        """Fail it first: nobody is left who would say so. Refusals are met again in the next look."""
        try:
            if pod.status.phase not in ("Succeeded", "Failed"):
                await write_pod_status(self.client, pod, evolve(status or pod.status, phase="Failed"))
            await self.client.delete(pod, grace=0)
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                self._failed_to_delete(pod, error)

    def _failed_to_delete(self, pod: Any, error: StatusError) -> None:
        self._failed(pod.metadata.name, error)


def still_missing(
    pods: Iterable[Any], nodes: Mapping[str, Any], before: Mapping[str, float], now: float
) -> dict[str, float]:
    """Nodes that pods name and that are not there, since when."""
    names = {pod.spec.nodeName: None for pod in pods if pod.spec.nodeName and pod.spec.nodeName not in nodes}
    return {name: before.get(name, now) for name in names}


def is_abandoned(pod: Any, nodes: Mapping[str, Any]) -> bool:
    """It is to go, and there is no kubelet that could say that it went."""
    if pod.metadata.deletionTimestamp is None:
        return False
    if not pod.spec.nodeName:
        return True
    node = nodes.get(pod.spec.nodeName)
    if node is None or is_true(node.status.conditions, "Ready"):
        return False
    return any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)


def too_many(pods: Iterable[Any], limit: int = ENDED_PODS_MAX) -> list[Any]:
    """Ended pods beyond the limit: evicted ones first, then the oldest."""
    ended = [pod for pod in pods if pod.status.phase not in ("Pending", "Running", "Unknown")]
    if len(ended) <= limit:
        return []
    ended.sort(key=_order)
    return ended[: len(ended) - limit]


def _order(pod: Any) -> tuple[Any, ...]:
    evicted = pod.status.phase == "Failed" and pod.status.reason == "Evicted"
    return (not evicted, pod.metadata.creationTimestamp or "", pod.metadata.name)
