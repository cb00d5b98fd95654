"""The `authorizer` variable: questions to the cluster's authorizers from inside an expression.

Expressions are evaluated in one go, authorizers may have to wait (webhooks). So an unanswered question ends the
evaluation as `Unanswered`; `answered` asks it and evaluates again. Each question of a request is asked once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from knarr.admission.attributes import Attributes
from knarr.admission.matching import place_of
from knarr.meta import names
from knarr.meta.cel.library.authz import AUTHORIZER, DECISION, GROUP, PATH, RESOURCE
from knarr.meta.cel.values import CelError
from knarr.registry.context import Request, UserInfo

T = TypeVar("T")


class Authorizer(Protocol):
    """The answer has `allowed`, `reason` and `error`."""

    async def authorize(self, request: Request) -> Any: ...


class Unanswered(Exception):
    """An expression asks what nobody knows yet. No CelError, so that no && or || swallows it."""

    def __init__(self, question: Request, key: object) -> None:
        super().__init__(key)
        self.question, self.key = question, key


class Decisions:
    """What authorizers said during one request."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._known: dict[object, Decision] = {}

    def of(self, question: Request) -> Decision:
        """Raises Unanswered."""
        key = _key(question)
        known = self._known.get(key)
        if known is None:
            raise Unanswered(question, key)
        return known

    async def ask(self, unanswered: Unanswered) -> None:
        said = await self._authorizer.authorize(unanswered.question)
        self._known[unanswered.key] = Decision(said.allowed, said.reason, getattr(said, "error", ""))


async def answered(decisions: Decisions, evaluate: Callable[[], T]) -> T:
    """What `evaluate` returns once all its questions are answered."""
    while True:
        try:
            return evaluate()
        except Unanswered as unanswered:
            await decisions.ask(unanswered)


def _key(question: Request) -> object:
    user = question.user
    extra = tuple(sorted((key, tuple(sorted(values))) for key, values in user.extra.items()))
    place = question.group, question.resource, question.subresource, question.namespace, question.name
    selectors = tuple(sorted(question.query.items()))
    who = user.name, user.uid, tuple(sorted(user.groups)), extra
    return who, question.verb, question.path, place, selectors


class Decision:
    """The value of `check()`."""

    __slots__ = ("allowed", "error", "reason")
    cel_type = DECISION

    def __init__(self, allowed: bool, reason: str, error: str) -> None:
        self.allowed, self.reason, self.error = allowed, reason, error


class AuthorizerValue:
    """`authorizer`: the rights of one user."""

    __slots__ = ("decisions", "user")
    cel_type = AUTHORIZER

    def __init__(self, decisions: Decisions, user: UserInfo) -> None:
        self.decisions, self.user = decisions, user

    def path(self, path: str) -> PathCheck:
        if not path.strip():
            raise CelError("path must not be empty")
        return PathCheck(self, path)

    def group(self, group: str) -> GroupCheck:
        return GroupCheck(self, group)

    def service_account(self, namespace: str, name: str) -> AuthorizerValue:
        if names.is_dns1123_subdomain(name):
            raise CelError("Invalid service account name")
        if names.is_dns1123_label(namespace):
            raise CelError("Invalid service account namespace")
        groups = "system:serviceaccounts", f"system:serviceaccounts:{namespace}"
        user = UserInfo(f"system:serviceaccount:{namespace}:{name}", groups=groups)
        return AuthorizerValue(self.decisions, user)


class PathCheck:
    __slots__ = ("_authorizer", "_path")
    cel_type = PATH

    def __init__(self, authorizer: AuthorizerValue, path: str) -> None:
        self._authorizer, self._path = authorizer, path

    def check(self, verb: str) -> Decision:
        user = self._authorizer.user
        return self._authorizer.decisions.of(Request(verb, path=self._path, user=user))


class GroupCheck:
    __slots__ = ("_authorizer", "_group")
    cel_type = GROUP

    def __init__(self, authorizer: AuthorizerValue, group: str) -> None:
        self._authorizer, self._group = authorizer, group

    def resource(self, resource: str) -> ResourceCheck:
        if not resource.strip():
            raise CelError("resource must not be empty")
        return ResourceCheck(self._authorizer, {"group": self._group, "resource": resource})


class ResourceCheck:
    __slots__ = ("_attributes", "_authorizer")
    cel_type = RESOURCE

    def __init__(self, authorizer: AuthorizerValue, attributes: dict[str, str]) -> None:
        self._authorizer, self._attributes = authorizer, attributes

    def narrowed(self, attribute: str, value: str) -> ResourceCheck:
        return ResourceCheck(self._authorizer, {**self._attributes, attribute: value})

    def check(self, verb: str) -> Decision:
        attributes = dict(self._attributes)
        query = {key: attributes.pop(key) for key in SELECTORS if key in attributes}
        question = Request(verb, version="*", user=self._authorizer.user, query=_usable(query), **attributes)  # type: ignore[arg-type]
        return self._authorizer.decisions.of(question)


SELECTORS = ("fieldSelector", "labelSelector")


def _usable(selectors: dict[str, str]) -> dict[str, str]:
    """Those that can be parsed: the others narrow nothing."""
    if not any(selectors.values()):
        return {}
    from knarr.meta import fields, labels

    found = {}
    for key, parse in zip(SELECTORS, (fields.parse, labels.parse), strict=True):
        text = selectors.get(key)
        if not text:
            continue
        try:
            parse(text)
        except ValueError:
            continue
        found[key] = text
    return found


def bindings(decisions: Decisions, a: Attributes) -> dict[str, Any]:
    """`authorizer` and `authorizer.requestResource` for the user and the resource of a request."""
    authorizer, request = AuthorizerValue(decisions, a.user), a.request
    requested = {
        "group": request.group,
        "resource": request.resource,
        "subresource": request.subresource,
        "namespace": place_of(a),
        "name": a.name,
    }
    resource = ResourceCheck(authorizer, requested)
    return {"authorizer": authorizer, "authorizer.requestResource": resource}
