"""The audit policy: the first rule that a request matches says how much of it is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from knarr.apiserver.audit.options import VERSION, AuditError
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, aggregate, invalid, not_supported, required
from knarr.meta.gofmt import quote
from knarr.registry.context import Request

NONE, METADATA, REQUEST, REQUEST_RESPONSE = range(4)
LEVELS = {"None": NONE, "Metadata": METADATA, "Request": REQUEST, "RequestResponse": REQUEST_RESPONSE}
RECEIVED, STARTED, COMPLETE, PANIC = "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"
STAGES = (RECEIVED, STARTED, COMPLETE, PANIC)

#: the fields of a Policy and of its parts: what they must be
POLICY = {
    "kind": str,
    "apiVersion": str,
    "metadata": dict,
    "rules": list,
    "omitStages": list,
    "omitManagedFields": bool,
}
RULE: dict[str, type] = {
    "level": str,
    "users": list,
    "userGroups": list,
    "verbs": list,
    "resources": list,
    "namespaces": list,
    "nonResourceURLs": list,
    "omitStages": list,
    "omitManagedFields": bool,
}
RESOURCES: dict[str, type] = {"group": str, "resources": list, "resourceNames": list}
#: Go's names of types, as its JSON decoder's messages have them
GO_NAMES = {str: "string", list: "array", bool: "bool", dict: "object"}


class Verdict(NamedTuple):
    """How a request is recorded: how much, and which stages are not."""

    level: int
    omit_stages: frozenset[str]
    omit_managed_fields: bool


class GroupResources(NamedTuple):
    group: str
    resources: tuple[str, ...]
    names: frozenset[str]

    def match(self, request: Request) -> bool:
        if self.group != request.group:
            return False
        if not self.resources:
            return True
        if self.names and request.name not in self.names:
            return False
        return any(_names(pattern, request) for pattern in self.resources)


def _names(pattern: str, request: Request) -> bool:
    """`pods`, `pods/log`, `*`, `pods/*`, `*/scale`; a subresource must be named or covered by a star."""
    resource, subresource = request.resource, request.subresource
    if pattern == "*" or pattern == (f"{resource}/{subresource}" if subresource else resource):
        return True
    if subresource and pattern == f"*/{subresource}":
        return True
    return pattern == f"{resource}/*"


class Rule(NamedTuple):
    verdict: Verdict
    users: frozenset[str]
    groups: frozenset[str]
    verbs: frozenset[str]
    resources: tuple[GroupResources, ...]
    namespaces: frozenset[str]
    urls: tuple[str, ...]

    def matches(self, request: Request, path: str) -> bool:
        user = request.user
        if self.users and user.name not in self.users:
            return False
        if self.groups and self.groups.isdisjoint(user.groups):
            return False
        if self.verbs and request.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return request.is_resource and self._matches_resource(request)
        if self.urls:
            return not request.is_resource and any(_is_path(path, url) for url in self.urls)
        return True

    def _matches_resource(self, request: Request) -> bool:
        # What has no namespace has the empty one.
        if self.namespaces and request.namespace not in self.namespaces:
            return False
        return not self.resources or any(some.match(request) for some in self.resources)


def _is_path(path: str, url: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*")))


class Policy(NamedTuple):
    rules: tuple[Rule, ...]
    otherwise: Verdict

    def evaluate(self, request: Request, path: str) -> Verdict:
        for rule in self.rules:
            if rule.matches(request, path):
                return rule.verdict
        return self.otherwise


def load(path: str) -> Policy:
    """The policy of a file. Raises AuditError."""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise AuditError(
            f'loading audit policy file: failed to read file path "{path}": open {path}: {why}'
        ) from None
    try:
        return parse(text)
    except AuditError as error:
        raise AuditError(f"loading audit policy file: {error}: from file {path}") from None


def parse(text: bytes) -> Policy:
    """Raises AuditError."""
    obj = _decode(text)
    found = _errors(obj)
    if found:
        raise AuditError(aggregate(found))
    if not obj.get("rules"):
        raise AuditError("loaded illegal policy with 0 rules")
    return compile_policy(obj)


def compile_policy(obj: dict[str, Any]) -> Policy:
    stages = frozenset(obj.get("omitStages") or ())
    managed = bool(obj.get("omitManagedFields"))
    rules = tuple(_rule(rule, stages, managed) for rule in obj["rules"])
    return Policy(rules, Verdict(NONE, stages, managed))


def _rule(rule: dict[str, Any], stages: frozenset[str], managed: bool) -> Rule:
    own = rule.get("omitManagedFields")
    verdict = Verdict(
        LEVELS[rule["level"]],
        stages | frozenset(rule.get("omitStages") or ()),
        managed if own is None else bool(own),
    )
    users, groups, verbs = (frozenset(rule.get(key) or ()) for key in ("users", "userGroups", "verbs"))
    resources = tuple(
        GroupResources(
            r.get("group") or "", tuple(r.get("resources") or ()), frozenset(r.get("resourceNames") or ())
        )
        for r in rule.get("resources") or ()
    )
    namespaces, urls = frozenset(rule.get("namespaces") or ()), tuple(rule.get("nonResourceURLs") or ())
    return Rule(verdict, users, groups, verbs, resources, namespaces, urls)


# -- reading ----------------------------------------------------------------------------------------------------


def _decode(text: bytes) -> dict[str, Any]:
    import yaml

    try:
        obj = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise AuditError(f"failed decoding: yaml: {' '.join(str(error).split())}") from None
    if not isinstance(obj, dict):
        raise AuditError(
            f"failed decoding: couldn't get version/kind; json parse error: not an object: {obj!r}"
        )
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if not kind:
        raise AuditError(f"failed decoding: Object 'Kind' is missing in {quote(_shown(text))}")
    if not version:
        raise AuditError(f"failed decoding: Object 'apiVersion' is missing in {quote(_shown(text))}")
    if version != VERSION or kind != "Policy":
        where = 'scheme "k8s.io/apiserver/pkg/audit/scheme.go:30"'
        raise AuditError(
            f'failed decoding: no kind "{kind}" is registered for version "{version}" in {where}'
        )
    unknown = list(_strict(obj, POLICY, ""))
    if unknown:
        raise AuditError(f"failed decoding: strict decoding error: {', '.join(unknown)}")
    return obj


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _strict(obj: dict[str, Any], fields: dict[str, type], path: str) -> Iterator[str]:
    """Unknown fields, and values of another type than the field's."""
    for key, value in obj.items():
        name = f"{path}{key}"
        wanted = fields.get(key)
        if wanted is None:
            yield f'unknown field "{name}"'
        elif value is not None and not isinstance(value, wanted):
            yield f"cannot unmarshal {_kind(value)} into Go struct field {name} of type {GO_NAMES[wanted]}"
        elif wanted is list and value is not None:
            yield from _items(key, value, name)


