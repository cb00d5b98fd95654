"""matchLabelKeys: a term's selector is completed with the values that the new pod's own labels have."""

from __future__ import annotations

from typing import Any

Spec = dict[str, Any]


def merge_match_label_keys(spec: Spec, labels: dict[str, str]) -> None:
    """Done once, when the pod is created (KEP-3243 and KEP-3633)."""
    affinity = spec.get("affinity")
    if affinity:
        for name in ("podAffinity", "podAntiAffinity"):
            part = affinity.get(name, {})
            for term in part.get("requiredDuringSchedulingIgnoredDuringExecution", ()):
                _merge(term, labels)
            for weighted in part.get("preferredDuringSchedulingIgnoredDuringExecution", ()):
                _merge(weighted.get("podAffinityTerm", {}), labels)
    for constraint in spec.get("topologySpreadConstraints", ()):
        _merge(constraint, labels)


def _merge(term: Spec, labels: dict[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(field, ()):
            if key in labels:
                expression = {"key": key, "operator": operator, "values": [labels[key]]}
                selector.setdefault("matchExpressions", []).append(expression)
