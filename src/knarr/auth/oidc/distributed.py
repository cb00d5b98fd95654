"""Distributed claims (OpenID Connect Core 1.0, section 5.6.2): a claim that another server keeps.

A token that has `_claim_names: {"groups": "src"}` and `_claim_sources: {"src": {"endpoint": URL, "access_token": T}}`
instead of `groups` has its groups in the token that the endpoint answers with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from knarr.auth import jwt
from knarr.auth.identity import AuthenticationError
from knarr.auth.oidc.provider import Provider
from knarr.auth.oidc.verify import issuer_of, verify
from knarr.auth.remote import CallError, Remote
from knarr.meta.gofmt import quote


class DistributedClaim:
    """Finds one claim; `provider_of` makes the provider of an issuer that a fetched token names."""

    def __init__(
        self,
        claim: str,
        remote: Remote,
        provider_of: Callable[[str], Provider],
        audiences: Collection[str],
        algorithms: Sequence[str],
    ) -> None:
        self._claim = claim
        self._remote = remote
        self._provider_of = provider_of
        self._audiences, self._algorithms = audiences, algorithms
        self._providers: dict[str, Provider] = {}

    async def expand(self, claims: dict[str, Any], now: float) -> dict[str, Any]:
        """The claims with the one that was elsewhere; raises AuthenticationError."""
        if self._claim in claims or "_claim_names" not in claims:
            return claims
        endpoint = self._endpoint(claims)
        if not endpoint.get("endpoint"):
            return claims  # not distributed, or an aggregated claim, which Kubernetes does not read
        url = str(endpoint["endpoint"])
        token = await self._fetch(url, str(endpoint.get("access_token") or ""))
        found = await self._verified(token, now)
        if self._claim not in found:
            raise AuthenticationError(
                f"jwt returned by distributed claim endpoint {quote(url)} did not contain claim: {self._claim}"
            )
        return {**claims, self._claim: found[self._claim]}

    def _endpoint(self, claims: dict[str, Any]) -> dict[str, Any]:
        names = claims["_claim_names"]
        if not isinstance(names, dict):
            raise AuthenticationError("oidc: error parsing distributed claim names: not an object")
        sources = claims.get("_claim_sources")
        if sources is None:
            raise AuthenticationError("oidc: no claim sources")
        if not isinstance(sources, dict) or not all(isinstance(s, dict) for s in sources.values()):
            raise AuthenticationError("oidc: could not parse claim sources: not an object of objects")
        source = names.get(self._claim)
        if source is None:
            return {}
        if source not in sources:
            raise AuthenticationError(
                f"id token _claim_names contained a source {source} missing in _claims_sources"
            )
        return sources[source]

    async def _fetch(self, url: str, access_token: str) -> jwt.Parsed:
        headers = [("Authorization", f"Bearer {access_token}")] if access_token else []
        try:
            answer = await self._remote.get(url, headers)
        except CallError as error:
            raise AuthenticationError(
                f"while getting distributed claim {quote(self._claim)}: {error}"
            ) from None
        if not 200 <= answer.code <= 226:
            why = f"error while getting distributed claim JWT: {answer.code} {answer.reason}"
            raise AuthenticationError(f"while getting distributed claim {quote(self._claim)}: {why}")
        token = jwt.parse(answer.body.decode("utf-8", "replace").strip())
        if token is None:
            raise AuthenticationError(
                f"getting untrusted issuer from endpoint {url} failed for claim {quote(self._claim)}: malformed token"
            )
        return token

    async def _verified(self, token: jwt.Parsed, now: float) -> dict[str, Any]:
        issuer = issuer_of(token)
        provider = self._providers.get(issuer)
        if provider is None:
            provider = self._providers[issuer] = self._provider_of(issuer)
        if not await provider.ready():
            why = f"verifier not initialized for issuer: {quote(issuer)}"
            raise AuthenticationError(f"verifying untrusted issuer {issuer} failed: {why}")
        try:
            return await verify(token, provider, self._audiences, self._algorithms, now)
        except AuthenticationError as error:
            raise AuthenticationError(f"verify distributed claim token: {error}") from None
