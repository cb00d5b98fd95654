"""Watches over nodes; see the package."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from knarr.api.scheme import evolve, scheme
from knarr.api.types import coordination_v1, core_v1
from knarr.client.client import Client, is_not_found
from knarr.client.indexer import BY_NODE, node_index
from knarr.client.informer import SharedInformers
from knarr.controllers.base import KubeController
from knarr.controllers.conditions import find
from knarr.controllers.nodelifecycle.health import Health, ready_status, unknown_conditions
from knarr.controllers.nodelifecycle.taints import lead_to_eviction, taints_after, without_eviction
from knarr.controllers.nodelifecycle.zones import Zone, count_nodes, disruption, zone_of
from knarr.controllers.podstatus import write_pod_status
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

LEASES = "kube-node-lease"
#: how often silence is looked for
MONITOR_SECONDS = 5.0

#: label -> the older one that follows it
LABELS = {"kubernetes.io/os": "beta.kubernetes.io/os", "kubernetes.io/arch": "beta.kubernetes.io/arch"}


class Task(NamedTuple):
    """`node`: put it right; `evict`: it is its turn; `zone`: somebody's turn may have come; `pod`: it came to a
    node that is not ready."""

    what: str
    name: str
    namespace: str = ""


class NodeLifecycleController(KubeController):
    """Keys are `Task`s. A heartbeat costs an entry in a dict, a silent look at all nodes one comparison each."""

    name = "node-lifecycle-controller"
    service_account = "node-controller"
    component = "node-controller"
    workers = 8

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.health: dict[str, Health] = {}
        self.zones: dict[str, Zone] = {}
        self.readiness: dict[str, str | None] = {}
        self.retry: set[str] = set()  # nodes whose pods could not all be marked
        self._changed = True  # a node came, went, or changed its readiness since zones were counted
        self._ticker: asyncio.Task[None] | None = None
        self.leases = self.watch(coordination_v1.Lease, self._renewed, self._lease_updated)
        self.nodes = self.watch(core_v1.Node, self._node_added, self._node_updated, self._node_deleted)
        self.pods = self.watch(core_v1.Pod, self._pod_added, self._pod_updated)
        self.pods.indexer.add_index(BY_NODE, node_index)

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await super().start()
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name=f"{self.name} monitor")

    async def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await super().stop()

    async def _tick(self) -> None:
        while True:
            await self.judge_zones()
            await asyncio.sleep(MONITOR_SECONDS)
            now = self.clock.now()
            for name, health in self.health.items():
                if health.is_silent(now) and self.readiness[name] != "Unknown":
                    self.queue.add(Task("node", name))
            for name in sorted(self.retry):
                self.queue.add(Task("node", name))

    # -- events ------------------------------------------------------------------------------------------

    def _node_added(self, node: Any) -> None:
        name, reported = node.metadata.name, ready_status(node) is not None
        heard = self.clock.now() if reported else times.parse(node.metadata.creationTimestamp)
        self.health[name] = Health(heard, reported)
        if (LEASES, name) in self.leases.indexer:
            self.health[name].heard = self.clock.now()
        self._tell(node, "RegisteredNode", f"Registered Node {name} in Controller")
        self._note_readiness(node)
        self.queue.add(Task("node", name))

    def _node_updated(self, old: Any, new: Any) -> None:
        name = new.metadata.name
        if old.metadata.uid != new.metadata.uid:
            self._node_deleted(old)
            self._node_added(new)
            return
        before, after = find(old.status.conditions, "Ready"), find(new.status.conditions, "Ready")
        if after is not None and (before is None or before.lastHeartbeatTime != after.lastHeartbeatTime):
            if after.status != "Unknown" or after.reason != "NodeStatusNeverUpdated":
                self.health[name] = Health(self.clock.now(), reported=True)
        if _said(old) != _said(new) or old.spec != new.spec or old.metadata.labels != new.metadata.labels:
            self._note_readiness(new)
            self.queue.add(Task("node", name))

    def _node_deleted(self, node: Any) -> None:
        name = node.metadata.name
        self.health.pop(name, None)
        self.readiness.pop(name, None)
        self.retry.discard(name)
        self._changed = True
        for zone in self.zones.values():
            zone.waiting.pop(name, None)
        self._tell(node, "RemovingNode", f"Removing Node {name} from Controller")

    def _note_readiness(self, node: Any) -> None:
        self._changed = True
        self.readiness[node.metadata.name] = ready_status(node)

    def _is_unready(self, name: str) -> bool:
        """It said so, or fell silent; a node that never said anything is not."""
        return self.readiness.get(name) in ("False", "Unknown")

    def _lease_updated(self, old: Any, new: Any) -> None:
        if old.spec.renewTime != new.spec.renewTime:
            self._renewed(new)

    def _renewed(self, lease: Any) -> None:
        if lease.metadata.namespace == LEASES:
            if (health := self.health.get(lease.metadata.name)) is not None:
                health.heard = self.clock.now()

    def _pod_added(self, pod: Any) -> None:
        if self._is_unready(pod.spec.nodeName):
            self.queue.add(Task("pod", pod.metadata.name, pod.metadata.namespace))

    def _pod_updated(self, old: Any, new: Any) -> None:
        if old.spec.nodeName != new.spec.nodeName:
            self._pod_added(new)

    def _tell(self, node: Any, reason: str, message: str) -> None:
        name = node.metadata.name
        self.events.event(_reference(node), "Normal", reason, f"Node {name} event: {message}")

    # -- work --------------------------------------------------------------------------------------------

    async def reconcile(self, key: Any) -> None:
        task: Task = key
        if task.what == "zone":
            self._let_go(task.name)
        elif task.what == "pod":
            pod = self.pods.indexer.get((task.namespace, task.name))
            if pod is not None and self._is_unready(pod.spec.nodeName):
                await self.mark_not_ready([pod])
        else:
            node = self.nodes.indexer.get(("", task.name))
            if node is not None:
                await self.put_right(node, evict=task.what == "evict")

    async def put_right(self, node: Any, evict: bool) -> None:
        """Conditions, taints and labels of one node, and its pods' readiness."""
        name, before = node.metadata.name, ready_status(node)
        health = self.health.get(name)
        if health is not None and health.is_silent(self.clock.now()):
            node = await self.mark_unknown(node)
        if before == "True" and ready_status(node) != "True":
            about = _reference(node)
            self.events.event(about, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
            self.retry.add(name)
        if name in self.retry:
            await self.mark_not_ready(self.pods.indexer.by_index(BY_NODE, name))
            self.retry.discard(name)
        taints = taints_after(node, evict, times.format(self.clock.now()))
        if taints != node.spec.taints:
            node = await self.write_taints(node, taints)
        if labels := missing_labels(node):
            await self.client.patch(core_v1.Node, name, body={"metadata": {"labels": labels}})
        self._queue_for_eviction(node)

    async def mark_unknown(self, node: Any) -> Any:
        """Say that nothing is known of a silent node."""
        conditions = unknown_conditions(node, times.format(self.clock.now()))
        if conditions == node.status.conditions:
            return node
        return await self.client.update_status(evolve(node, status={"conditions": conditions}))

    async def write_taints(self, node: Any, taints: tuple[Any, ...]) -> Any:
        wire = [scheme().to_dict(taint) for taint in taints]
        body = {
            "metadata": {"resourceVersion": node.metadata.resourceVersion},
            "spec": {"taints": wire or None},
        }
        return await self.client.patch(core_v1.Node, node.metadata.name, body=body)

    async def mark_not_ready(self, pods: list[Any]) -> None:
        """Pods of a silent node are not counted on. Raises the last refusal when all were tried."""
        refused: StatusError | None = None
        now = times.format(self.clock.now())
        for pod in pods:
            ready = find(pod.status.conditions, "Ready")
            if ready is None or ready.status == "False":
                continue
            changed = evolve(ready, status="False", lastTransitionTime=now)
            conditions = tuple(changed if c is ready else c for c in pod.status.conditions)
            try:
                await write_pod_status(self.client, pod, evolve(pod.status, conditions=conditions))
            except StatusError as error:
                if not is_not_found(error):
                    refused = error
                continue
            self.events.event(pod, "Warning", "NodeNotReady", "Node is not ready")
        if refused is not None:
            raise refused

    # -- zones -------------------------------------------------------------------------------------------

    def _queue_for_eviction(self, node: Any) -> None:
        name, zone_name = node.metadata.name, zone_of(node)
        for other, zone in self.zones.items():
            if other != zone_name:
                zone.waiting.pop(name, None)
        zone = self.zones.setdefault(zone_name, Zone())
        if lead_to_eviction(node):
            zone.waiting.setdefault(name)
            self.queue.add(Task("zone", zone_name))
        else:
            zone.waiting.pop(name, None)

    def _let_go(self, zone_name: str) -> None:
        """Hand out the turns that the zone's rate allows."""
        zone = self.zones.get(zone_name)
        if zone is None:
            return
        while (name := zone.take()) is not None:
            self.queue.add(Task("evict", name))
        if zone.waiting and zone.rate > 0:
            self.queue.add_after(Task("zone", zone_name), 1 / zone.rate)

    async def judge_zones(self) -> None:
        """Count ready nodes where something changed, and set the zones' rates."""
        if not self._changed:
            return
        self._changed = False
        nodes = self.nodes.indexer.list()
        change = disruption(self.zones, count_nodes((node, ready_status(node)) for node in nodes))
        if change.began:
            for zone in self.zones.values():
                zone.waiting.clear()
            for node in nodes:
                await self._reprieve(node)
        elif change.ended:
            now = self.clock.now()
            for health in self.health.values():
                health.heard = now
        if not change.began:
            for name in self.zones:
                self.queue.add(Task("zone", name))
            for node in nodes:
                if self._is_unready(node.metadata.name):
                    self._queue_for_eviction(node)

    async def _reprieve(self, node: Any) -> None:
        """Nobody is well: pods are not to leave a node for no better place."""
        taints = without_eviction(node.spec.taints)
        if taints == node.spec.taints:
            return
        try:
            await self.write_taints(node, taints)
        except StatusError:
            self._changed = True  # the next look tries again


def _said(node: Any) -> list[tuple[str, str]]:
    """What its conditions say, heartbeats aside."""
    return [(c.type, c.status) for c in node.status.conditions]


def _reference(node: Any) -> dict[str, str]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "name": node.metadata.name,
        "uid": node.metadata.uid,
    }


def missing_labels(node: Any) -> dict[str, str]:
    """Old labels that do not say what the new ones do."""
    labels = node.metadata.labels
    return {
        old: labels[new] for new, old in LABELS.items() if new in labels and labels.get(old) != labels[new]
    }
