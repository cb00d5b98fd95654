"""Topology spread constraints."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.affinity import validate_label_keys
from knarr.api.core.podspec.paths import Errors
from knarr.meta.fielderrors import duplicate, invalid, not_supported, required
from knarr.meta.labels import validate_label_selector

Spec = dict[str, Any]
_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_POLICIES = ("Honor", "Ignore")
_POSITIVE = "must be greater than zero"


def validate_spread(constraints: list[Spec], base: str, errors: Errors) -> None:
    for index, constraint in enumerate(constraints):
        path = f"{base}[{index}]"
        key, action = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        if constraint.get("maxSkew", 0) <= 0:
            errors.append(invalid(f"{path}.maxSkew", constraint.get("maxSkew", 0), _POSITIVE))
        if not key:
            errors.append(required(f"{path}.topologyKey", "can not be empty"))
        if action not in _ACTIONS:
            errors.append(not_supported(f"{path}.whenUnsatisfiable", action, _ACTIONS))
        if any(_same_kind(constraint, later) for later in constraints[index + 1 :]):
            errors.append(duplicate(path + ".{topologyKey, whenUnsatisfiable}", f"{{{key}, {action}}}"))
        _validate_min_domains(constraint, path, errors)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if field in constraint and constraint[field] not in _POLICIES:
                errors.append(not_supported(f"{path}.{field}", constraint[field], _POLICIES))
        validate_label_keys(constraint, path, errors)
        errors += validate_label_selector(constraint.get("labelSelector"), f"{path}.labelSelector")


def _same_kind(one: Spec, other: Spec) -> bool:
    fields = ("topologyKey", "whenUnsatisfiable")
    return all(one.get(field, "") == other.get(field, "") for field in fields)


def _validate_min_domains(constraint: Spec, path: str, errors: Errors) -> None:
    domains = constraint.get("minDomains")
    if domains is None:
        return
    path = f"{path}.minDomains"
    if domains <= 0:
        errors.append(invalid(path, domains, _POSITIVE))
    action = constraint.get("whenUnsatisfiable", "")
    if action != "DoNotSchedule":
        message = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        errors.append(invalid(path, domains, message))
