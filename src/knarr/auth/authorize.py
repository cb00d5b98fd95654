"""May this request be made? The union of authorizers, and how a refusal is worded."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from knarr.meta import errors
from knarr.meta.fielderrors import aggregate
from knarr.meta.metrics import Family, Sample
from knarr.registry.context import Request, UserInfo

PRIVILEGED_GROUP = "system:masters"


class Decision(NamedTuple):
    """What authorizers say; neither allowed nor denied means that nobody has an opinion, which refuses too."""

    allowed: bool
    reason: str = ""
    #: refused for good: later authorizers are not asked
    denied: bool = False
    #: what went wrong while deciding (SubjectAccessReview's evaluationError)
    error: str = ""


ALLOWED = Decision(True)
NO_OPINION = Decision(False)


class Rules(NamedTuple):
    """Everything that one authorizer lets somebody do: RBAC's rules, whether there may be more, and why."""

    rules: Sequence[dict[str, Any]] = ()
    incomplete: bool = False
    faults: Sequence[str] = ()


class Authorizer(Protocol):
    """`authorize` may also be a coroutine function (a webhook). `resolve` is asked for a namespace, "" the cluster."""

    def authorize(self, request: Request) -> Decision | Awaitable[Decision]: ...

    def resolve(self, user: UserInfo, namespace: str) -> Rules: ...


class Authorizers:
    """Asks one after another until one allows or denies; members of system:masters may do everything."""

    def __init__(self, *authorizers: Authorizer, names: Sequence[tuple[str, str]] = ()) -> None:
        self.members: tuple[Authorizer, ...] = ()
        #: by type and name of an authorizer: what it denied, and what it allowed
        self._counts: dict[tuple[str, str], list[int]] = {}
        self.replace(*authorizers, names=names)

    def replace(self, *authorizers: Authorizer, names: Sequence[tuple[str, str]] = ()) -> None:
        """From the next request on, ask these; `names` are their types and names, where they are to be told apart."""
        self.members = authorizers
        names = names or [("", "")] * len(authorizers)
        self._steps: list[tuple[Callable[..., Any], bool, list[int]]] = [
            (a.authorize, inspect.iscoroutinefunction(a.authorize), self._counts.setdefault(name, [0, 0]))
            for a, name in zip(authorizers, names, strict=True)
        ]

    def metrics(self) -> Iterator[Family]:
        samples: list[Sample] = [
            ("", {"type": type_, "name": name, "decision": ("denied", "allowed")[allowed]}, counts[allowed])
            for (type_, name), counts in self._counts.items()
            for allowed in (False, True)
            if type_ and counts[allowed]
        ]
        words = "What authorizers decided, by type and name."
        yield Family("apiserver_authorization_decisions_total", "counter", words, samples)

    async def authorize(self, request: Request) -> Decision:
        """Never raises; the reasons of all who had none but a reason are joined as Kubernetes joins them."""
        if PRIVILEGED_GROUP in request.user.groups:
            return ALLOWED
        reasons: list[str] = []
        faults: list[str] = []
        for step, waits, counts in self._steps:
            decision = await step(request) if waits else step(request)
            if decision.allowed or decision.denied:
                counts[decision.allowed] += 1
                return decision
            if decision.reason:
                reasons.append(decision.reason)
            if decision.error:
                faults.append(decision.error)
        if not reasons and not faults:
            return NO_OPINION
        return Decision(False, "\n".join(reasons), False, aggregate(faults))

    def resolve(self, user: UserInfo, namespace: str) -> Rules:
        """What all of them together let somebody do."""
        found = [member.resolve(user, namespace) for member in self.members]
        rules = [rule for part in found for rule in part.rules]
        faults = list(dict.fromkeys(fault for part in found for fault in part.faults))
        return Rules(rules, any(part.incomplete for part in found), faults)

    async def require(self, request: Request) -> None:
        """Raise StatusError 403 unless the request is allowed."""
        decision = await self.authorize(request)
        notes = request.annotations
        notes["authorization.k8s.io/decision"] = "allow" if decision.allowed else "forbid"
        notes["authorization.k8s.io/reason"] = decision.reason
        if not decision.allowed:
            raise forbidden(request, decision.reason)


def forbidden(request: Request, reason: str = "") -> errors.StatusError:
    """403 with Kubernetes' sentence: who cannot do what, where, and why if an authorizer said so."""
    sentence = describe(request)
    why = f"{sentence}: {reason}" if reason else sentence
    if request.resource:
        return errors.forbidden(request.group, request.resource, request.name, why)
    return errors.forbidden("", "", "", why)


def describe(request: Request) -> str:
    user = f'User "{request.user.name}" cannot {request.verb}'
    if not request.resource:
        return f'{user} path "{request.path}"'
    resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    place = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
    return f'{user} resource "{resource}" in API group "{request.group}" {place}'
