"""A job's pod failure policy: what the end of a pod means for the job."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors
from knarr.meta import names
from knarr.meta.fielderrors import NO_VALUE, duplicate, invalid, not_supported, required, too_many

Spec = dict[str, Any]
RULES_MAX = 20
PATTERNS_MAX = 20
EXIT_CODES_MAX = 255
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")


def validate_failure_policy(spec: Spec, path: str, errors: Errors) -> None:
    path = f"{path}.rules"
    rules = spec["podFailurePolicy"].get("rules") or []
    if len(rules) > RULES_MAX:
        errors.append(too_many(path, len(rules), RULES_MAX))
    template = spec.get("template", {}).get("spec", {})
    containers = {
        c.get("name") for c in (*template.get("containers", ()), *template.get("initContainers", ()))
    }
    for index, rule in enumerate(rules):
        _validate_rule(spec, rule, containers, f"{path}[{index}]", errors)


def _validate_rule(spec: Spec, rule: Spec, containers: set[Any], path: str, errors: Errors) -> None:
    action = rule.get("action", "")
    if not action:
        errors.append(required(f"{path}.action", f"valid values: {', '.join(map(_quoted, _ACTIONS))}"))
    elif action == "FailIndex" and "backoffLimitPerIndex" not in spec:
        message = "requires the backoffLimitPerIndex to be set"
        errors.append(invalid(f"{path}.action", action, message))
    elif action not in _ACTIONS:
        errors.append(not_supported(f"{path}.action", action, _ACTIONS))
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or []
    if codes is not None:
        _validate_exit_codes(codes, containers, f"{path}.onExitCodes", errors)
    if patterns:
        _validate_patterns(patterns, f"{path}.onPodConditions", errors)
    if codes is not None and patterns:
        message = "specifying both OnExitCodes and OnPodConditions is not supported"
        errors.append(invalid(path, NO_VALUE, message))
    if codes is None and not patterns:
        message = "specifying one of OnExitCodes and OnPodConditions is required"
        errors.append(invalid(path, NO_VALUE, message))


def _quoted(word: str) -> str:
    return f'"{word}"'


def _validate_patterns(patterns: list[Spec], path: str, errors: Errors) -> None:
    if len(patterns) > PATTERNS_MAX:
        errors.append(too_many(path, len(patterns), PATTERNS_MAX))
    for index, pattern in enumerate(patterns):
        here, kind, status = f"{path}[{index}]", pattern.get("type", ""), pattern.get("status", "")
        for message in names.is_qualified_name(kind):
            errors.append(invalid(f"{here}.type", kind, message))
        if not status:
            valid = ", ".join(map(_quoted, ("False", "True", "Unknown")))
            errors.append(required(f"{here}.status", f"valid values: {valid}"))
        elif status not in ("False", "True", "Unknown"):
            errors.append(not_supported(f"{here}.status", status, ("False", "True", "Unknown")))


def _validate_exit_codes(codes: Spec, containers: set[Any], path: str, errors: Errors) -> None:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    if not operator:
        errors.append(required(f"{path}.operator", 'valid values: "In", "NotIn"'))
    elif operator not in ("In", "NotIn"):
        errors.append(not_supported(f"{path}.operator", operator, ("In", "NotIn")))
    name = codes.get("containerName")
    if name is not None and name not in containers:
        message = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", name, message))
    path = f"{path}.values"
    if not values:
        errors.append(invalid(path, values, "at least one value is required"))
    elif len(values) > EXIT_CODES_MAX:
        errors.append(too_many(path, len(values), EXIT_CODES_MAX))
    ordered, seen = True, set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.append(invalid(f"{path}[{index}]", value, "must not be 0 for the In operator"))
        if value in seen:
            errors.append(duplicate(f"{path}[{index}]", value))
        seen.add(value)
        ordered = ordered and (index == 0 or values[index - 1] <= value)
    if not ordered:
        errors.append(invalid(path, values, "must be ordered"))


def printed_failure_policy(policy: Spec) -> Spec:
    """As Go prints it."""
    return {
        "Rules": [
            {
                "Action": rule.get("action", ""),
                "OnExitCodes": None
                if "onExitCodes" not in rule
                else {
                    "ContainerName": rule["onExitCodes"].get("containerName"),
                    "Operator": rule["onExitCodes"].get("operator", ""),
                    "Values": rule["onExitCodes"].get("values"),
                },
                "OnPodConditions": [
                    {"Type": p.get("type", ""), "Status": p.get("status", "")}
                    for p in rule.get("onPodConditions", ())
                ]
                or None,
            }
            for rule in policy.get("rules") or ()
        ]
        or None
    }
