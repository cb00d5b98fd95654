"""What validating and mutating admission policies have in common: parameters, variables, bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knarr.api import checks
from knarr.api.admissionregistration import rules
from knarr.api.kind import Object
from knarr.meta import labels, names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required

if TYPE_CHECKING:
    from knarr.meta.cel.types import Type

NOT_FOUND_ACTIONS = ("Deny", "Allow")
#: of mutating policies
MUTATING_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")


def default_policy(spec: Object) -> None:
    spec["failurePolicy"] = spec.get("failurePolicy") or "Fail"
    rules.default_match_resources(spec.get("matchConstraints"))


def common_errors(spec: Object, path: str, mutating: bool = False) -> list[FieldError]:
    """failurePolicy, paramKind, matchConstraints and matchConditions."""
    found = checks.one_of(f"{path}.failurePolicy", spec.get("failurePolicy", ""), rules.FAILURE_POLICIES)
    if spec.get("paramKind") is not None:
        found += _param_kind_errors(spec["paramKind"], f"{path}.paramKind")
    match = spec.get("matchConstraints")
    if match is None:
        found.append(required(f"{path}.matchConstraints"))
    else:
        found += rules.match_resources_errors(match, f"{path}.matchConstraints")
        if not match.get("resourceRules"):
            found.append(required(f"{path}.matchConstraints.resourceRules"))
        if mutating:
            found += operation_errors(match, f"{path}.matchConstraints")
    params = spec.get("paramKind") is not None
    return found + rules.match_condition_errors(
        spec.get("matchConditions"), f"{path}.matchConditions", params
    )


def operation_errors(match: Object, path: str) -> list[FieldError]:
    """There is nothing to change in what is deleted."""
    return [
        not_supported(f"{path}.resourceRules.operations", operation, MUTATING_OPERATIONS)
        for rule in match.get("resourceRules") or ()
        for operation in rule.get("operations") or ()
        if operation not in MUTATING_OPERATIONS
    ]


def _param_kind_errors(kind: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    api_version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    group, _, version = api_version.rpartition("/")
    if not api_version:
        found.append(required(f"{path}.apiVersion"))
    elif api_version.count("/") > 1:
        detail = f"unexpected GroupVersion string: {api_version}"
        found.append(invalid(f"{path}.apiVersion", api_version, detail))
    else:
        if group and (messages := names.is_dns1123_subdomain(group)):
            found.append(invalid(f"{path}.apiVersion", group, ",".join(messages)))
        if not version:
            found.append(invalid(f"{path}.apiVersion", api_version, "version must be specified"))
        elif messages := names.is_dns1035_label(version):
            found.append(invalid(f"{path}.apiVersion", version, ",".join(messages)))
    if not name:
        found.append(required(f"{path}.kind"))
    elif messages := names.is_dns1035_label(name.lower()):
        detail = f"may have mixed case, but should otherwise match: {','.join(messages)}"
        found.append(invalid(f"{path}.kind", name, detail))
    return found


def variable_errors(variables: Any, path: str, params: bool) -> tuple[list[FieldError], dict[str, Type]]:
    """(errors, the types of the variables); each may use those before it."""
    from knarr.api.admissionregistration.expressions import environment, is_identifier, variable_type
    from knarr.meta.cel.environment import CompileError
    from knarr.meta.cel.types import DYN

    found: list[FieldError] = []
    known: dict[str, Type] = {}
    for i, variable in enumerate(variables or ()):
        where, name = f"{path}[{i}]", variable.get("name", "")
        text = variable.get("expression", "")
        if not name.strip():
            found.append(required(f"{where}.name", "name is not specified"))
        elif not is_identifier(name):
            found.append(invalid(f"{where}.name", name, "must be a valid CEL identifier"))
        if not text.strip():
            found.append(required(f"{where}.expression", "expression is not specified"))
            continue
        try:
            found_type = environment(params, variables=known).compile(text).type
            known[name] = variable_type(found_type)
        except CompileError as error:
            known[name] = DYN  # one mistake, one error: those that use it are not wrong for it
            found.append(invalid(f"{where}.expression", text, f"compilation failed: {error}"))
    return found, known


def binding_errors(spec: Object, path: str) -> list[FieldError]:
    """policyName, paramRef and matchResources of a binding."""
    name = spec.get("policyName", "")
    if not name:
        found = [required(f"{path}.policyName")]
    else:
        found = checks.invalids(f"{path}.policyName", name, names.is_dns1123_subdomain(name))
    if spec.get("paramRef") is not None:
        found += _param_ref_errors(spec["paramRef"], f"{path}.paramRef")
    if spec.get("matchResources") is not None:
        found += rules.match_resources_errors(spec["matchResources"], f"{path}.matchResources")
    return found


def _param_ref_errors(ref: Object, path: str) -> list[FieldError]:
    name, selector, action = ref.get("name", ""), ref.get("selector"), ref.get("parameterNotFoundAction")
    found: list[FieldError] = []
    exclusive = "name and selector are mutually exclusive"
    if name:
        found += checks.invalids(f"{path}.name", name, names.path_segment_name(name))
        if selector is not None:
            found.append(forbidden(f"{path}.name", exclusive))
    if selector is not None:
        found += labels.validate_label_selector(selector, f"{path}.selector")
        if name:
            found.append(forbidden(f"{path}.selector", exclusive))
    elif not name:
        found.append(required(path, "one of name or selector must be specified"))
    if not action:
        found.append(required(f"{path}.parameterNotFoundAction"))
    elif action not in NOT_FOUND_ACTIONS:
        found += checks.one_of(f"{path}.parameterNotFoundAction", action, NOT_FOUND_ACTIONS)
    return found
