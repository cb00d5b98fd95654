"""FlowSchema: which requests belong to which priority level."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.flowcontrol import mandatory
from knarr.api.flowcontrol.conditions import condition_errors
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required

PRECEDENCE, PRECEDENCE_MAX = 1000, 10000
DISTINGUISHERS = ("ByNamespace", "ByUser")
SUBJECT_FIELDS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}


#: what a rule may name
VERBS = frozenset(
    {"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"}
)
NAMESPACE_INTRO = "each member of this list must be '*' or a DNS-1123 label; "


class FlowSchema(Kind):
    status_keeps_metadata = True
    tracks_generation = True
    columns = (
        NAME,
        Column("PriorityLevel", doc="flowcontrol.v1.PriorityLevelConfigurationReference.name"),
        Column("MatchingPrecedence", doc="flowcontrol.v1.FlowSchemaSpec.matchingPrecedence"),
        Column("DistinguisherMethod", doc="flowcontrol.v1.FlowSchemaSpec.distinguisherMethod"),
        AGE,
        Column("MissingPL", "string", "", "references a broken or non-existent PriorityLevelConfiguration"),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("matchingPrecedence"):
            spec["matchingPrecedence"] = PRECEDENCE

    def validate(self, obj: Object) -> list[FieldError]:
        spec, name = obj["spec"], obj["metadata"].get("name", "")
        found = _precedence_errors(spec["matchingPrecedence"], name)
        method = spec.get("distinguisherMethod")
        if method is not None and method.get("type", "") not in DISTINGUISHERS:
            path = "spec.distinguisherMethod.type"
            found.append(not_supported(path, method.get("type", ""), DISTINGUISHERS))
        level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
        path = "spec.priorityLevelConfiguration.name"
        if not level:
            found.append(required(path, "must reference a priority level"))
        else:
            found += checks.invalids(path, level, names.is_dns1123_subdomain(level))
        for i, rule in enumerate(spec.get("rules") or ()):
            found += _rule_errors(rule, f"spec.rules[{i}]")
        return found + _fixed_errors(spec, name) + condition_errors(obj)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return condition_errors(obj)

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        method = spec.get("distinguisherMethod")
        conditions = obj.get("status", {}).get("conditions") or ()
        dangling = next((c.get("status", "") for c in conditions if c.get("type") == "Dangling"), "?")
        return [
            obj["metadata"]["name"],
            (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
            spec.get("matchingPrecedence", 0),
            method.get("type", "") if method else printing.NONE,
            printing.age(obj, now),
            dangling,
        ]


def _fixed_errors(spec: Object, name: str) -> list[FieldError]:
    fixed = mandatory.SCHEMAS.get(name)
    if fixed is None or mandatory.same(spec, fixed, mandatory.SCHEMA_SPEC):
        return []
    shown = gostruct.dump(spec, mandatory.SCHEMA_SPEC)
    return [invalid("spec", shown, f"spec of '{name}' must equal the fixed value")]


def _precedence_errors(value: int, name: str) -> list[FieldError]:
    path = "spec.matchingPrecedence"
    if value <= 0:
        return [invalid(path, value, "must be a positive value")]
    if value > PRECEDENCE_MAX:
        return [invalid(path, value, f"must not be greater than {PRECEDENCE_MAX}")]
    if value == 1 and name != "exempt":
        return [invalid(path, value, "only the schema named 'exempt' may have matchingPrecedence 1")]
    return []


def _rule_errors(rule: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    subjects = rule.get("subjects") or ()
    if not subjects:
        found.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for i, subject in enumerate(subjects):
        found += _subject_errors(subject, f"{path}.subjects[{i}]")
    resources, paths = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not paths:
        detail = "at least one of resourceRules and nonResourceRules has to be non-empty"
        found.append(required(path, detail))
    for i, inner in enumerate(resources):
        found += _resource_rule_errors(inner, f"{path}.resourceRules[{i}]")
    for i, inner in enumerate(paths):
        found += _path_rule_errors(inner, f"{path}.nonResourceRules[{i}]")
    return found


def _subject_errors(subject: Object, path: str) -> list[FieldError]:
    kind = subject.get("kind", "")
    if kind not in SUBJECT_FIELDS:
        return [not_supported(f"{path}.kind", kind, tuple(SUBJECT_FIELDS))]
    found: list[FieldError] = []
    field = SUBJECT_FIELDS[kind]
    own = subject.get(field)
    if own is None:
        found.append(required(f"{path}.{field}", f"{field} is required when subject kind is '{kind}'"))
    elif kind == "ServiceAccount":
        found += _account_errors(own, f"{path}.{field}")
    elif not own.get("name"):
        found.append(required(f"{path}.{field}.name"))
    for other in SUBJECT_FIELDS.values():
        if other != field and subject.get(other) is not None:
            detail = f"{other} is forbidden when subject kind is not '{_kind_of(other)}'"
            found.append(forbidden(f"{path}.{other}", detail))
    return found


def _kind_of(field: str) -> str:
    return next(kind for kind, name in SUBJECT_FIELDS.items() if name == field)


def _account_errors(account: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    name, namespace = account.get("name", ""), account.get("namespace", "")
    if not name:
        found.append(required(f"{path}.name"))
    elif name != "*":
        found += checks.invalids(f"{path}.name", name, names.is_dns1123_subdomain(name))
    if not namespace:
        return [*found, required(f"{path}.namespace", "must specify namespace for service account")]
    return found + checks.invalids(f"{path}.namespace", namespace, names.is_dns1123_label(namespace))


def _verbs_errors(verbs: Any, path: str) -> list[FieldError]:
    if not verbs:
        return [required(f"{path}.verbs", "verbs must contain at least one value")]
    if len(verbs) > 1 and "*" in verbs:
        return [invalid(f"{path}.verbs", verbs, "if '*' is present, must not specify other verbs")]
    if "*" not in verbs and not VERBS.issuperset(verbs):
        return [not_supported(f"{path}.verbs", verbs, sorted(VERBS))]
    return []


def _star_errors(values: Any, path: str, what: str) -> list[FieldError]:
    if len(values) > 1 and "*" in values:
        return [invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _resource_rule_errors(rule: Object, path: str) -> list[FieldError]:
    found = _verbs_errors(rule.get("verbs"), path)
    groups, resources = rule.get("apiGroups") or [], rule.get("resources") or []
    if not groups:
        found.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    found += _star_errors(groups, f"{path}.apiGroups", "api groups")
    if not resources:
        found.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    found += _star_errors(resources, f"{path}.resources", "resources")
    namespaces = rule.get("namespaces") or []
    if not namespaces and not rule.get("clusterScope"):
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        found.append(required(f"{path}.namespaces", detail))
    if len(namespaces) > 1 and "*" in namespaces:
        detail = "if '*' is present, must not specify other namespaces"
        found.append(invalid(f"{path}.namespaces", namespaces, detail))
    elif "*" not in namespaces:
        for i, namespace in enumerate(namespaces):
            messages = [NAMESPACE_INTRO + text for text in names.is_dns1123_label(namespace)]
            found += checks.invalids(f"{path}.namespaces[{i}]", namespace, messages)
    return found


def _path_rule_errors(rule: Object, path: str) -> list[FieldError]:
    found = _verbs_errors(rule.get("verbs"), path)
    urls = rule.get("nonResourceURLs") or []
    if not urls:
        detail = "nonResourceURLs must contain at least one value"
        found.append(required(f"{path}.nonResourceURLs", detail))
    if len(urls) > 1 and "*" in urls:
        detail = "if '*' is present, must not specify other non-resource URLs"
        found.append(invalid(f"{path}.nonResourceURLs", urls, detail))
    elif "*" not in urls:
        for i, url in enumerate(urls):
            found += _url_errors(url, f"{path}.nonResourceURLs[{i}]")
    return found


def _url_errors(url: str, path: str) -> list[FieldError]:
    if not url:
        return [invalid(path, url, "must not be empty")]
    if url == "/":
        return []
    if not url.startswith("/"):
        return [invalid(path, url, "must start with slash")]
    if " " in url:
        return [invalid(path, url, "must not contain white-space")]
    if "//" in url:
        return [invalid(path, url, "must not contain double slash")]
    if url.count("*") > 1 or ("*" in url and not url.endswith("/*")):
        return [invalid(path, url, "wildcard can only do suffix matching")]
    return []
