"""Taint eviction: pods leave a node whose NoExecute taints they do not tolerate, at once or when patience ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from knarr.api.core.taints import tolerates
from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.controller import Requeue
from knarr.client.indexer import BY_NODE, node_index
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.podstatus import disrupt
from knarr.world import World

FOR_EVER = None


class TaintEvictionController(KubeController):
    """Keys are pods."""

    name = "taint-eviction-controller"
    workers = 8

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        #: pods that are to go, and when (loop time)
        self.due: dict[Key, float] = {}
        self.tainted: dict[str, tuple[Any, ...]] = {}
        self.pods = self.watch(core_v1.Pod, self._pod_added, self._pod_updated, self._pod_deleted)
        self.pods.indexer.add_index(BY_NODE, node_index)
        self.nodes = self.watch(core_v1.Node, self._node_added, self._node_updated, self._node_deleted)

    # -- events ------------------------------------------------------------------------------------------

    def _node_added(self, node: Any) -> None:
        self._taints_are(node.metadata.name, evicting(node.spec.taints))

    def _node_updated(self, old: Any, new: Any) -> None:
        if old.spec.taints != new.spec.taints:
            self._taints_are(new.metadata.name, evicting(new.spec.taints))

    def _node_deleted(self, node: Any) -> None:
        # its pods are pod garbage: what was planned for them is not called off
        self.tainted.pop(node.metadata.name, None)

    def _taints_are(self, node: str, taints: tuple[Any, ...]) -> None:
        if taints == self.tainted.get(node, ()):
            return
        if taints:
            self.tainted[node] = taints
        else:
            del self.tainted[node]
        for key in self.pods.indexer.index_keys(BY_NODE, node):
            self.queue.add(key)

    def _pod_added(self, pod: Any) -> None:
        if pod.spec.nodeName in self.tainted:
            self.enqueue(pod)

    def _pod_updated(self, old: Any, new: Any) -> None:
        if new.spec.nodeName in self.tainted and (
            old.spec.nodeName != new.spec.nodeName or old.spec.tolerations != new.spec.tolerations
        ):
            self.enqueue(new)

    def _pod_deleted(self, pod: Any) -> None:
        if key_of(pod) in self.due:
            self.enqueue(pod)

    # -- work --------------------------------------------------------------------------------------------

    async def reconcile(self, key: Key) -> Requeue | None:
        pod = self.pods.indexer.get(key)
        if pod is None:
            self._call_off(key)
            return None
        node = self.nodes.indexer.get(("", pod.spec.nodeName))
        if node is None and key not in self.due:
            return None
        now, planned = asyncio.get_running_loop().time(), self.due.get(key)
        if node is not None:
            patience = patience_of(pod.spec.tolerations, self.tainted.get(pod.spec.nodeName, ()))
            if patience is FOR_EVER:
                self._call_off(key)
                return None
            if planned is None or patience <= 0:
                if planned is not None and planned > now:
                    self._call_off(key)
                planned = now + patience
        assert planned is not None
        if planned > now:
            self.due[key] = planned
            return Requeue(planned - now)
        await self.evict(key, pod)
        return None

    def _call_off(self, key: Key) -> None:
        if self.due.pop(key, None) is not None:
            self._tell(key, f"Cancelling deletion of Pod {key}")

    async def evict(self, key: Key, pod: Any) -> None:
        """Say why, then delete."""
        if pod.metadata.deletionTimestamp is not None:
            self.due.pop(key, None)
            return
        self._tell(key, f"Marking for deletion Pod {key}")
        message = "Taint manager: deleting due to NoExecute taint"
        await disrupt(self.client, pod, "DeletionByTaintManager", message, self.clock.now())
        self.due.pop(key, None)

    def _tell(self, key: Key, message: str) -> None:
        about = {"apiVersion": "v1", "kind": "Pod", "name": key.name, "namespace": key.namespace}
        self.events.event(about, "Normal", "TaintManagerEviction", message)


def evicting(taints: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(taint for taint in taints if taint.effect == "NoExecute")


def patience_of(tolerations: Sequence[Any], taints: Sequence[Any]) -> float | None:
    """Seconds that a pod may stay under these taints; 0 where it must go, FOR_EVER where it may stay."""
    limits = []
    for taint in taints:
        toleration = next((t for t in tolerations if tolerates(t, taint)), None)
        if toleration is None:
            return 0.0
        if toleration.tolerationSeconds is not None:
            limits.append(max(0.0, float(toleration.tolerationSeconds)))
    return min(limits, default=FOR_EVER)
