"""NodeDeclaredFeatures: what not every kubelet can do runs where the kubelet says it can."""

from __future__ import annotations

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, FilterPlugin, Rows
from knarr.scheduler.queue.events import NODE, Action, Interest


class NodeDeclaredFeatures(FilterPlugin):
    """A Node's status.declaredFeatures."""

    name = "NodeDeclaredFeatures"
    reason = "node(s) didn't match Pod's required features"
    unresolvable = True
    interests = (Interest(NODE, Action.ADD | Action.NODE_FEATURES),)

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.features)

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        nodes = cluster.nodes
        needed = pod.features

        def build() -> Array:
            return nodes.rows_where(lambda facts: needed <= facts.features)

        return nodes.memo(("features", needed), build)[rows]
