"""Which requests webhooks and policies are for: rules, selectors, match conditions."""

from __future__ import annotations

from typing import Any

from knarr.api import checks
from knarr.api.kind import Object
from knarr.meta import labels, names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, not_supported, required, too_many

OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
FAILURE_POLICIES, MATCH_POLICIES = ("Fail", "Ignore"), ("Equivalent", "Exact")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
MATCH_CONDITIONS_MAX = 64


def default_rules(rules: Any) -> None:
    for rule in rules or ():
        rule["scope"] = rule.get("scope") or "*"


def default_match_resources(match: Object | None) -> None:
    """matchConstraints and matchResources of policies."""
    if match is None:
        return
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    match["matchPolicy"] = match.get("matchPolicy") or "Equivalent"
    default_rules(match.get("resourceRules"))
    default_rules(match.get("excludeResourceRules"))


def rule_errors(rule: Object, path: str) -> list[FieldError]:
    operations = rule.get("operations") or []
    found: list[FieldError] = []
    if not operations:
        found.append(required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        detail = "if '*' is present, must not specify other operations"
        found.append(invalid(f"{path}.operations", operations, detail))
    for i, operation in enumerate(operations):
        if operation not in OPERATIONS:
            found.append(not_supported(f"{path}.operations[{i}]", operation, OPERATIONS))
    found += _names_or_star(rule.get("apiGroups") or [], f"{path}.apiGroups", "API groups", True)
    found += _names_or_star(rule.get("apiVersions") or [], f"{path}.apiVersions", "API versions", False)
    found += _resource_errors(rule.get("resources") or [], f"{path}.resources")
    scope = rule.get("scope")
    if scope is not None and scope not in SCOPES:
        found.append(not_supported(f"{path}.scope", scope, SCOPES))
    return found


def _names_or_star(values: list[str], path: str, what: str, empty: bool) -> list[FieldError]:
    found: list[FieldError] = []
    if not values:
        found.append(required(path))
    if len(values) > 1 and "*" in values:
        found.append(invalid(path, values, f"if '*' is present, must not specify other {what}"))
    if not empty:
        found += [required(f"{path}[{i}]") for i, value in enumerate(values) if not value]
    return found


def _resource_errors(resources: list[str], path: str) -> list[FieldError]:
    if not resources:
        return [required(path)]
    found: list[FieldError] = []
    all_below: set[str] = set()
    all_with: set[str] = set()
    plain = False
    for i, resource in enumerate(resources):
        if not resource:
            found.append(required(f"{path}[{i}]"))
            continue
        name, slash, sub = resource.partition("/")
        if not slash:
            plain = resource != "*"
            continue
        if name in all_below:
            detail = f"if '{name}/*' is present, must not specify {resource}"
            found.append(invalid(f"{path}[{i}]", resource, detail))
        if sub in all_with:
            detail = f"if '*/{sub}' is present, must not specify {resource}"
            found.append(invalid(f"{path}[{i}]", resource, detail))
        if sub == "*":
            all_below.add(name)
        if name == "*":
            all_with.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        found.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and plain:
        detail = "if '*' is present, must not specify other resources without subresources"
        found.append(invalid(path, resources, detail))
    return found


def match_resources_errors(match: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    policy = match.get("matchPolicy", "")
    found += (
        checks.one_of(f"{path}.matchPolicy", policy, MATCH_POLICIES)
        if policy
        else [required(f"{path}.matchPolicy")]
    )
    for field in ("namespaceSelector", "objectSelector"):
        found += labels.validate_label_selector(match.get(field) or {}, f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(match.get(field) or ()):
            where = f"{path}.{field}[{i}]"
            found += _resource_names(rule.get("resourceNames") or [], f"{where}.resourceNames")
            found += rule_errors(rule, where)
    return found


def _resource_names(values: list[str], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for i, name in enumerate(values):
        found += checks.invalids(f"{path}[{i}]", name, names.path_segment_name(name))
        if name in seen:
            found.append(duplicate(f"{path}[{i}]", name))
        seen.add(name)
    return found


def match_condition_errors(conditions: Any, path: str, params: bool = False) -> list[FieldError]:
    from knarr.api.admissionregistration.expressions import BOOL, compile_as, environment

    found: list[FieldError] = []
    if len(conditions or ()) > MATCH_CONDITIONS_MAX:
        found.append(too_many(path, len(conditions), MATCH_CONDITIONS_MAX))
    seen: set[str] = set()
    for i, condition in enumerate(conditions or ()):
        where, name = f"{path}[{i}]", condition.get("name", "")
        text = condition.get("expression", "").strip()
        if not text:
            found.append(required(f"{where}.expression"))
        else:
            found += compile_as(environment(params), text, f"{where}.expression", (BOOL,))[1]
        if not name:
            found.append(required(f"{where}.name"))
        else:
            found += checks.qualified_name(f"{where}.name", name)
            if name in seen:
                found.append(duplicate(f"{where}.name", name))
        seen.add(name)
    return found
