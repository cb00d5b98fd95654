"""Which nodes a pod may be on, by its own words: node selector and required node affinity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from knarr.meta.labels import EQUALS, EXISTS, GREATER, IN, LESS, NOT_EXISTS, NOT_IN, Selector, requirement

_OPERATORS = {
    "In": IN,
    "NotIn": NOT_IN,
    "Exists": EXISTS,
    "DoesNotExist": NOT_EXISTS,
    "Gt": GREATER,
    "Lt": LESS,
}


def chosen(spec: Any) -> Callable[[Any], bool]:
    """Which nodes spec.nodeSelector and the required node affinity allow."""
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