def _items(key: str, values: Any, path: str) -> Iterator[str]:
    inner: dict[str, type] | None = (
        {"rules": RULE, "resources": RESOURCES}.get(key) if "resources[" not in path else None
    )
    if inner is not None and values and all(isinstance(value, str) for value in values):
        yield f"cannot unmarshal string into Go struct field {path} of type object"
        return
    for i, value in enumerate(values):
        if inner is None:
            if not isinstance(value, str):
                yield f"cannot unmarshal {_kind(value)} into Go struct field {path} of type string"
        elif not isinstance(value, dict):
            yield f"cannot unmarshal {_kind(value)} into Go struct field {path} of type object"
        else:
            yield from _strict(value, inner, f"{path}[{i}].")


def _kind(value: Any) -> str:
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else GO_NAMES[type(value)]
    )


# -- what is wrong ------------------------------------------------------------------------------------------------


def _errors(policy: dict[str, Any]) -> list[FieldError]:
    found = _stage_errors(policy.get("omitStages") or (), "omitStages")
    for i, rule in enumerate(policy.get("rules") or ()):
        found += _rule_errors(rule, f"rules[{i}]")
    return found


def _rule_errors(rule: dict[str, Any], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    level, urls = rule.get("level") or "", rule.get("nonResourceURLs") or ()
    if not level:
        found.append(required(f"{path}.level"))
    elif level not in LEVELS:
        found.append(not_supported(f"{path}.level", level, LEVELS))
    for i, url in enumerate(urls):
        found += _url_errors(url, f"{path}.nonResourceURLs[{i}]")
    for resources in rule.get("resources") or ():
        found += _resource_errors(resources, f"{path}.resources")
    found += _stage_errors(rule.get("omitStages") or (), f"{path}.omitStages")
    if urls and (rule.get("resources") or rule.get("namespaces")):
        detail = "rules cannot apply to both regular resources and non-resource URLs"
        found.append(invalid(f"{path}.nonResourceURLs", list(urls), detail))
    return found


def _url_errors(url: str, path: str) -> list[FieldError]:
    if url == "*":
        return []
    found = []
    if not url.startswith("/"):
        found.append(invalid(path, url, "non-resource URL rules must begin with a '/' character"))
    if "*" in url[:-1]:
        detail = "non-resource URL wildcards '*' must be the final character of the rule"
        found.append(invalid(path, url, detail))
    return found


def _resource_errors(resources: dict[str, Any], path: str) -> list[FieldError]:
    found = []
    group, named = resources.get("group") or "", resources.get("resourceNames") or ()
    if group and (messages := names.is_dns1123_subdomain(group)):
        found.append(invalid(f"{path}.group", group, ",".join(messages)))
    if named and not resources.get("resources"):
        detail = "using resourceNames requires at least one resource"
        found.append(invalid(f"{path}.resourceNames", list(named), detail))
    return found


def _stage_errors(stages: Any, path: str) -> list[FieldError]:
    detail = f"allowed stages are {','.join(STAGES)}"
    return [invalid(f"{path}[{i}]", stage, detail) for i, stage in enumerate(stages) if stage not in STAGES]
