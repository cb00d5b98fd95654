"""One call of one webhook."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from knarr.admission.attributes import Attributes
from knarr.admission.matching import Matched
from knarr.admission.webhooks import answer, review
from knarr.admission.webhooks.answer import Response
from knarr.admission.webhooks.errors import CallFailed, denial, no_dry_run
from knarr.admission.webhooks.hooks import Hook
from knarr.egress import ConfigError, EgressError
from knarr.meta import names

Object = dict[str, Any]
USER_AGENT = "kube-apiserver-admission"

Post = Callable[..., Awaitable[Any]]


class Caller:
    """Sends reviews through `post` (`Egress.post`); `uid` draws a review's uid."""

    def __init__(self, post: Post, uid: Callable[[], str]) -> None:
        self._post, self._uid = post, uid

    async def call(
        self,
        hook: Hook,
        a: Attributes,
        matched: Matched,
        obj: Object | None,
        old: Object | None,
        mutating: bool,
    ) -> Response:
        """A response that allows the request; its warnings and audit annotations are noted.

        Raises CallFailed, Denied, and StatusError for a dry run that the webhook is not made for.
        """
        if a.dry_run and not hook.dry_runs:
            raise no_dry_run(hook.name)
        try:
            version = review.version_of(hook.review_versions)
        except ValueError as error:
            raise CallFailed(hook.name, f"could not create admission objects: {error}", 400) from None
        uid = self._uid()
        body = review.build(a, matched, obj, old, uid, version)
        response = await self._timed(a, mutating, self._ask(hook, body, uid, version, mutating))
        note(hook, a, response)
        if not response.allowed:
            raise denial(hook.name, response.status)
        return response

    async def _timed(self, a: Attributes, mutating: bool, asking: Awaitable[Response]) -> Response:
        """The audit log says how long a slow request waited for webhooks: for mutating ones one after another, for
        validating ones at once."""
        audit = a.request.audit
        if audit is None:
            return await asking
        clock = asyncio.get_running_loop()
        began = clock.time()
        try:
            return await asking
        finally:
            part = "mutating-webhook" if mutating else "validating-webhook"
            audit.took(part, clock.time() - began, at_once=not mutating)

    async def _ask(self, hook: Hook, body: bytes, uid: str, version: str, mutating: bool) -> Response:
        try:
            answered = await self._post(
                hook.client,
                body,
                timeout=float(hook.timeout_seconds),
                query=f"timeout={hook.timeout_seconds}s",
                headers={"User-Agent": USER_AGENT},
            )
            found = answer.decode(answered, version)
        except ConfigError as error:
            raise CallFailed(
                hook.name, f"could not get REST client: {error}", 500 if mutating else 400
            ) from None
        except EgressError as error:
            raise CallFailed(
                hook.name, f"failed to call webhook: {error}", 503 if mutating else 400
            ) from None
        except answer.NotUnderstood as error:
            raise CallFailed(hook.name, f"failed to call webhook: {error}", error.code) from None
        try:
            return answer.verify(found, uid, version, mutating)
        except ValueError as error:
            raise CallFailed(hook.name, f"received invalid webhook response: {error}", 503) from None


def note(hook: Hook, a: Attributes, response: Response) -> None:
    """Warnings go to the client; audit annotations under the webhook's name, where their key is one."""
    for key, value in response.annotations.items():
        annotate(a, f"{hook.name}/{key}", value)
    for text in response.warnings:
        if not any(letter < " " or "\x7f" <= letter <= "\x9f" for letter in text):
            a.request.warn(text)


def annotate(a: Attributes, key: str, value: str) -> None:
    """Nobody overwrites what is noted already."""
    if key.count("/") == 1 and not names.is_qualified_name(key):
        a.request.annotations.setdefault(key, value)


class Authorizer(Protocol):
    """What match conditions ask through their `authorizer` variable."""

    async def authorize(self, request: Any) -> Any: ...
