"""Which requests a webhook or policy is for: rules, their equivalents, and selectors.

The first look is at the request's target alone (`handles`), once per target, so that requests nobody asked for pay
nothing. Everything else (`match`) depends on the single request.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Target
from knarr.meta import errors, labels
from knarr.registry.equivalents import Equivalents, Triple
from knarr.registry.reader import Reader

Object = dict[str, Any]
NAMESPACES = ("", "v1", "namespaces")
#: never shown to webhooks and policies: whoever may set these up could not take them down again
EXEMPT_GROUP = "admissionregistration.k8s.io"


class Matched(NamedTuple):
    """How a request was matched: the resource and kind of the rule, which may be equivalents of those requested."""

    resource: Triple
    kind: Triple


def requested(a: Attributes) -> Triple:
    request = a.request
    return request.group, request.version, request.resource


def place_of(a: Attributes) -> str:
    """The namespace as rules and selectors see it: a namespace lies in itself."""
    if a.namespace or a.request.resource != "namespaces" or a.request.group:
        return a.namespace
    return a.name


class Rule:
    """One rule: operations and resources, and in policies names."""

    def __init__(self, rule: Object) -> None:
        self._operations = frozenset(rule.get("operations") or ())
        self._groups = frozenset(rule.get("apiGroups") or ())
        self._versions = frozenset(rule.get("apiVersions") or ())
        self._resources = [_split(name) for name in rule.get("resources") or ()]
        self._scope = rule.get("scope") or "*"
        self._names = frozenset(rule.get("resourceNames") or ())

    def covers(self, resource: Triple, subresource: str, operation: str, place: str) -> bool:
        return (
            self._covers_scope(resource, place)
            and _has(self._operations, operation)
            and _has(self._groups, resource[0])
            and _has(self._versions, resource[1])
            and self._covers_resource(resource[2], subresource)
        )

    def names(self, name: str) -> bool:
        return not self._names or name in self._names

    def may_cover(self, target: Target, group: str, resource: str) -> bool:
        """Whether some request for the target could be covered under this name of its resource."""
        return (
            _has(self._operations, target.operation)
            and _has(self._groups, group)
            and self._covers_resource(resource, target.subresource)
        )

    def _covers_scope(self, resource: Triple, place: str) -> bool:
        if self._scope == "*":
            return True
        namespaced = bool(place) and resource != NAMESPACES
        return namespaced is (self._scope == "Namespaced")

    def _covers_resource(self, resource: str, subresource: str) -> bool:
        return any(name in ("*", resource) and sub in ("*", subresource) for name, sub in self._resources)


def _split(name: str) -> tuple[str, str]:
    resource, _, subresource = name.partition("/")
    return resource, subresource


def _has(known: frozenset[str], wanted: str) -> bool:
    return wanted in known or "*" in known


class Rules:
    """The rules of one webhook or policy: one that covers a request is enough."""

    def __init__(self, rules: Iterable[Object] | None, equivalent: bool) -> None:
        self._rules = [Rule(rule) for rule in rules or ()]
        self._equivalent = equivalent

    def __bool__(self) -> bool:
        return bool(self._rules)

    def handles(self, target: Target, equivalents: Equivalents) -> bool:
        names = [(target.group, target.resource)]
        if self._equivalent:
            names += [(g, r) for g, _, r in equivalents.of(target.group, target.resource, target.subresource)]
        return any(rule.may_cover(target, group, name) for rule in self._rules for group, name in names)

    def match(self, a: Attributes, equivalents: Equivalents) -> Matched | None:
        """None where no rule covers the request. Raises ValueError where an equivalent has no kind."""
        resource, subresource, place = requested(a), a.request.subresource, place_of(a)
        for rule in self._rules:
            if rule.covers(resource, subresource, a.operation, place) and rule.names(a.name):
                return Matched(resource, a.kind)
        if not self._equivalent:
            return None
        others = equivalents.of(resource[0], resource[2], subresource)
        if len(others) < 2:
            return None
        for rule in self._rules:
            for other in others:
                if other == resource or not rule.covers(other, subresource, a.operation, place):
                    continue
                kind = equivalents.kind(other, subresource)
                if kind is None:
                    shown = f"{other[0]}/{other[1]}, Resource={other[2]}"
                    raise ValueError(f"unable to convert to {shown}: unknown kind")
                if rule.names(a.name):
                    return Matched(other, kind)
        return None


class Selectors:
    """namespaceSelector and objectSelector."""

    def __init__(self, owner: Object) -> None:
        """`owner` is the webhook, or the matchResources of a policy."""
        self._namespace = labels.from_label_selector(owner.get("namespaceSelector") or {})
        self._object = labels.from_label_selector(owner.get("objectSelector") or {})

    def match_namespace(self, a: Attributes, reader: Reader) -> bool:
        """Cluster-scoped objects are never left out; namespaces count by their own labels. Raises StatusError 404."""
        place = place_of(a)
        if self._namespace.empty or (not place and a.request.resource != "namespaces"):
            return True
        return self._namespace.matches(_namespace_labels(a, place, reader))

    def match_object(self, a: Attributes) -> bool:
        """The new or the old object is selected."""
        if self._object.empty:
            return True
        return any(self._object.matches(_labels(obj)) for obj in (a.obj, a.old) if obj is not None)


def _namespace_labels(a: Attributes, place: str, reader: Reader) -> Any:
    request = a.request
    if request.resource == "namespaces" and not request.subresource and a.operation in (CREATE, UPDATE):
        return _labels(a.obj or {})
    stored = reader.get("", "namespaces", "", place)
    if stored is None:
        raise errors.not_found("", "namespaces", place)
    return _labels(stored)


def _labels(obj: Object) -> Any:
    return (obj.get("metadata") or {}).get("labels") or {}
