"""Affinity to nodes and to other pods."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.nodeselector import validate_node_selector, validate_term
from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import names
from knarr.meta.fielderrors import forbidden, invalid, required
from knarr.meta.labels import validate_label_selector

Spec = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = "must be in the range 1-100"


def validate_affinity(affinity: Spec, path: str, errors: Errors) -> None:
    if "nodeAffinity" in affinity:
        _validate_node_affinity(affinity["nodeAffinity"], f"{path}.nodeAffinity", errors)
    for name in ("podAffinity", "podAntiAffinity"):
        if name in affinity:
            _validate_pod_affinity(affinity[name], f"{path}.{name}", errors)


def _validate_node_affinity(affinity: Spec, path: str, errors: Errors) -> None:
    if REQUIRED in affinity:
        validate_node_selector(affinity[REQUIRED], f"{path}.{REQUIRED}", errors)
    for index, term in enumerate(affinity.get(PREFERRED, ())):
        here = f"{path}.{PREFERRED}[{index}]"
        _validate_weight(term, here, errors)
        validate_term(term.get("preference", {}), f"{here}.preference", errors, any_value=True)


def _validate_pod_affinity(affinity: Spec, path: str, errors: Errors) -> None:
    for index, term in enumerate(affinity.get(REQUIRED, ())):
        _validate_pod_term(term, f"{path}.{REQUIRED}[{index}]", errors)
    for index, weighted in enumerate(affinity.get(PREFERRED, ())):
        here = f"{path}.{PREFERRED}[{index}]"
        _validate_weight(weighted, here, errors)
        _validate_pod_term(weighted.get("podAffinityTerm", {}), f"{here}.podAffinityTerm", errors)


def _validate_weight(term: Spec, path: str, errors: Errors) -> None:
    weight = term.get("weight", 0)
    if not 1 <= weight <= 100:
        errors.append(invalid(f"{path}.weight", weight, _WEIGHT))


def _validate_pod_term(term: Spec, path: str, errors: Errors) -> None:
    selector = term.get("labelSelector")
    errors += validate_label_selector(selector, f"{path}.labelSelector")
    errors += validate_label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces", ()):
        add(errors, f"{path}.namespace", name, names.is_dns1123_label(name))
    validate_label_keys(term, path, errors)
    topology = term.get("topologyKey", "")
    if not topology:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    add(errors, f"{path}.topologyKey", topology, names.is_qualified_name(topology))


def validate_label_keys(holder: Spec, path: str, errors: Errors) -> None:
    """matchLabelKeys and mismatchLabelKeys of a term or a spread constraint: their values come from the pod itself,
    whose creation has added them to the selector."""
    matching, other = holder.get("matchLabelKeys", ()), holder.get("mismatchLabelKeys", ())
    if not matching and not other:
        return
    selector = holder.get("labelSelector")
    _validate_keys(matching, selector, f"{path}.matchLabelKeys", errors)
    _validate_keys(other, selector, f"{path}.mismatchLabelKeys", errors)
    seen = set((selector or {}).get("matchLabels", ()))
    for expression in (selector or {}).get("matchExpressions", ()):
        key = expression.get("key", "")
        if key in matching and key in seen:
            # the index is that of the key, though the path leads to the term
            where = f"{path}[{_last(matching, key)}]"
            errors.append(invalid(where, key, "exists in both matchLabelKeys and labelSelector"))
        seen.add(key)
    for index, key in enumerate(matching):
        if key in other:
            message = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"{path}.matchLabelKeys[{index}]", key, message))


def _last(keys: list[str], key: str) -> int:
    return max(index for index, other in enumerate(keys) if other == key)


def _validate_keys(keys: list[str], selector: Spec | None, path: str, errors: Errors) -> None:
    if keys and selector is None:
        errors.append(forbidden(path, "must not be specified when labelSelector is not set"))
        return
    for index, key in enumerate(keys):
        add(errors, f"{path}[{index}]", key, names.is_qualified_name(key))
