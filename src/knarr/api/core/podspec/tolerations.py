"""Tolerations."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import names
from knarr.meta.fielderrors import forbidden, invalid, not_supported

Spec = dict[str, Any]
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NEEDS_EXISTS = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'


def validate_tolerations(tolerations: list[Spec], base: str, errors: Errors) -> None:
    for index, toleration in enumerate(tolerations):
        _validate(toleration, f"{base}[{index}]", errors)


def _validate(toleration: Spec, path: str, errors: Errors) -> None:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    if key:
        if wrong := names.is_qualified_name(key):
            add(errors, f"{path}.key", key, wrong)
    elif operator != "Exists":
        errors.append(invalid(f"{path}.operator", operator, _NEEDS_EXISTS))
    if effect != "NoExecute" and "tolerationSeconds" in toleration:
        errors.append(
            invalid(f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        )
    if operator == "Exists":
        if value:
            message = "value must be empty when `operator` is 'Exists'"
            errors.append(invalid(f"{path}.operator", value, message))
    elif operator in ("", "Equal"):
        if wrong := names.is_label_value(value):
            errors.append(invalid(f"{path}.operator", value, ";".join(wrong)))
    else:
        errors.append(not_supported(f"{path}.operator", operator, _supported(operator)))
    if effect and effect not in EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, EFFECTS))


def _supported(refused: str) -> tuple[str, ...]:
    """What the answer offers: comparisons wait for the gate TaintTolerationComparisonOperators, and name themselves."""
    return ("Equal", "Exists", "Lt", "Gt") if refused in ("Lt", "Gt") else ("Equal", "Exists")


def validate_only_added(new: list[Spec], old: list[Spec], path: str, errors: Errors) -> None:
    """An update may add tolerations and change for how long they hold, nothing else."""
    bare = [_without_seconds(toleration) for toleration in new]
    if any(_without_seconds(toleration) not in bare for toleration in old):
        message = "existing toleration can not be modified except its tolerationSeconds"
        errors.append(forbidden(path, message))
        return
    validate_tolerations(new, path, errors)


def _without_seconds(toleration: Spec) -> Spec:
    return {name: value for name, value in toleration.items() if name != "tolerationSeconds"}
