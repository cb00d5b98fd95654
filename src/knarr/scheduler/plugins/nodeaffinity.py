"""NodeAffinity: the pod chooses nodes by their labels and names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array, Nodes, facts_of
from knarr.scheduler.framework import ALL, MAX_NODE_SCORE, FilterPlugin, Rows, ScorePlugin
from knarr.scheduler.queue.events import NODE, POD, Action, ClusterEvent, Interest
from knarr.scheduler.terms import NodeRequirement, NodeTerm

_INTEGER = re.compile(r"[+-]?[0-9]+\Z").match


def integer(text: str) -> int | None:
    """As Go's ParseInt reads 64 bits."""
    number = int(text) if _INTEGER(text) and len(text) < 100 else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def holds(requirement: NodeRequirement, value: str | None) -> bool:
    """`value`: of the label, None where the node lacks it."""
    _, operator, values = requirement
    match operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    if value is None or (number := integer(value)) is None or (bound := integer(values[0])) is None:
        return False
    return number > bound if operator == "Gt" else number < bound


def term_holds(term: NodeTerm, labels: Mapping[str, str], name: str) -> bool:
    if not term.expressions and not term.fields:
        return False
    return all(holds(e, labels.get(e[0])) for e in term.expressions) and all(
        holds(f, name if f[0] == "metadata.name" else None) for f in term.fields
    )


def matches(pod: PodClass, labels: Mapping[str, str], name: str) -> bool:
    """Does one node satisfy the selector and the required affinity?"""
    if any(labels.get(key) != value for key, value in pod.node_selector):
        return False
    return pod.node_affinity is None or any(term_holds(t, labels, name) for t in pod.node_affinity)


def term_mask(term: NodeTerm, nodes: Nodes) -> Array:
    mask = np.full(nodes.size, bool(term.expressions or term.fields))
    for requirement in term.expressions:
        column = nodes.column(requirement[0])
        # one answer per value, the last for nodes without the label (their number is -1)
        answers = [holds(requirement, value) for value in column.index]
        mask &= np.array([*answers, holds(requirement, None)], bool)[column.ids]
    for requirement in term.fields:
        mask &= nodes.rows_where(
            lambda facts, r=requirement: holds(r, facts.name if r[0] == "metadata.name" else None)
        )
    return mask


def affinity_mask(pod: PodClass, cluster: Cluster) -> Array:
    """True on the nodes that spec.nodeSelector and the required node affinity allow."""
    nodes = cluster.nodes

    def build() -> Array:
        mask = np.ones(nodes.size, bool)
        if pod.node_selector:
            mask &= term_mask(NodeTerm(tuple((k, "In", (v,)) for k, v in pod.node_selector)), nodes)
        if pod.node_affinity is not None:
            one_of = np.zeros(nodes.size, bool)
            for term in pod.node_affinity:
                one_of |= term_mask(term, nodes)
            mask &= one_of
        return mask

    return nodes.memo(("affinity", pod.node_selector, pod.node_affinity), build)


class NodeAffinity(FilterPlugin, ScorePlugin):
    """spec.nodeSelector and spec.affinity.nodeAffinity."""

    name = "NodeAffinity"
    reason = "node(s) didn't match Pod's node affinity/selector"
    unresolvable = True
    weight = 2
    normalizes = True
    interests = (Interest(NODE, Action.ADD | Action.NODE_LABEL),)

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.node_selector) or pod.node_affinity is not None

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        return affinity_mask(pod, cluster)[rows]

    def score(self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL) -> Array | None:
        """The sum of the weights of the preferences that the node meets."""
        if not pod.node_preferences:
            return None
        nodes = cluster.nodes

        def build() -> Array:
            total = np.zeros(nodes.size, np.int64)
            for weight, term in pod.node_preferences:
                total += weight * term_mask(term, nodes)
            return total

        return nodes.memo(("preferences", pod.node_preferences), build)[rows]

    def normalize(self, raw: Array, highest: int) -> Array:
        return MAX_NODE_SCORE * raw // highest if highest else 0 * raw

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        if event.resource == POD:
            return True
        if event.old is not None:
            old = facts_of(event.old)
            if matches(pod, old.labels, old.name):
                return False
        new = facts_of(event.new)
        return matches(pod, new.labels, new.name)
