"""Which objects a quota's scopes let in."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def in_scope(quota: Object, group: str, resource: str, obj: Object) -> bool:
    """Whether all of the quota's scopes hold for the object; only pods and volume claims can be scoped."""
    spec = quota["spec"]
    conditions = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    conditions += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not conditions:
        return True
    if (group, resource) == ("", "pods"):
        return all(_pod_matches(obj, c) for c in conditions)
    if (group, resource) == ("", "persistentvolumeclaims"):
        return all(_claim_matches(obj, c) for c in conditions)
    return False


def _pod_matches(pod: Object, condition: Object) -> bool:
    spec = pod["spec"]
    name = condition["scopeName"]
    if name == "Terminating":
        return _terminates(spec)
    if name == "NotTerminating":
        return not _terminates(spec)
    if name == "BestEffort":
        return best_effort(pod)
    if name == "NotBestEffort":
        return not best_effort(pod)
    if name == "PriorityClass":
        value = spec.get("priorityClassName")
        return _selects(condition, {value} if value else set())
    if name == "CrossNamespacePodAffinity":
        return _crosses_namespaces(spec)
    return False


def _claim_matches(claim: Object, condition: Object) -> bool:
    if condition["scopeName"] != "VolumeAttributesClass":
        return False
    status = claim.get("status") or {}
    wanted = (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName")
    names = (
        claim["spec"].get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        wanted,
    )
    return _selects(condition, {n for n in names if n})


def _selects(condition: Object, present: set[str]) -> bool:
    operator, values = condition.get("operator"), set(condition.get("values") or ())
    if operator == "Exists":
        return bool(present)
    if operator == "DoesNotExist":
        return not present
    return bool(present & values) if operator == "In" else not present & values


def _terminates(spec: Object) -> bool:
    seconds = spec.get("activeDeadlineSeconds")
    return seconds is not None and seconds >= 0


def best_effort(pod: Object) -> bool:
    """No container asks for or is limited in cpu or memory."""
    spec = pod["spec"]
    holders = [spec, *(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for holder in holders:
        resources = holder.get("resources") or {}
        for side in ("requests", "limits"):
            given = resources.get(side) or {}
            if any(str(given.get(name, "0")) != "0" for name in ("cpu", "memory")):
                return False
    return True


def _crosses_namespaces(spec: Object) -> bool:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        required = list(terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        for term in required + [p.get("podAffinityTerm") or {} for p in preferred]:
            if term.get("namespaces") or term.get("namespaceSelector") is not None:
                return True
    return False
