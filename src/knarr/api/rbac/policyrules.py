"""The rules of Roles and ClusterRoles, and whom bindings bind to them."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct
from knarr.api.kind import Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, invalid, not_supported, required

GROUP = "rbac.authorization.k8s.io"
SUBJECT_KINDS = ("ServiceAccount", "User", "Group")
ROLE_REF: gostruct.Shape = (("apiGroup", "APIGroup", ""), ("kind", "Kind", ""), ("name", "Name", ""))


def default_rules(role: Object) -> None:
    role["rules"] = role.get("rules") or None
    for rule in role["rules"] or ():
        rule.setdefault("verbs", None)


def rules_errors(rules: Any, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, rule in enumerate(rules or ()):
        errors += _rule_errors(rule, namespaced, f"rules[{i}]")
    return errors


def _rule_errors(rule: Object, namespaced: bool, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    urls, groups, resources = rule.get("nonResourceURLs"), rule.get("apiGroups"), rule.get("resources")
    if not rule.get("verbs"):
        errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    if urls:
        where = f"{path}.nonResourceURLs"
        if namespaced:
            errors.append(invalid(where, urls, "namespaced rules cannot apply to non-resource URLs"))
        if groups or resources or rule.get("resourceNames"):
            errors.append(
                invalid(where, urls, "rules cannot apply to both regular resources and non-resource URLs")
            )
        return errors
    if not groups:
        errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not resources:
        errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


# bindings


def default_binding(binding: Object) -> None:
    ref = binding.setdefault("roleRef", {})
    ref["apiGroup"] = ref.get("apiGroup") or GROUP
    ref.setdefault("kind", "")
    ref.setdefault("name", "")
    for subject in binding.get("subjects") or ():
        if not subject.get("apiGroup"):
            subject.pop("apiGroup", None)
            if subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = GROUP


def binding_errors(binding: Object, role_kinds: tuple[str, ...], namespaced: bool) -> list[FieldError]:
    ref = binding["roleRef"]
    errors: list[FieldError] = []
    if ref["apiGroup"] != GROUP:
        errors.append(not_supported("roleRef.apiGroup", ref["apiGroup"], (GROUP,)))
    if ref["kind"] not in role_kinds:
        errors.append(not_supported("roleRef.kind", ref["kind"], role_kinds))
    if not ref["name"]:
        errors.append(required("roleRef.name"))
    else:
        errors += checks.invalids("roleRef.name", ref["name"], names.path_segment_name(ref["name"]))
    for i, subject in enumerate(binding.get("subjects") or ()):
        errors += _subject_errors(subject, namespaced, f"subjects[{i}]")
    return errors


def binding_update_errors(binding: Object, old: Object) -> list[FieldError]:
    if binding["roleRef"] == old["roleRef"]:
        return []
    return [invalid("roleRef", gostruct.dump(binding["roleRef"], ROLE_REF), "cannot change roleRef")]


def _subject_errors(subject: Object, namespaced: bool, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    name, kind, group = subject.get("name", ""), subject.get("kind", ""), subject.get("apiGroup", "")
    if not name:
        errors.append(required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            errors += checks.dns_subdomain(f"{path}.name", name)
        if group:
            errors.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            errors.append(not_supported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        errors.append(not_supported(f"{path}.kind", kind, SUBJECT_KINDS))
    return errors


def binding_cells(binding: Object) -> tuple[str, str, str, str]:
    """roleRef, users, groups and service accounts as a binding's table shows them."""
    ref = binding["roleRef"]
    shown: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind", ""), subject.get("name", "")
        if kind == "ServiceAccount":
            namespace = subject.get("namespace", "")
            name = f"{namespace}/{name}" if namespace else name
        if kind in shown:
            shown[kind].append(name)
    users, groups, accounts = (", ".join(names_) for names_ in shown.values())
    return f"{ref['kind']}/{ref['name']}", users, groups, accounts
