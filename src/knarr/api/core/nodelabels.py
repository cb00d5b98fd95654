"""Labels of nodes that have newer names: what a client that uses the old ones is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.meta import names

#: old name: (since when, new name)
DEPRECATED = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}


def deprecated_label_warning(path: str, label: str) -> list[str]:
    if label not in DEPRECATED:
        return []
    since, new = DEPRECATED[label]
    return [f'{path}: deprecated since {since}; use "{new}" instead']


def deprecated_selector_warnings(selector: Iterable[str], path: str) -> list[str]:
    """For a nodeSelector map."""
    return [
        said for label in sorted(selector) for said in deprecated_label_warning(f"{path}[{label}]", label)
    ]


def term_warnings(term: dict[str, Any], path: str, check_values: bool = False) -> list[str]:
    """For one term of a node selector; values that no label can have are refused where they are no preference."""
    said: list[str] = []
    for i, expression in enumerate(term.get("matchExpressions") or ()):
        here = f"{path}.matchExpressions[{i}]"
        label = expression.get("key", "")
        if label in DEPRECATED:
            since, new = DEPRECATED[label]
            said.append(f'{here}.key: {label} is deprecated since {since}; use "{new}" instead')
        if check_values:
            for j, value in enumerate(expression.get("values") or ()):
                said += [f"{here}.values[{j}]: {value} is invalid, {m}" for m in names.is_label_value(value)]
    return said
