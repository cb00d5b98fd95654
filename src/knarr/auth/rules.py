"""What one RBAC policy rule allows, and when one set of rules covers another.

A rule is the dict of the API: verbs, apiGroups, resources, resourceNames, nonResourceURLs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from knarr.meta.gofmt import quote
from knarr.registry.context import Request

Rule = dict[str, Any]


class Compiled(NamedTuple):
    """A rule prepared for matching."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    #: nonResourceURLs without and with a trailing star (the star cut off)
    paths: frozenset[str]
    prefixes: tuple[str, ...]

    def allows(self, request: Request) -> bool:
        if request.resource:
            return self.allows_some_name(request) and (not self.names or request.name in self.names)
        return self._allows_verb(request.verb) and self._allows_path(request.path)

    def allows_some_name(self, request: Request) -> bool:
        """Whether a resource request would be allowed if its name were right."""
        return (
            self._allows_verb(request.verb)
            and ("*" in self.groups or request.group in self.groups)
            and self._allows_resource(request.resource, request.subresource)
        )

    def _allows_verb(self, verb: str) -> bool:
        return verb in self.verbs or "*" in self.verbs

    def _allows_resource(self, resource: str, subresource: str) -> bool:
        if "*" in self.resources:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources

    def _allows_path(self, path: str) -> bool:
        return path in self.paths or any(map(path.startswith, self.prefixes))


def compile_rule(rule: Rule) -> Compiled:
    urls = rule.get("nonResourceURLs") or ()
    return Compiled(
        frozenset(rule.get("verbs") or ()),
        frozenset(rule.get("apiGroups") or ()),
        frozenset(rule.get("resources") or ()),
        frozenset(rule.get("resourceNames") or ()),
        frozenset(u for u in urls if not u.endswith("*")),
        tuple(u.rstrip("*") for u in urls if u.endswith("*")),
    )


def uncovered(owned: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted`, each with one verb on one thing, that `owned` does not include."""
    owned = list(owned)
    return [part for rule in wanted for part in _parts(rule) if not any(_covers(o, part) for o in owned)]


def _parts(rule: Rule) -> Iterator[Rule]:
    verbs = rule.get("verbs") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                part = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                names = rule.get("resourceNames")
                if not names:
                    yield part
                for name in names or ():
                    yield part | {"resourceNames": [name]}
    for url in rule.get("nonResourceURLs") or ():
        for verb in verbs:
            yield {"verbs": [verb], "nonResourceURLs": [url]}


def _covers(owner: Rule, part: Rule) -> bool:
    return (
        _has(owner.get("verbs"), part["verbs"])
        and _has(owner.get("apiGroups"), part.get("apiGroups"))
        and all(_covers_resource(owner.get("resources") or (), r) for r in part.get("resources") or ())
        and all(_covers_url(owner.get("nonResourceURLs") or (), u) for u in part.get("nonResourceURLs") or ())
        and _covers_names(owner.get("resourceNames") or (), part.get("resourceNames") or ())
    )


def _has(owned: Iterable[str] | None, wanted: Iterable[str] | None) -> bool:
    owned = owned or ()
    return "*" in owned or all(w in owned for w in wanted or ())


def _covers_resource(owned: Iterable[str], resource: str) -> bool:
    if "*" in owned or resource in owned:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in owned


def _covers_url(owned: Iterable[str], url: str) -> bool:
    return any(o in ("*", url) or (o.endswith("*") and url.startswith(o.rstrip("*"))) for o in owned)


def _covers_names(owned: Iterable[str], wanted: Iterable[str]) -> bool:
    return not owned or (bool(wanted) and all(w in owned for w in wanted))


def compact(parts: Iterable[Rule]) -> list[Rule]:
    """Parts that differ in their verb alone become one rule."""
    merged: dict[tuple[str, ...], Rule] = {}
    others: list[Rule] = []
    for part in parts:
        groups, resources = part.get("apiGroups") or [], part.get("resources") or []
        names = part.get("resourceNames") or ()
        if part.get("nonResourceURLs") or len(groups) != 1 or len(resources) != 1 or len(names) > 1:
            others.append(part)
            continue
        key = (groups[0], resources[0], *names)
        if key in merged:
            merged[key]["verbs"].extend(part["verbs"])
        else:
            merged[key] = part | {"verbs": list(part["verbs"])}
    return [*merged.values(), *others]


def describe(rule: Rule) -> str:
    """A rule as messages show it: `{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`."""
    fields = ("apiGroups", "resources", "nonResourceURLs", "resourceNames", "verbs")
    shown = [f"{_title(f)}:[{' '.join(map(quote, rule[f]))}]" for f in fields if rule.get(f)]
    return "{" + ", ".join(shown) + "}"


def _title(field: str) -> str:
    return "APIGroups" if field == "apiGroups" else field[0].upper() + field[1:]
