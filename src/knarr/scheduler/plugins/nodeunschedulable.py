"""NodeUnschedulable: cordoned nodes take no new pods."""

from __future__ import annotations

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, FilterPlugin, Rows
from knarr.scheduler.plugins.tainttoleration import tolerated
from knarr.scheduler.queue.events import NODE, POD, Action, ClusterEvent, Interest

TAINT = ("node.kubernetes.io/unschedulable", "", "NoSchedule")


class NodeUnschedulable(FilterPlugin):
    """spec.unschedulable, except for pods that tolerate the taint of that name."""

    name = "NodeUnschedulable"
    reason = "node(s) were unschedulable"
    unresolvable = True
    interests = (
        Interest(NODE, Action.ADD | Action.NODE_SPEC | Action.NODE_TAINT),
        Interest(POD, Action.POD_TOLERATION),
    )

    def applies(self, pod: PodClass) -> bool:
        return not tolerated(pod.tolerations, TAINT)

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        nodes = cluster.nodes
        return nodes.memo("schedulable", lambda: nodes.rows_where(lambda f: not f.unschedulable))[rows]

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        return event.resource == POD or not event.new.spec.unschedulable
