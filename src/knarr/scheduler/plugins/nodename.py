"""NodeName: the pod names its node itself."""

from __future__ import annotations

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, FilterPlugin, Rows
from knarr.scheduler.queue.events import NODE, Action, Interest


class NodeName(FilterPlugin):
    """spec.nodeName. Pods that have it never reach the queue, so this only matters to those who ask "would it fit"."""

    name = "NodeName"
    reason = "node(s) didn't match the requested node name"
    unresolvable = True
    interests = (Interest(NODE, Action.ADD),)

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.pod.spec.nodeName)

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        wanted = pod.pod.spec.nodeName
        return cluster.nodes.rows_where(lambda facts: facts.name == wanted)[rows]
