"""PodTopologySpread: like pods are spread evenly over zones, nodes, racks.

The score of a node is the sum over soft constraints of count * ln(domains + 2) + maxSkew - 1, rounded; few is good.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import cache
from typing import NamedTuple

import numpy as np

from knarr.meta.labels import Selector
from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.counters import Counter
from knarr.scheduler.cache.nodes import Array, LabelColumn
from knarr.scheduler.framework import ALL, MAX_NODE_SCORE, TOPOLOGY, FilterPlugin, Refusal, Rows, ScorePlugin
from knarr.scheduler.plugins.nodeaffinity import affinity_mask
from knarr.scheduler.plugins.tainttoleration import taint_mask
from knarr.scheduler.queue.events import ASSIGNED_POD, NODE, POD, Action, ClusterEvent, Interest
from knarr.scheduler.terms import HOSTNAME, ZONE, Spread

#: how pods of services and workloads are spread that say nothing themselves
SYSTEM_DEFAULTS = ((3, HOSTNAME), (5, ZONE))


class Hard(NamedTuple):
    """A DoNotSchedule constraint over the domains of the nodes that count."""

    counter: Counter
    column: LabelColumn
    max_skew: int
    #: 1 where the pod itself is one of those counted
    itself: int
    min_domains: int
    domains: int

    @property
    def limit(self) -> int:
        """The highest count a domain may have for one more pod."""
        lowest = self.counter.minimum if self.domains >= self.min_domains else 0
        return self.max_skew + lowest - self.itself


class Soft(NamedTuple):
    """A ScheduleAnyway constraint."""

    counter: Counter
    column: LabelColumn
    max_skew: int
    #: every node is a domain of its own
    hostname: bool


class State(NamedTuple):
    """What the constraints come to for one class of pods."""

    hard: list[Hard]
    soft: list[Soft]
    #: nodes that lack a hard constraint's key; None where none does
    keyless: Array | None
    #: nodes that lack a soft constraint's key and score 0; None where none does
    ignored: Array | None
    by_default: bool


@cache
def weight_of(domains: int) -> float:
    """The weight of a constraint with so many domains."""
    return math.log(float(domains + 2))


def rounded(value: float) -> int:
    """To the nearest, halves up."""
    floor = math.floor(value)
    return floor + 1 if value - floor >= 0.5 else floor


def _constraints(pod: PodClass) -> tuple[tuple[Spread, ...], bool]:
    if pod.spread or pod.default_spread is None:
        return pod.spread, False
    selector = pod.default_spread
    return tuple(Spread(skew, key, False, selector) for skew, key in SYSTEM_DEFAULTS), True


def _counter(
    cluster: Cluster,
    selector: Selector,
    namespace: str,
    key: str,
    mask: Array | None = None,
    mask_key: Hashable = None,
) -> Counter:
    """Of the namespace's pods that the selector matches and that are not being deleted. An empty selector counts
    none, as in Kubernetes."""

    def matches(found: PodClass) -> bool:
        return (
            found.namespace == namespace
            and not found.terminating
            and not selector.empty
            and found.selected_by(selector)
        )

    anchors = cluster.anchors(selector, frozenset((namespace,)), False)
    return cluster.counter(("spread", selector, namespace), matches, key, anchors, mask, mask_key)


def _keyed(cluster: Cluster, keys: list[str]) -> Array | None:
    """True for nodes that have all keys; None if all nodes do."""
    mask = np.ones(cluster.nodes.size, bool)
    for key in keys:
        mask &= cluster.nodes.column(key).ids >= 0
    return None if (mask | ~cluster.nodes.present).all() else mask


def _counted(
    pod: PodClass, cluster: Cluster, constraint: Spread, keyed: Array | None
) -> tuple[Array | None, Hashable]:
    """The nodes whose pods count for a constraint (None: all), and what tells such sets apart."""
    masks = [] if keyed is None else [keyed]
    if constraint.honor_affinity and (pod.node_selector or pod.node_affinity is not None):
        masks.append(affinity_mask(pod, cluster))
    if constraint.honor_taints:
        masks.append(taint_mask(pod, cluster))
    if not masks:
        return None, None
    mask = np.logical_and.reduce(masks)
    return mask, (
        constraint.honor_affinity and (pod.node_selector, pod.node_affinity),
        constraint.honor_taints and pod.tolerations,
    )


def prepare(pod: PodClass, cluster: Cluster) -> State:
    constraints, by_default = _constraints(pod)
    wanted = [c for c in constraints if c.hard]
    keyed = _keyed(cluster, [c.key for c in wanted]) if wanted else None
    hard = []
    for constraint in wanted:
        mask, mask_key = _counted(pod, cluster, constraint, keyed)
        column = cluster.nodes.column(constraint.key)
        identity = ("hard", tuple(c.key for c in wanted), mask_key)
        counter = _counter(cluster, constraint.selector, pod.namespace, constraint.key, mask, identity)
        registered = np.zeros(column.count, bool)
        ids = column.ids[mask] if mask is not None else column.ids
        registered[ids[ids >= 0]] = True
        if counter.by_count is None:
            counter.register(registered)
        hard.append(
            Hard(
                counter,
                column,
                constraint.max_skew,
                int(pod.selected_by(constraint.selector)),
                constraint.min_domains,
                int(registered.sum()),
            )
        )
    return State(
        hard,
        *_prepare_soft(pod, cluster, [c for c in constraints if not c.hard], by_default, keyed),
        by_default,
    )


def _prepare_soft(
    pod: PodClass, cluster: Cluster, wanted: list[Spread], by_default: bool, hard_keyed: Array | None
) -> tuple[list[Soft], Array | None, Array | None]:
    keyed = _keyed(cluster, [c.key for c in wanted]) if wanted and not by_default else None
    soft = []
    for constraint in wanted:
        hostname = constraint.key == HOSTNAME
        # a node's own pods are counted as they are, whatever the policies say
        mask, mask_key = (None, None) if hostname else _counted(pod, cluster, constraint, keyed)
        if mask is not None:
            mask_key = ("soft", None if by_default else tuple(c.key for c in wanted), mask_key)
        counter = _counter(cluster, constraint.selector, pod.namespace, constraint.key, mask, mask_key)
        soft.append(Soft(counter, cluster.nodes.column(constraint.key), constraint.max_skew, hostname))
    return soft, None if hard_keyed is None else ~hard_keyed, None if keyed is None else ~keyed


class PodTopologySpread(FilterPlugin, ScorePlugin):
    """spec.topologySpreadConstraints, or the defaults for pods that a service or workload selects."""

    name = "PodTopologySpread"
    depends = TOPOLOGY
    reason = "node(s) didn't match pod topology spread constraints"
    weight = 2
    interests = (
        Interest(ASSIGNED_POD, Action.ADD | Action.DELETE | Action.POD_LABEL),
        Interest(NODE, Action.ADD | Action.DELETE | Action.NODE_LABEL | Action.NODE_TAINT),
        Interest(POD, Action.POD_LABEL | Action.POD_TOLERATION),
    )

    def applies(self, pod: PodClass) -> bool:
        return any(c.hard for c in pod.spread)

    def state(self, pod: PodClass, cluster: Cluster) -> State:
        return cluster.plan(self.name, pod, lambda: prepare(pod, cluster))

    # -- filter ------------------------------------------------------------------------------------------

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array | None:
        state = self.state(pod, cluster)
        mask = ~state.keyless[rows] if state.keyless is not None else None
        for hard in state.hard:
            fine = (hard.counter.domains <= hard.limit)[hard.column.ids[rows]]
            mask = fine if mask is None else mask & fine
        return mask

    def fits(self, pod: PodClass, cluster: Cluster, row: int) -> bool:
        state = self.state(pod, cluster)
        if state.keyless is not None and state.keyless[row]:
            return False
        return all(hard.counter.at[hard.column.row[row]] <= hard.limit for hard in state.hard)

    def refusals(self, pod: PodClass, cluster: Cluster) -> list[Refusal]:
        """The first constraint that a node does not meet."""
        left = np.ones(cluster.nodes.size, bool)
        found = []
        for hard in self.state(pod, cluster).hard:
            keyless = left & (hard.column.ids < 0)
            crowded = left & ~keyless & ~(hard.counter.domains <= hard.limit)[hard.column.ids]
            found.append(Refusal(keyless, f"{self.reason} (missing required label)", unresolvable=True))
            found.append(Refusal(crowded, self.reason))
            left &= ~(keyless | crowded)
        return found

    # -- score -------------------------------------------------------------------------------------------

    def score(self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL) -> Array | None:
        """0..100, fewest counted pods best."""
        state = self.state(pod, cluster)
        if not state.soft:
            return None
        judged = feasible if state.ignored is None else feasible & ~state.ignored
        count = int(judged.sum())
        if not count:
            return np.zeros(len(feasible))
        raw = np.zeros(len(feasible))
        for soft in state.soft:
            size = count if soft.hostname else _domains_among(soft, judged, state.by_default)
            per_domain = soft.counter.domains * weight_of(size) + float(soft.max_skew - 1)
            if state.by_default:
                per_domain[-1] = 0.0  # a node without the key is judged by the other constraint
            raw += per_domain[soft.column.ids]
        raw = np.floor(raw) + ((raw - np.floor(raw)) >= 0.5)
        lowest, highest = raw.min(where=judged, initial=np.inf), raw.max(where=judged, initial=0)
        scores = (
            np.floor(MAX_NODE_SCORE * (highest + lowest - raw) / highest)
            if highest
            else np.full(len(raw), 100.0)
        )
        if state.ignored is not None:
            scores[state.ignored] = 0
        return scores[rows]

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        if event.resource != ASSIGNED_POD:
            return True
        hard = [c.selector for c in pod.spread if c.hard]
        return any(
            other is not None and other.namespace == pod.namespace and any(other.selected_by(s) for s in hard)
            for other in (event.old, event.new)
        )


def _domains_among(soft: Soft, judged: Array, by_default: bool) -> int:
    """How many domains the feasible nodes have; under the defaults, having none counts as one more."""
    seen = np.zeros(soft.column.count + 1, bool)
    seen[soft.column.ids[judged]] = True
    return int(seen.sum() if by_default else seen[:-1].sum())
