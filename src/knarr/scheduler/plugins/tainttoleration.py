"""TaintToleration: nodes repel pods that do not tolerate their taints."""

from __future__ import annotations

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array, Taint, facts_of
from knarr.scheduler.framework import ALL, MAX_NODE_SCORE, FilterPlugin, Rows, ScorePlugin
from knarr.scheduler.queue.events import NODE, POD, Action, ClusterEvent, Interest

#: (key, operator, value, effect)
Toleration = tuple[str, str, str, str]
SOFT = "PreferNoSchedule"


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    key, operator, value, effect = toleration
    if (effect and effect != taint[2]) or (key and key != taint[0]):
        return False
    return operator == "Exists" or (operator == "Equal" and value == taint[1])


def tolerated(tolerations: tuple[Toleration, ...], taint: Taint) -> bool:
    return any(tolerates(toleration, taint) for toleration in tolerations)


def untolerated(tolerations: tuple[Toleration, ...], taints: tuple[Taint, ...]) -> bool:
    """Is there a taint that forbids scheduling?"""
    return any(taint[2] != SOFT and not tolerated(tolerations, taint) for taint in taints)


def taint_mask(pod: PodClass, cluster: Cluster) -> Array:
    """True where the pod tolerates every NoSchedule and NoExecute taint."""

    def build() -> Array:
        ids, sets = cluster.nodes.taint_sets()
        return np.array([not untolerated(pod.tolerations, taints) for taints in sets], bool)[ids]

    return cluster.nodes.memo(("taints", pod.tolerations), build)


class TaintToleration(FilterPlugin, ScorePlugin):
    """Filters by NoSchedule and NoExecute taints; prefers nodes with fewer PreferNoSchedule taints in the way."""

    name = "TaintToleration"
    reason = "node(s) had untolerated taint(s)"
    unresolvable = True
    weight = 3
    normalizes = True
    interests = (
        Interest(NODE, Action.ADD | Action.NODE_TAINT),
        Interest(POD, Action.POD_TOLERATION),
    )

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        return taint_mask(pod, cluster)[rows]

    def score(self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL) -> Array:
        """How many soft taints the pod does not tolerate."""
        soft = tuple(t for t in pod.tolerations if t[3] in ("", SOFT))

        def build() -> Array:
            ids, sets = cluster.nodes.taint_sets()
            counts = [sum(t[2] == SOFT and not tolerated(soft, t) for t in taints) for taints in sets]
            return np.array(counts, np.int64)[ids]

        return cluster.nodes.memo(("soft taints", soft), build)[rows]

    def normalize(self, raw: Array, highest: int) -> Array:
        return MAX_NODE_SCORE - (MAX_NODE_SCORE * raw // highest if highest else 0 * raw)

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        if event.resource == POD:
            return True
        if event.old is not None and not untolerated(pod.tolerations, facts_of(event.old).taints):
            return False  # its taints were not the obstacle
        return not untolerated(pod.tolerations, facts_of(event.new).taints)
