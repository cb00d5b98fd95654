"""What an issuer publishes about itself: the discovery document, and the keys it signs with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from knarr.auth import jwt
from knarr.auth.identity import AuthenticationError
from knarr.auth.oidc.jsonwebkeys import read_key
from knarr.auth.remote import Answer, CallError, Remote
from knarr.auth.signatures import PublicKey, verify
from knarr.meta.gofmt import quote
from knarr.world.clock import Clock

WELL_KNOWN = "/.well-known/openid-configuration"
#: an issuer that could not be reached is left alone for so long
RETRY_SECONDS = 10.0


class Provider:
    """Fetches nothing before the first token; keys are fetched again when none of the known ones has signed."""

    def __init__(self, issuer: str, remote: Remote, clock: Clock, discovery_url: str = "") -> None:
        self.issuer = issuer
        self._remote = remote
        self._clock = clock
        self._discovery_url = discovery_url or issuer.removesuffix("/") + WELL_KNOWN
        self._keys_url = ""
        self._keys: Sequence[PublicKey] = ()
        self._task: asyncio.Task[Any] | None = None
        self._retry_at = 0.0
        #: why the issuer is not known yet, for the log and for tests
        self.failure = ""

    async def ready(self) -> bool:
        """Whether the discovery document is known; the first to ask waits for it."""
        if self._keys_url:
            return True
        if self._task is None and self._clock.monotonic() < self._retry_at:
            return False
        try:
            await self._once(self._discover)
        except CallError as error:
            self.failure = str(error)
            self._retry_at = self._clock.monotonic() + RETRY_SECONDS
        return bool(self._keys_url)

    async def check(self, token: jwt.Parsed) -> None:
        """Raises AuthenticationError unless one of the issuer's keys signed the token."""
        if self._signed_by(self._keys, token):
            return
        try:
            await self._once(self._fetch_keys)
        except CallError as error:
            raise AuthenticationError(f"failed to verify signature: fetching keys {error}") from None
        if not self._signed_by(self._keys, token):
            raise AuthenticationError("failed to verify signature: failed to verify id token signature")

    def _signed_by(self, keys: Sequence[PublicKey], token: jwt.Parsed) -> bool:
        wanted, algorithm = token.header.get("kid", ""), token.header.get("alg", "")
        return any(
            verify(key, algorithm, token.signed, token.signature)
            for key in keys
            if not wanted or key.key_id == wanted
        )

    async def _once(self, fetch: Any) -> None:
        """However many ask at a time, the issuer is asked once; who gives up waiting stops nobody else."""
        if self._task is None:
            self._task = asyncio.ensure_future(fetch())
            self._task.add_done_callback(self._forget)
        await asyncio.shield(self._task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()

    async def _discover(self) -> None:
        document = _json(
            await self._remote.get(self._discovery_url), "failed to decode provider discovery object"
        )
        found = document.get("issuer", "")
        if found != self.issuer:
            raise CallError(
                "oidc: issuer did not match the issuer returned by provider, "
                f"expected {quote(self.issuer)} got {quote(str(found))}"
            )
        if not document.get("jwks_uri"):
            raise CallError("oidc: the provider's discovery object names no jwks_uri")
        self._keys_url, self.failure = str(document["jwks_uri"]), ""

    async def _fetch_keys(self) -> None:
        document = _json(await self._remote.get(self._keys_url), "failed to decode keys")
        members = document.get("keys")
        if not isinstance(members, list):
            raise CallError("failed to decode keys: there is no list of keys")
        keys = (read_key(member) for member in members if isinstance(member, dict))
        self._keys = [key for key in keys if key is not None]


def _json(answer: Answer, words: str) -> dict[str, Any]:
    if answer.code != 200:
        raise CallError(f"{answer.code} {answer.reason}: {answer.body.decode('utf-8', 'replace')[:2048]}")
    try:
        found = orjson.loads(answer.body)
    except ValueError as error:
        raise CallError(f"oidc: {words}: {error}") from None
    if not isinstance(found, dict):
        raise CallError(f"oidc: {words}: not an object")
    return found
