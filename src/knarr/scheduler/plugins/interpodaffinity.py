"""InterPodAffinity: pods that want, or cannot stand, the company of others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Anchor, Cluster, LiveTerm
from knarr.scheduler.cache.counters import Counter
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, MAX_NODE_SCORE, TOPOLOGY, FilterPlugin, Refusal, Rows, ScorePlugin
from knarr.scheduler.queue.events import ASSIGNED_POD, NAMESPACE, NODE, POD, Action, ClusterEvent, Interest
from knarr.scheduler.terms import PodTerm

#: what a running pod's required affinity counts for in the score of a pod that it wants near
HARD_AFFINITY_WEIGHT = 1


class State(NamedTuple):
    """The counters that decide for one class of pods."""

    #: per required term: pods that match all terms, by the term's key
    affinity: list[Counter]
    #: the pod matches its own required terms, so the first of its kind may go anywhere
    selects_itself: bool
    #: per required anti-affinity term: pods that match it
    apart: list[Counter]
    #: running pods whose anti-affinity excludes this pod
    repelled: list[Counter]
    #: (weight, counter) of preferences, its own and those of running pods
    preferred: list[tuple[int, Counter]]
    #: nodes that have all keys of the required affinity; None where all do
    keyed: Array | None

    @property
    def first_of_its_kind(self) -> bool:
        return self.selects_itself and all(counter.total == 0 for counter in self.affinity)


def _matching(cluster: Cluster, term: PodTerm) -> Counter:
    """Pods that a term selects."""
    what = ("pods", term.selector, term.namespaces, term.namespace_selector)
    return cluster.counter(
        what, lambda pod: cluster.term_matches(term, pod), term.key, _anchors(cluster, term)
    )


def _anchors(cluster: Cluster, term: PodTerm) -> list[Anchor]:
    return cluster.anchors(term.selector, term.namespaces, term.namespace_selector is not None)


def _matching_all(cluster: Cluster, terms: tuple[PodTerm, ...], key: str) -> Counter:
    what = ("all", tuple(t._replace(key="", weight=0) for t in terms))
    return cluster.counter(
        what, lambda pod: all(cluster.term_matches(t, pod) for t in terms), key, _anchors(cluster, terms[0])
    )


def _owners(cluster: Cluster, live: LiveTerm) -> Counter:
    """Pods of the class that a term belongs to."""
    owner = live.owner
    return cluster.counter(("class", owner.id), lambda pod: pod is owner, live.term.key, owner)


def prepare(pod: PodClass, cluster: Cluster) -> State:
    affinity = [_matching_all(cluster, pod.affinity, term.key) for term in pod.affinity]
    keyed = np.ones(cluster.nodes.size, bool)
    for term in pod.affinity:
        keyed &= cluster.nodes.column(term.key).ids >= 0
    apart = _unique([_matching(cluster, term) for term in pod.anti_affinity])
    weights: dict[int, tuple[int, Counter]] = {}

    def prefer(weight: int, counter: Counter) -> None:
        weights[id(counter)] = (weights.get(id(counter), (0,))[0] + weight, counter)

    for term in pod.preferred:
        prefer(term.weight, _matching(cluster, term))
    for term in pod.preferred_anti:
        prefer(-term.weight, _matching(cluster, term))
    repelled = []
    for live in cluster.terms_matching(pod):
        if live.kind == "anti_affinity":
            repelled.append(_owners(cluster, live))
        elif live.kind == "affinity":
            prefer(HARD_AFFINITY_WEIGHT, _owners(cluster, live))
        else:
            prefer(
                live.term.weight if live.kind == "preferred" else -live.term.weight, _owners(cluster, live)
            )
    return State(
        affinity,
        bool(affinity) and all(cluster.term_matches(t, pod) for t in pod.affinity),
        apart,
        _unique(repelled),
        [(weight, counter) for weight, counter in weights.values() if weight],
        None if keyed.all() else keyed,
    )


def _unique(counters: list[Counter]) -> list[Counter]:
    return list({id(counter): counter for counter in counters}.values())


def _empty_domains(counters: list[Counter], rows: Rows) -> Array | None:
    """True on nodes in whose domain no such pod runs, or that are in none."""
    mask: Array | None = None
    for counter in counters:
        if counter.total:
            fine = (counter.domains == 0)[counter.column.ids[rows]]
            mask = fine if mask is None else mask & fine
    return mask


def _empty_at(counters: list[Counter], row: int) -> bool:
    for counter in counters:
        domain = counter.column.row[row]
        if domain >= 0 and counter.at[domain] > 0:
            return False
    return True


class InterPodAffinity(FilterPlugin, ScorePlugin):
    """spec.affinity.podAffinity and podAntiAffinity, of the pod and of those that run."""

    name = "InterPodAffinity"
    depends = TOPOLOGY
    weight = 2
    interests = (
        Interest(ASSIGNED_POD, Action.ADD | Action.DELETE | Action.POD_LABEL),
        Interest(NODE, Action.ADD | Action.NODE_LABEL),
        Interest(POD, Action.POD_LABEL),
        Interest(NAMESPACE, Action.ADD | Action.UPDATE),
    )

    def state(self, pod: PodClass, cluster: Cluster) -> State:
        return cluster.plan(self.name, pod, lambda: prepare(pod, cluster))

    # -- filter ------------------------------------------------------------------------------------------

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array | None:
        state = self.state(pod, cluster)
        masks = (
            self._together(state, rows),
            _empty_domains(state.apart, rows),
            _empty_domains(state.repelled, rows),
        )
        found = [mask for mask in masks if mask is not None]
        return np.logical_and.reduce(found) if found else None

    def _together(self, state: State, rows: Rows) -> Array | None:
        mask = state.keyed[rows] if state.keyed is not None else None
        if state.affinity and not state.first_of_its_kind:
            for counter in state.affinity:
                company = (counter.domains > 0)[counter.column.ids[rows]]
                mask = company if mask is None else mask & company
        return mask

    def fits(self, pod: PodClass, cluster: Cluster, row: int) -> bool:
        state = self.state(pod, cluster)
        if state.affinity:
            if state.keyed is not None and not state.keyed[row]:
                return False
            if not state.first_of_its_kind and any(c.at[c.column.row[row]] <= 0 for c in state.affinity):
                return False
        return _empty_at(state.apart, row) and _empty_at(state.repelled, row)

    def refusals(self, pod: PodClass, cluster: Cluster) -> list[Refusal]:
        """The first of the three rules that a node breaks."""
        state = self.state(pod, cluster)
        found = []
        left = np.ones(cluster.nodes.size, bool)
        for mask, reason, unresolvable in (
            (self._together(state, ALL), "node(s) didn't match pod affinity rules", True),
            (_empty_domains(state.apart, ALL), "node(s) didn't match pod anti-affinity rules", False),
            (
                _empty_domains(state.repelled, ALL),
                "node(s) didn't satisfy existing pods anti-affinity rules",
                False,
            ),
        ):
            if mask is not None:
                found.append(Refusal(left & ~mask, reason, unresolvable))
                left &= mask
        return found

    # -- score -------------------------------------------------------------------------------------------

    def score(self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL) -> Array | None:
        """0..100 between the least and the most wanted feasible node."""
        state = self.state(pod, cluster)
        if not state.preferred:
            return None
        raw = np.zeros(len(feasible), np.int64)
        for weight, counter in state.preferred:
            if counter.total:
                raw += (weight * counter.domains)[counter.column.ids]
        far = np.iinfo(np.int64).max
        lowest, highest = (
            int(raw.min(where=feasible, initial=far)),
            int(raw.max(where=feasible, initial=-far)),
        )
        if highest <= lowest:
            return np.zeros(len(feasible))[rows]
        return np.floor(float(MAX_NODE_SCORE) * ((raw - lowest) / float(highest - lowest)))[rows]

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        if event.resource != ASSIGNED_POD:
            return True
        wanted = (*pod.affinity, *pod.anti_affinity)
        return any(
            other is not None
            and (
                any(cluster.term_matches(t, other) for t in wanted)
                or any(cluster.term_matches(t, pod) for t in other.anti_affinity)
            )
            for other in (event.old, event.new)
        )
