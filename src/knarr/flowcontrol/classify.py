"""FlowSchemas, compiled: which schema a request falls under, and which flow of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.registry.context import Request
from knarr.registry.reader import Object

SERVICE_ACCOUNT = "system:serviceaccount:"


class ResourceRule(NamedTuple):
    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    namespaces: frozenset[str]
    cluster: bool

    def matches(self, request: Request) -> bool:
        resource = request.resource
        if request.subresource:
            resource = f"{resource}/{request.subresource}"
        return (
            _in(request.verb, self.verbs)
            and _in(request.group, self.groups)
            and _in(resource, self.resources)
            and (_in(request.namespace, self.namespaces) if request.namespace else self.cluster)
        )


class PathRule(NamedTuple):
    verbs: frozenset[str]
    paths: frozenset[str]
    prefixes: tuple[str, ...]

    def matches(self, request: Request) -> bool:
        path = request.path
        return _in(request.verb, self.verbs) and (
            path in self.paths or any(map(path.startswith, self.prefixes))
        )


class Rule(NamedTuple):
    users: frozenset[str]
    groups: frozenset[str]
    #: user names begin so for "all service accounts of a namespace"
    prefixes: tuple[str, ...]
    resources: tuple[ResourceRule, ...]
    paths: tuple[PathRule, ...]

    def matches(self, request: Request) -> bool:
        user = request.user
        concerned = (
            _in(user.name, self.users)
            or "*" in self.groups
            or not self.groups.isdisjoint(user.groups)
            or (bool(self.prefixes) and user.name.startswith(self.prefixes))
        )
        return concerned and any(
            r.matches(request) for r in (self.resources if request.resource else self.paths)
        )


class Schema(NamedTuple):
    """A FlowSchema; lower precedence numbers are asked first. `distinguisher`: ByUser, ByNamespace or ""."""

    precedence: int
    name: str
    uid: str
    level: str
    distinguisher: str
    rules: tuple[Rule, ...]

    def matches(self, request: Request) -> bool:
        return any(rule.matches(request) for rule in self.rules)

    def flow(self, request: Request) -> str:
        if self.distinguisher == "ByUser":
            return request.user.name
        return request.namespace if self.distinguisher == "ByNamespace" else ""


def _in(value: str, allowed: frozenset[str]) -> bool:
    return value in allowed or "*" in allowed


def compile_schema(obj: Object) -> Schema:
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    return Schema(
        spec.get("matchingPrecedence", 1000),
        metadata["name"],
        metadata.get("uid", ""),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        tuple(_rule(r) for r in spec.get("rules") or ()),
    )


def _rule(rule: dict[str, Any]) -> Rule:
    users, groups, prefixes = set(), set(), []
    for subject in rule.get("subjects") or ():
        kind = subject["kind"]
        if kind == "User":
            users.add(subject["user"]["name"])
        elif kind == "Group":
            groups.add(subject["group"]["name"])
        else:
            account = subject["serviceAccount"]
            prefix = f"{SERVICE_ACCOUNT}{account['namespace']}:"
            if account["name"] == "*":
                prefixes.append(prefix)
            else:
                users.add(prefix + account["name"])
    return Rule(
        frozenset(users),
        frozenset(groups),
        tuple(prefixes),
        tuple(_resource_rule(r) for r in rule.get("resourceRules") or ()),
        tuple(_path_rule(r) for r in rule.get("nonResourceRules") or ()),
    )


def _resource_rule(rule: dict[str, Any]) -> ResourceRule:
    keys = ("verbs", "apiGroups", "resources", "namespaces")
    sets = (frozenset(rule.get(key) or ()) for key in keys)
    return ResourceRule(*sets, bool(rule.get("clusterScope")))


def _path_rule(rule: dict[str, Any]) -> PathRule:
    urls = rule.get("nonResourceURLs") or ()
    exact = frozenset(u for u in urls if not u.endswith("*"))
    return PathRule(frozenset(rule.get("verbs") or ()), exact, tuple(u[:-1] for u in urls if u.endswith("*")))
