"""Tokens that another server knows: a TokenReview is sent to it (--authentication-token-webhook-config-file)."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from knarr.auth.identity import AuthenticationError, Identity
from knarr.auth.remote import CallError, Remote, review
from knarr.registry.context import UserInfo
from knarr.world import World

log = logging.getLogger("knarr.auth")

GROUP = "authentication.k8s.io"
VERSIONS = ("v1", "v1beta1")
#: answers kept; the oldest goes first
CACHE_ENTRIES = 4096


class _Kept(NamedTuple):
    answer: Identity | str | None
    until: float


class WebhookTokens:
    """A TokenMethod. Answers, good and bad, are kept for `cache_seconds`; a server that cannot be asked is asked
    again. `implicit` are the audiences that an answer without any stands for: the API server's own."""

    def __init__(
        self,
        remote: Remote,
        world: World,
        version: str = "v1beta1",
        cache_seconds: float = 120.0,
        implicit: tuple[str, ...] = (),
    ) -> None:
        self._remote = remote
        self._world = world
        self._api_version = f"{GROUP}/{version}"
        self._cache_seconds = cache_seconds
        self._implicit = implicit
        self._kept: dict[tuple[str, tuple[str, ...]], _Kept] = {}

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        key, now = (token, audiences), self._world.clock.monotonic()
        kept = self._kept.get(key)
        if kept is None or kept.until <= now:
            answer = self._judge(await self._ask(token, audiences), audiences)
            kept = _Kept(answer, now + self._cache_seconds)
            self._remember(key, kept)
        if isinstance(kept.answer, str):
            raise AuthenticationError(kept.answer)
        return kept.answer

    async def _ask(self, token: str, audiences: tuple[str, ...]) -> dict[str, Any]:
        spec: dict[str, Any] = {"token": token}
        if audiences:
            spec["audiences"] = list(audiences)
        question = {
            "kind": "TokenReview",
            "apiVersion": self._api_version,
            "metadata": {"creationTimestamp": None},
            "spec": spec,
            "status": {"user": {}},
        }
        try:
            return (await review(self._remote, question, self._world.chance)).get("status") or {}
        except CallError as error:
            log.error("Failed to make webhook authenticator request: %s", error)
            raise AuthenticationError(str(error)) from None

    def _judge(self, status: dict[str, Any], wanted: tuple[str, ...]) -> Identity | str | None:
        """Who it is; a sentence why not; None for somebody unknown."""
        named = status.get("audiences") or self._implicit
        granted = tuple(a for a in wanted if a in named)
        if wanted and not granted:
            return None
        if not status.get("authenticated"):
            return status.get("error") or None
        user = status.get("user") or {}
        extra = {key: tuple(values or ()) for key, values in (user.get("extra") or {}).items()}
        groups = tuple(user.get("groups") or ())
        return Identity(UserInfo(user.get("username", ""), user.get("uid", ""), groups, extra), granted)

    def _remember(self, key: tuple[str, tuple[str, ...]], kept: _Kept) -> None:
        if not self._cache_seconds:
            return
        self._kept.pop(key, None)
        while len(self._kept) >= CACHE_ENTRIES:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = kept

    async def close(self) -> None:
        await self._remote.close()
