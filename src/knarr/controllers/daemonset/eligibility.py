"""May a daemon set's pod run on a node? By the scheduler's own rules: name, selector, affinity, taints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from knarr.meta.labels import EQUALS, EXISTS, GREATER, IN, LESS, NOT_EXISTS, NOT_IN, Selector, requirement

_OPERATORS = {
    "In": IN,
    "NotIn": NOT_IN,
    "Exists": EXISTS,
    "DoesNotExist": NOT_EXISTS,
    "Gt": GREATER,
    "Lt": LESS,
}
#: what every daemon pod tolerates: (key, effect)
TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
TOLERATED_BY_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


class Verdict(NamedTuple):
    """`start`: a pod should be there; `stay`: one that is there may stay."""

    start: bool
    stay: bool


NOT_HERE = Verdict(False, False)


def extra_tolerations(spec: Any) -> list[tuple[str, str]]:
    return [*TOLERATED, TOLERATED_BY_HOST_NETWORK] if spec.hostNetwork else list(TOLERATED)


def compiled(ds: Any) -> Callable[[Any], Verdict]:
    """The set's rule for nodes."""
    spec = ds.spec.template.spec
    selects = _selector(spec)
    extra = set(extra_tolerations(spec))

    def tolerates(taint: Any) -> bool:
        return (taint.key, taint.effect) in extra or any(tolerated(taint, t) for t in spec.tolerations)

    def verdict(node: Any) -> Verdict:
        if spec.nodeName not in ("", node.metadata.name) or not selects(node):
            return NOT_HERE
        effects = {taint.effect for taint in node.spec.taints if not tolerates(taint)}
        return Verdict(not effects & {"NoSchedule", "NoExecute"}, "NoExecute" not in effects)

    return verdict


def tolerated(taint: Any, toleration: Any) -> bool:
    if toleration.effect not in ("", taint.effect) or toleration.key not in ("", taint.key):
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value


def _selector(spec: Any) -> Callable[[Any], bool]:
    """spec.nodeSelector and the required node affinity."""
    plain = Selector([requirement(key, EQUALS, (value,)) for key, value in spec.nodeSelector.items()])
    terms = None
    if spec.affinity is not None and spec.affinity.nodeAffinity is not None:
        required = spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
        if required is not None:
            terms = [_term(term) for term in required.nodeSelectorTerms]

    def selects(node: Any) -> bool:
        if spec.nodeSelector and not plain.matches(node.metadata.labels):
            return False
        return terms is None or any(term(node) for term in terms)

    return selects


def _term(term: Any) -> Callable[[Any], bool]:
    """All of its expressions; an empty term, or one that cannot be understood, selects nothing."""
    if not term.matchExpressions and not term.matchFields:
        return lambda node: False
    try:
        labels, fields = _requirements(term.matchExpressions), _requirements(term.matchFields)
    except (ValueError, KeyError):
        return lambda node: False
    return lambda node: (
        labels.matches(node.metadata.labels) and fields.matches({"metadata.name": node.metadata.name})
    )


def _requirements(expressions: Iterable[Any]) -> Selector:
    return Selector([requirement(e.key, _OPERATORS[e.operator], e.values) for e in expressions])
