"""ResourceQuota: how much a namespace may use in all."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.core import resourcenames
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.fielderrors import FieldError, invalid, required

COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
PODS = frozenset({"pods"})
CLAIMS = frozenset({"persistentvolumeclaims", "requests.storage"})
#: scopes, with the resources that each can bound
SCOPES = {
    "Terminating": PODS | COMPUTE,
    "NotTerminating": PODS | COMPUTE,
    "BestEffort": PODS,
    "NotBestEffort": PODS | COMPUTE,
    "PriorityClass": PODS | COMPUTE,
    "CrossNamespacePodAffinity": PODS | COMPUTE,
    "VolumeAttributesClass": CLAIMS,
}
CONFLICTS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
#: scopes that a pod has or has not, without a value
WITHOUT_VALUES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
REQUIREMENT: gostruct.Shape = (
    ("scopeName", "ScopeName", ""),
    ("operator", "Operator", ""),
    ("values", "Values", None),
)
SELECTOR: gostruct.Shape = (("matchExpressions", "MatchExpressions", gostruct.Items(REQUIREMENT)),)


class ResourceQuota(Kind):
    columns = (
        NAME,
        Column(
            "Request",
            "string",
            "",
            "Request represents a minimum amount of cpu/memory that a container may consume.",
        ),
        Column(
            "Limit",
            "string",
            "",
            "Limits control the maximum amount of cpu/memory that a container may use independent of"
            " contention on the node.",
        ),
        AGE,
    )

    def default(self, obj: Object) -> None:
        resourcenames.round_up_to_milli(obj.setdefault("spec", {}).get("hard"))
        obj.setdefault("status", {})

    def validate(self, obj: Object) -> list[FieldError]:
        return _spec_errors(obj["spec"]) + _status_errors(obj["status"])

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = _spec_errors(obj["spec"])
        scopes = obj["spec"].get("scopes") or []
        if set(scopes) != set(old["spec"].get("scopes") or ()):
            errors.append(invalid("spec.scopes", obj["spec"].get("scopes"), checks.IMMUTABLE))
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _status_errors(obj["status"])

    def cells(self, obj: Object, now: float) -> list[Any]:
        requests, limits = [], []
        hard, used = obj["status"].get("hard") or {}, obj["status"].get("used") or {}
        for name in sorted(hard):
            shown = limits if name.startswith("limits.") else requests
            shown.append(f"{name}: {used.get(name, '0')}/{hard[name]}")
        return [obj["metadata"]["name"], ", ".join(requests), ", ".join(limits), printing.age(obj, now)]


def _spec_errors(spec: Object) -> list[FieldError]:
    hard = spec.get("hard") or {}
    errors = resourcenames.amounts_errors(hard, "spec.hard[{}]".format, resourcenames.quota_name_errors)
    if scopes := spec.get("scopes"):
        errors += _scopes_errors(scopes, hard)
    if "scopeSelector" in spec:
        errors += _selector_errors(spec, hard)
    return errors


def _status_errors(status: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in ("hard", "used"):
        path = f"status.{key}[{{}}]".format
        errors += resourcenames.amounts_errors(status.get(key) or {}, path, resourcenames.quota_name_errors)
    return errors


def _out_of_scope(scope: str, hard: Object) -> int:
    """How many of the bounded resources the scope says nothing about; one that is not known rules none out."""
    within = SCOPES.get(scope)
    if within is None:
        return 0
    return sum(resourcenames.is_quota_resource(name) and name not in within for name in hard)


def _conflicts(scopes: Any) -> int:
    return sum(a in scopes and b in scopes for a, b in CONFLICTS)


def _scopes_errors(scopes: list[str], hard: Object) -> list[FieldError]:
    path = "spec.scopes"
    errors: list[FieldError] = []
    for scope in scopes:
        if scope not in SCOPES:
            errors.append(invalid(path, scopes, "unsupported scope"))
        errors += [invalid(path, scopes, "unsupported scope applied to resource")] * _out_of_scope(
            scope, hard
        )
    return errors + [invalid(path, scopes, "conflicting scopes")] * _conflicts(scopes)


def _selector_errors(spec: Object, hard: Object) -> list[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    requirements = spec["scopeSelector"].get("matchExpressions") or ()
    errors: list[FieldError] = []
    for requirement in requirements:
        scope, operator = requirement.get("scopeName", ""), requirement.get("operator", "")
        values = requirement.get("values")
        if scope not in SCOPES:
            errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        if outside := _out_of_scope(scope, hard):
            shown = gostruct.dump(spec["scopeSelector"], SELECTOR)
            errors += [invalid(path, shown, "unsupported scope applied to resource")] * outside
        if scope in WITHOUT_VALUES and operator != "Exists":
            message = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating,"
                " ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or"
                " ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            errors.append(invalid(f"{path}.operator", operator, message))
        errors += _values_errors(path, operator, values)
    scopes = [requirement.get("scopeName") for requirement in requirements]
    shown = spec.get("scopes") or None
    return errors + [invalid(path, shown, "conflicting scopes")] * _conflicts(scopes)


def _values_errors(path: str, operator: str, values: Any) -> list[FieldError]:
    if operator in ("In", "NotIn"):
        message = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        return [] if values else [required(f"{path}.values", message)]
    if operator in ("Exists", "DoesNotExist"):
        message = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        return [invalid(f"{path}.values", values, message)] if values else []
    return [invalid(f"{path}.operator", operator, "not a valid selector operator")]
