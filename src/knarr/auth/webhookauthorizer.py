"""An authorizer elsewhere: a SubjectAccessReview is sent to it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

import orjson

from knarr.auth.attributes import full_spec, spec_of
from knarr.auth.authorize import NO_OPINION, Decision, Rules
from knarr.auth.configuration.chain import Webhook
from knarr.auth.remote import CallError, Remote, review
from knarr.meta.fielderrors import aggregate
from knarr.registry.context import Request, UserInfo
from knarr.registry.reader import Object
from knarr.world import World

log = logging.getLogger("knarr.auth")

GROUP = "authorization.k8s.io"
VERSIONS = ("v1", "v1beta1")
#: answers kept; the oldest goes first
CACHE_ENTRIES = 8192
#: a question with longer texts than this is not worth remembering: somebody may be filling our memory
CACHED_QUESTION_MAX = 10_000

BOTH = "webhook subject access review returned both allow and deny response"
NO_RULES = "webhook authorizer does not support user rule resolution"


class _Kept(NamedTuple):
    status: Object
    until: float


class WebhookAuthorizer:
    """`settings` say how it is asked, for which requests, and what its silence means."""

    def __init__(self, remote: Remote, world: World, settings: Webhook) -> None:
        self._remote = remote
        self._world = world
        self._settings = settings
        self._kept: dict[bytes, _Kept] = {}

    async def authorize(self, request: Request) -> Decision:
        spec = spec_of(request)
        failure = self._settings.deny_on_failure
        try:
            if not self._concerned(spec):
                return NO_OPINION
            status = await self._status(spec, request)
        except (CallError, ConditionError) as error:
            if isinstance(error, CallError):
                log.error("Failed to make webhook authorizer request: %s", error)
            return Decision(False, "", failure, str(error))
        return _decision(status)

    def resolve(self, user: UserInfo, namespace: str) -> Rules:
        """It cannot be asked for everything that somebody may do."""
        return Rules((), True, (NO_RULES,))

    def _concerned(self, spec: Object) -> bool:
        """Whether all match conditions hold; one that fails decides only where no other is false."""
        if not self._settings.conditions:
            return True
        from knarr.meta.cel.values import CelError

        variables = {"request": full_spec(spec)}
        faults = []
        for condition in self._settings.conditions:
            try:
                holds = condition.evaluate(variables)
            except CelError as error:
                faults.append(
                    f"cel evaluation error: expression '{condition.text}' resulted in error: {error}"
                )
                continue
            if not holds:
                return False
        if faults:
            raise ConditionError(aggregate(faults))
        return True

    async def _status(self, spec: Object, request: Request) -> Object:
        key, now = orjson.dumps(spec), self._world.clock.monotonic()
        kept = self._kept.get(key)
        if kept is not None and kept.until > now:
            return kept.status
        question = {
            "kind": "SubjectAccessReview",
            "apiVersion": f"{GROUP}/{self._settings.version}",
            "metadata": {"creationTimestamp": None},
            "spec": _worded(spec, self._settings.version),
            "status": {"allowed": False},
        }
        try:
            async with asyncio.timeout(self._settings.timeout):
                answer = await review(self._remote, question, self._world.chance)
        except TimeoutError:
            raise CallError("context deadline exceeded") from None
        status = answer.get("status") or {}
        self._remember(key, status, now, request)
        return status

    def _remember(self, key: bytes, status: Object, now: float, request: Request) -> None:
        settings = self._settings
        seconds = settings.authorized_seconds if status.get("allowed") else settings.unauthorized_seconds
        texts = (
            request.namespace,
            request.verb,
            request.group,
            request.version,
            request.resource,
            request.subresource,
            request.name,
            request.path,
        )
        if not seconds or sum(map(len, texts)) >= CACHED_QUESTION_MAX:
            return
        self._kept.pop(key, None)
        while len(self._kept) >= CACHE_ENTRIES:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = _Kept(status, now + seconds)

    async def close(self) -> None:
        await self._remote.close()


class ConditionError(Exception):
    """A match condition could not be evaluated."""


def _worded(spec: Object, version: str) -> Object:
    """v1beta1 calls groups `group`."""
    if version == "v1" or "groups" not in spec:
        return spec
    return {"group" if key == "groups" else key: value for key, value in spec.items()}


def _decision(status: dict[str, Any]) -> Decision:
    reason, allowed = status.get("reason") or "", bool(status.get("allowed"))
    if status.get("denied"):
        return Decision(False, reason, True, BOTH if allowed else "")
    return Decision(allowed, reason)
