"""Selectors and terms of a pod's spec in the form that plugins work with: hashable, parsed once per class of pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from knarr.meta import labels
from knarr.meta.labels import Selector

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"

#: (key, operator, values) of a node selector requirement
NodeRequirement = tuple[str, str, tuple[str, ...]]


class NodeTerm(NamedTuple):
    """One nodeSelectorTerm: every requirement must hold; without any it matches no node."""

    expressions: tuple[NodeRequirement, ...]
    fields: tuple[NodeRequirement, ...] = ()


class PodTerm(NamedTuple):
    """One (anti-)affinity term; `weight` is 0 for required ones."""

    selector: Selector
    namespaces: frozenset[str]
    #: namespaces by their labels, besides those by name
    namespace_selector: Selector | None
    key: str
    weight: int = 0

    def matches(self, namespace: str, pod_labels: Mapping[str, str], of: Mapping[str, Any]) -> bool:
        """`of`: the labels of each namespace."""
        if namespace not in self.namespaces and not (
            self.namespace_selector is not None and self.namespace_selector.matches(of.get(namespace, {}))
        ):
            return False
        return self.selector.matches(pod_labels)


class Spread(NamedTuple):
    """One topologySpreadConstraint."""

    max_skew: int
    key: str
    #: DoNotSchedule
    hard: bool
    selector: Selector
    min_domains: int = 1
    #: nodes the pod's node affinity excludes are not counted
    honor_affinity: bool = True
    #: nodes with taints the pod does not tolerate are not counted
    honor_taints: bool = False


def selector_of(selector: Any) -> Selector:
    """Of a LabelSelector Struct; None selects nothing."""
    if selector is None:
        return labels.nothing()
    return labels.from_label_selector(
        {
            "matchLabels": dict(selector.matchLabels),
            "matchExpressions": [
                {"key": e.key, "operator": e.operator, "values": list(e.values)}
                for e in selector.matchExpressions
            ],
        }
    )


def _with_label_keys(selector: Selector, pod_labels: Mapping[str, str], same: Any, other: Any) -> Selector:
    """matchLabelKeys and mismatchLabelKeys, where the API server has not merged them into the selector."""
    more = [labels.requirement(k, "in", [pod_labels[k]]) for k in same or () if k in pod_labels]
    more += [labels.requirement(k, "notin", [pod_labels[k]]) for k in other or () if k in pod_labels]
    return selector.add(*more) if more and not selector.selects_nothing else selector


def node_terms(selector: Any) -> tuple[NodeTerm, ...]:
    """Of a NodeSelector Struct."""
    return tuple(node_term(term) for term in selector.nodeSelectorTerms)


def node_term(term: Any) -> NodeTerm:
    return NodeTerm(_requirements(term.matchExpressions), _requirements(term.matchFields))


def _requirements(found: Iterable[Any]) -> tuple[NodeRequirement, ...]:
    return tuple((r.key, r.operator, tuple(r.values)) for r in found)


def _pod_term(term: Any, namespace: str, pod_labels: Mapping[str, str], weight: int = 0) -> PodTerm:
    names = frozenset(term.namespaces)
    by_label = None if term.namespaceSelector is None else selector_of(term.namespaceSelector)
    if not names and by_label is None:
        names = frozenset((namespace,))
    selector = _with_label_keys(
        selector_of(term.labelSelector), pod_labels, term.matchLabelKeys, term.mismatchLabelKeys
    )
    return PodTerm(selector, names, by_label, term.topologyKey, weight)


def pod_terms(affinity: Any, namespace: str, pod_labels: Mapping[str, str]) -> tuple[PodTerm, ...]:
    """The required terms of a PodAffinity or PodAntiAffinity (or of None)."""
    if affinity is None:
        return ()
    found = affinity.requiredDuringSchedulingIgnoredDuringExecution
    return tuple(_pod_term(term, namespace, pod_labels) for term in found)


def preferred_pod_terms(affinity: Any, namespace: str, pod_labels: Mapping[str, str]) -> tuple[PodTerm, ...]:
    if affinity is None:
        return ()
    found = affinity.preferredDuringSchedulingIgnoredDuringExecution
    return tuple(_pod_term(t.podAffinityTerm, namespace, pod_labels, t.weight) for t in found if t.weight)


def spread(constraint: Any, pod_labels: Mapping[str, str]) -> Spread:
    """Of a TopologySpreadConstraint Struct."""
    return Spread(
        constraint.maxSkew,
        constraint.topologyKey,
        constraint.whenUnsatisfiable == "DoNotSchedule",
        _with_label_keys(selector_of(constraint.labelSelector), pod_labels, constraint.matchLabelKeys, ()),
        constraint.minDomains or 1,
        (constraint.nodeAffinityPolicy or "Honor") == "Honor",
        constraint.nodeTaintsPolicy == "Honor",
    )
