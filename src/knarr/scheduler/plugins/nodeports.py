"""NodePorts: two pods cannot have one port of a node."""

from __future__ import annotations

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, USAGE, FilterPlugin, Rows
from knarr.scheduler.queue.events import ASSIGNED_POD, NODE, Action, ClusterEvent, Interest

ANY = "0.0.0.0"


def conflict(a: tuple[str, str, int], b: tuple[str, str, int]) -> bool:
    """Same protocol and port, and addresses that overlap."""
    return a[1:] == b[1:] and (a[0] == b[0] or ANY in (a[0], b[0]))


class NodePorts(FilterPlugin):
    """hostPort of containers."""

    name = "NodePorts"
    depends = USAGE
    reason = "node(s) didn't have free ports for the requested pod ports"
    interests = (Interest(ASSIGNED_POD, Action.DELETE), Interest(NODE, Action.ADD))

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.host_ports)

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        free = np.ones(cluster.nodes.size, bool)
        for taken in self._conflicting(pod, cluster):
            if taken:
                free[list(taken)] = False
        return free[rows]

    def fits(self, pod: PodClass, cluster: Cluster, row: int) -> bool:
        return not any(row in taken for taken in self._conflicting(pod, cluster))

    def _conflicting(self, pod: PodClass, cluster: Cluster) -> list[dict[int, int]]:
        return [
            rows for port, rows in cluster.ports.items() if any(conflict(port, p) for p in pod.host_ports)
        ]

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        if event.resource == NODE:
            return True
        return any(conflict(a, b) for a in pod.host_ports for b in event.old.host_ports)
