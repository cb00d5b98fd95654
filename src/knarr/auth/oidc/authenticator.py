"""The tokens of one issuer."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.auth import jwt
from knarr.auth.configuration.authentication import Issuer
from knarr.auth.identity import AuthenticationError, Identity
from knarr.auth.oidc.distributed import DistributedClaim
from knarr.auth.oidc.mapping import UserMapping
from knarr.auth.oidc.provider import Provider
from knarr.auth.oidc.verify import issuer_of, verify
from knarr.auth.remote import Remote
from knarr.auth.signatures import ALGORITHMS
from knarr.client.kubeconfig import Access
from knarr.world.clock import Clock


class OIDCTokens:
    """A TokenMethod; tokens of other issuers are none of its own.

    `algorithms` are those a token may be signed with. Nothing is fetched before the first token of the issuer.
    """

    def __init__(self, issuer: Issuer, clock: Clock, algorithms: Sequence[str] = ALGORITHMS) -> None:
        config = issuer.config["issuer"]
        self.issuer = issuer.url
        self._clock = clock
        self._algorithms = algorithms
        self._audiences = frozenset(config.get("audiences") or ())
        authority = config.get("certificateAuthority", "")
        # the server name of an Access says no more than that TLS is spoken: every call names its own URL
        access = Access(self.issuer, ca=authority.encode() or None)
        self._remote = Remote(access)
        self.provider = Provider(self.issuer, self._remote, clock, config.get("discoveryURL", ""))
        self._mapping = UserMapping(issuer)
        claim = ((issuer.config.get("claimMappings") or {}).get("groups") or {}).get("claim", "")
        self._distributed = (
            DistributedClaim(claim, self._remote, self._provider_of, self._audiences, algorithms)
            if claim
            else None
        )

    def _provider_of(self, issuer: str) -> Provider:
        return Provider(issuer, self._remote, self._clock)

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        parsed = jwt.parse(token)
        if parsed is None or issuer_of(parsed) != self.issuer:
            return None
        if not await self.provider.ready():
            raise AuthenticationError("oidc: authenticator not initialized")
        now = self._clock.now()
        try:
            claims = await verify(parsed, self.provider, self._audiences, self._algorithms, now)
        except AuthenticationError as error:
            raise AuthenticationError(f"oidc: verify token: {error}") from None
        if self._distributed is not None:
            try:
                claims = await self._distributed.expand(claims, now)
            except AuthenticationError as error:
                raise AuthenticationError(f"oidc: could not expand distributed claims: {error}") from None
        return Identity(self._mapping.user(claims))

    async def close(self) -> None:
        await self._remote.close()
