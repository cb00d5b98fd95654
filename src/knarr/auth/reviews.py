"""The review APIs: objects that are questions. Each handler returns the object with its answer, nothing is stored."""

from __future__ import annotations

from typing import Any

from knarr.auth.authenticate import Authenticator
from knarr.auth.authorize import Authorizers
from knarr.auth.identity import AuthenticationError
from knarr.auth.reviewchecks import check_local, check_self, check_subject
from knarr.auth.reviewselectors import field_selector, label_selector, selector_faults
from knarr.meta import errors, times
from knarr.meta.fielderrors import aggregate
from knarr.registry.context import Request, UserInfo
from knarr.world.clock import Clock

Object = dict[str, Any]


class Reviews:
    """Handlers of authentication.k8s.io and authorization.k8s.io.

    `request` is the request that carries the review; the object was decoded, with managedFields if its kind has them.
    """

    def __init__(self, authenticator: Authenticator, authorizers: Authorizers, clock: Clock) -> None:
        self._authenticator = authenticator
        self._authorizers = authorizers
        self._clock = clock
        self._handlers = {
            "tokenreviews": self.token,
            "selfsubjectreviews": self.self_subject,
            "subjectaccessreviews": self.subject_access,
            "localsubjectaccessreviews": self.local_access,
            "selfsubjectaccessreviews": self.self_access,
            "selfsubjectrulesreviews": self.self_rules,
        }

    async def create(self, request: Request, obj: Object) -> Object:
        """Answer the review; KeyError for a resource that is none."""
        return await self._handlers[request.resource](request, obj)

    async def token(self, request: Request, obj: Object) -> Object:
        spec = obj.get("spec") or {}
        if not spec.get("token"):
            raise errors.bad_request("token is required for TokenReview in authentication")
        try:
            identity = await self._authenticator.review(spec["token"], tuple(spec.get("audiences") or ()))
        except AuthenticationError as error:
            return obj | {"status": {"user": {}, "error": str(error)}}
        status: Object = {"authenticated": True, "user": user_info(identity.user)}
        if identity.audiences:
            status["audiences"] = list(identity.audiences)
        return obj | {"status": status}

    async def self_subject(self, request: Request, obj: Object) -> Object:
        return {
            "kind": obj.get("kind", "SelfSubjectReview"),
            "apiVersion": obj.get("apiVersion", "authentication.k8s.io/v1"),
            "metadata": {"creationTimestamp": times.format(self._clock.now())},
            "status": {"userInfo": user_info(request.user)},
        }

    async def subject_access(self, request: Request, obj: Object) -> Object:
        check_subject(obj)
        return obj | {"status": await self._decide(obj["spec"], _subject(obj["spec"]))}

    async def local_access(self, request: Request, obj: Object) -> Object:
        check_local(obj, request.namespace)
        return obj | {"status": await self._decide(obj["spec"], _subject(obj["spec"]))}

    async def self_access(self, request: Request, obj: Object) -> Object:
        check_self(obj)
        return obj | {"status": await self._decide(obj["spec"], request.user)}

    async def self_rules(self, request: Request, obj: Object) -> Object:
        namespace = (obj.get("spec") or {}).get("namespace")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        found = self._authorizers.resolve(request.user, namespace)
        keys = ("verbs", "apiGroups", "resources", "resourceNames")
        status: Object = {
            "resourceRules": [{k: r[k] for k in keys if r.get(k)} for r in found.rules if r.get("resources")],
            "nonResourceRules": [
                {k: r[k] for k in ("verbs", "nonResourceURLs")}
                for r in found.rules
                if r.get("nonResourceURLs")
            ],
            "incomplete": found.incomplete,
        }
        if found.faults:
            status["evaluationError"] = aggregate(found.faults)
        return {
            "kind": obj["kind"],
            "apiVersion": obj["apiVersion"],
            "metadata": {},
            "spec": {},
            "status": status,
        }

    async def _decide(self, spec: Object, user: UserInfo) -> Object:
        decision = await self._authorizers.authorize(_question(spec, user))
        status: Object = {"allowed": decision.allowed}
        if decision.denied:
            status["denied"] = True
        if decision.reason:
            status["reason"] = decision.reason
        faults = [*([decision.error] if decision.error else []), *selector_faults(spec)]
        if faults:
            status["evaluationError"] = aggregate(faults)
        return status


def user_info(user: UserInfo) -> Object:
    """A user as the API shows it; empty parts are left out."""
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {k: list(v) for k, v in user.extra.items()}
    return info


def _subject(spec: Object) -> UserInfo:
    extra = {k.lower(): tuple(v or ()) for k, v in (spec.get("extra") or {}).items()}
    return UserInfo(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def _question(spec: Object, user: UserInfo) -> Request:
    """The request whose fate the review asks for."""
    resource = spec.get("resourceAttributes")
    if resource is None:
        path = spec["nonResourceAttributes"]
        return Request(path.get("verb", ""), path=path.get("path", ""), user=user)
    query = {}
    for key, texts in (("fieldSelector", field_selector), ("labelSelector", label_selector)):
        if text := texts(resource.get(key) or {}):
            query[key] = text
    return Request(
        resource.get("verb", ""),
        group=resource.get("group", ""),
        version=resource.get("version", ""),
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
        user=user,
        query=query,
    )
