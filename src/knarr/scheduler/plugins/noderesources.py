"""NodeResourcesFit and NodeResourcesBalancedAllocation: does the pod fit, and how would the node be used then?"""

from __future__ import annotations

import numpy as np

from knarr.api.core import podrequests
from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import CPU, MEMORY, PODS, Array
from knarr.scheduler.framework import ALL, MAX_NODE_SCORE, USAGE, FilterPlugin, Refusal, Rows, ScorePlugin
from knarr.scheduler.queue.events import ASSIGNED_POD, NODE, POD, Action, ClusterEvent, Interest

#: where float64 division needs a check to equal int64 division
EXACT_BELOW = 2.0**46


def _share(free: Array, capacity: Array) -> Array:
    """free * 100 // capacity, 0 where nothing is free or there is no capacity."""
    free = np.maximum(free, 0.0) * MAX_NODE_SCORE
    safe = np.maximum(capacity, 1.0)
    share = np.floor(free / safe)
    if capacity.size and capacity.max() >= EXACT_BELOW:
        share -= share * safe > free
    return np.where(capacity > 0, share, 0.0)


def _from_devices(pod: PodClass, cluster: Cluster) -> frozenset[int]:
    """Rows of resources that nodes need not have: a DeviceClass provides them (see DynamicResources)."""
    return frozenset(row for row, _ in cluster.from_devices(pod))


class NodeResourcesFit(FilterPlugin, ScorePlugin):
    """Requests against what is allocatable; scores by LeastAllocated over cpu and memory, equally weighted."""

    name = "NodeResourcesFit"
    depends = USAGE
    interests = (
        Interest(ASSIGNED_POD, Action.DELETE | Action.POD_SCALE_DOWN),
        Interest(NODE, Action.ADD | Action.NODE_ALLOCATABLE),
        Interest(POD, Action.POD_SCALE_DOWN),
    )

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        allocatable, requested = cluster.nodes.allocatable, cluster.nodes.requested
        mask: Array | None = None
        waived = _from_devices(pod, cluster) if pod.extended else ()
        for resource, amount in pod.asks:
            enough = requested[resource][rows] + amount <= allocatable[resource][rows]
            if waived and resource in waived:
                enough |= allocatable[resource][rows] == 0
            mask = enough if mask is None else mask & enough
        assert mask is not None  # every pod asks for a place among the pods
        return mask

    def fits(self, pod: PodClass, cluster: Cluster, row: int) -> bool:
        allocatable, requested = cluster.nodes.allocatable_at, cluster.nodes.requested_at
        for resource, amount in pod.asks:
            if requested[resource][row] + amount > allocatable[resource][row]:
                if (
                    pod.extended
                    and not allocatable[resource][row]
                    and resource in _from_devices(pod, cluster)
                ):
                    continue
                return False
        return True

    def refusals(self, pod: PodClass, cluster: Cluster) -> list[Refusal]:
        """Every resource that lacks is named; more than the node has at all cannot be helped by preemption."""
        nodes = cluster.nodes
        names = nodes.resource_names
        waived = _from_devices(pod, cluster)
        hopeless = np.zeros(nodes.size, bool)
        for resource, amount in pod.asks:
            if resource != PODS and resource not in waived:
                hopeless |= amount > nodes.allocatable[resource]
        found = []
        for resource, amount in pod.asks:
            lacking = nodes.requested[resource] + amount > nodes.allocatable[resource]
            if resource in waived:
                lacking &= nodes.allocatable[resource] > 0
            reason = "Too many pods" if resource == PODS else f"Insufficient {names[resource]}"
            found.append(Refusal(lacking & hopeless, reason, unresolvable=True))
            found.append(Refusal(lacking & ~hopeless, reason))
        return found

    def score(self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL) -> Array:
        nodes = cluster.nodes
        cpu, memory = nodes.allocatable[CPU][rows], nodes.allocatable[MEMORY][rows]
        total = _share(cpu - nodes.scored[0][rows] - pod.scored_cpu, cpu)
        total += _share(memory - nodes.scored[1][rows] - pod.scored_memory, memory)
        return np.floor(total / np.maximum((cpu > 0).astype(float) + (memory > 0), 1.0))

    def score_row(self, pod: PodClass, cluster: Cluster, row: int) -> int:
        """The same for one node."""
        nodes = cluster.nodes
        total = judged = 0
        cpu, memory = nodes.allocatable_at[CPU][row], nodes.allocatable_at[MEMORY][row]
        if cpu:
            judged = 1
            free = cpu - nodes.scored_at[0][row] - pod.scored_cpu
            if free > 0.0:
                total = int(free * 100.0 // cpu)
        if memory:
            judged += 1
            free = memory - nodes.scored_at[1][row] - pod.scored_memory
            if free > 0.0:
                total += int(free * 100.0 // memory)
        return total // judged if judged else 0

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        if event.resource == NODE:
            return self._could_hold(pod, event, cluster)
        if event.resource == POD:
            return True
        freed = {resource for resource, _ in event.old.asks}
        return any(resource in freed for resource, _ in pod.asks)

    def _could_hold(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        names = cluster.nodes.resource_names
        has = podrequests.amounts(event.new.status.allocatable)
        if any(amount > has.get(names[resource], 0) for resource, amount in pod.asks):
            return False
        if event.old is None or event.actions & Action.ADD:
            return True
        had = podrequests.amounts(event.old.status.allocatable)
        return any(has.get(names[r], 0) > had.get(names[r], 0) for r, _ in pod.asks)


class BalancedAllocation(ScorePlugin):
    """Prefers nodes whose cpu and memory the pod would bring closer to one share, and punishes the opposite.

    50 stands for no change (v1.36; before, the score was the balance itself).
    """

    name = "NodeResourcesBalancedAllocation"
    depends = USAGE

    def score(self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL) -> Array | None:
        if pod.best_effort:
            return None
        nodes = cluster.nodes
        cpu, memory = nodes.allocatable[CPU][rows], nodes.allocatable[MEMORY][rows]
        asked = dict(pod.asks)
        with np.errstate(divide="ignore", invalid="ignore"):
            used_cpu = np.minimum((nodes.requested[CPU][rows] + asked.get(CPU, 0.0)) / cpu, 1.0)
            used_memory = np.minimum((nodes.requested[MEMORY][rows] + asked.get(MEMORY, 0.0)) / memory, 1.0)
            after = np.floor((1.0 - np.abs((used_cpu - used_memory) / 2)) * 100.0)
        after = np.where((cpu > 0) & (memory > 0), after, 100.0)
        return 50.0 + np.floor((50.0 + after - nodes.balance[rows]) / 2)

    def score_row(self, pod: PodClass, cluster: Cluster, row: int) -> int:
        """The same for one node."""
        if pod.best_effort:
            return 0
        nodes = cluster.nodes
        cpu, memory = nodes.allocatable_at[CPU][row], nodes.allocatable_at[MEMORY][row]
        after = 100
        if cpu and memory:
            used_cpu, used_memory = nodes.requested_at[CPU][row], nodes.requested_at[MEMORY][row]
            for resource, amount in pod.asks:
                if resource == CPU:
                    used_cpu += amount
                elif resource == MEMORY:
                    used_memory += amount
            used_cpu /= cpu
            used_memory /= memory
            if used_cpu > 1.0:
                used_cpu = 1.0
            if used_memory > 1.0:
                used_memory = 1.0
            after = int((1.0 - abs((used_cpu - used_memory) / 2)) * 100.0)
        return 50 + (50 + after - int(nodes.balance_at[row])) // 2
