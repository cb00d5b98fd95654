"""Attribute-based access control: a file with one policy, a JSON object, to a line (--authorization-policy-file)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from knarr.auth.authorize import Decision, Rules
from knarr.auth.configuration import ConfigurationError
from knarr.auth.identity import ALL_AUTHENTICATED
from knarr.registry.context import Request, UserInfo
from knarr.registry.reader import Object

API_VERSION = "abac.authorization.kubernetes.io/v1beta1"
READING = frozenset({"get", "list", "watch"})
NO_MATCH = Decision(False, "No policy matched.")
FIELDS = {
    "user": str,
    "group": str,
    "readonly": bool,
    "apiGroup": str,
    "resource": str,
    "namespace": str,
    "nonResourcePath": str,
}


class Policy(NamedTuple):
    """One line; "*" stands for anything, an empty `resource` or `path` for nothing."""

    user: str = ""
    group: str = ""
    readonly: bool = False
    api_group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""

    def names(self, user: UserInfo) -> bool:
        """Whether the user is who is meant: he himself, one of his group, or both where both are said."""
        if self.user and self.user not in ("*", user.name):
            return False
        if self.group and self.group != "*" and self.group not in user.groups:
            return False
        return bool(self.user or self.group)

    def allows(self, request: Request) -> bool:
        if not self.names(request.user) or (self.readonly and request.verb not in READING):
            return False
        if request.resource:
            return (
                self.namespace in ("*", request.namespace)
                and self.resource in ("*", request.resource)
                and self.api_group in ("*", request.group)
            )
        prefix = self.path.rstrip("*")
        return self.path == request.path or (self.path != prefix and request.path.startswith(prefix))


class ABAC:
    """The authorizer."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._policies = list(policies)

    def authorize(self, request: Request) -> Decision:
        return Decision(True) if any(p.allows(request) for p in self._policies) else NO_MATCH

    def resolve(self, user: UserInfo, namespace: str) -> Rules:
        found: list[Object] = []
        for policy in self._policies:
            if not policy.names(user) or policy.namespace not in ("*", namespace):
                continue
            verbs = sorted(READING) if policy.readonly else ["*"]
            if policy.resource:
                found.append(
                    {"verbs": verbs, "apiGroups": [policy.api_group], "resources": [policy.resource]}
                )
            if policy.path:
                found.append({"verbs": verbs, "nonResourceURLs": [policy.path]})
        return Rules(found)


def parse(text: str, path: str) -> list[Policy]:
    """The policies of a file; empty lines and those that start with # count nothing. Raises ConfigurationError."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        try:
            found.append(_policy(line))
        except ValueError as error:
            raise ConfigurationError(
                f"error reading policy file {path}, line {number}: {line}: {error}"
            ) from None
    return found


def _policy(line: str) -> Policy:
    obj = orjson.loads(line)
    if not isinstance(obj, dict):
        raise ValueError("a policy is a JSON object")
    if not obj.get("apiVersion") and not obj.get("kind"):
        return _unversioned(obj)
    if obj.get("kind") != "Policy" or obj.get("apiVersion") != API_VERSION:
        raise ValueError(
            f'no kind "{obj.get("kind", "")}" is registered for version "{obj.get("apiVersion", "")}"'
        )
    spec = obj.get("spec") or {}
    if not isinstance(spec, dict):
        raise ValueError("spec is no object")
    return _known_only(_of(spec))


def _of(spec: dict[str, Any]) -> Policy:
    values: list[Any] = []
    for key, kind in FIELDS.items():
        value = spec.get(key, kind())
        if not isinstance(value, kind):
            raise ValueError(f"{key} is no {'boolean' if kind is bool else 'string'}")
        values.append(value)
    return Policy(*values)


def _known_only(policy: Policy) -> Policy:
    """A star among users or groups means everybody who is known."""
    if "*" not in (policy.user, policy.group):
        return policy
    return policy._replace(user="", group=ALL_AUTHENTICATED)


def _unversioned(obj: dict[str, Any]) -> Policy:
    """The format before v1beta1: what is left out is any."""
    keys = ("user", "group", "readonly", "resource", "namespace")
    policy = _of({key: obj[key] for key in keys if key in obj})
    if not policy.user and not policy.group:
        policy = policy._replace(group=ALL_AUTHENTICATED)
    return _known_only(policy)._replace(
        api_group="*",
        namespace=policy.namespace or "*",
        resource=policy.resource or "*",
        path="" if policy.resource or policy.namespace else "*",
    )
