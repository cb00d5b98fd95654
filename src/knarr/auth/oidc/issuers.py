"""All issuers of a cluster: a token goes to the one that it names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from knarr.auth import jwt
from knarr.auth.identity import Identity
from knarr.auth.oidc.authenticator import OIDCTokens
from knarr.auth.oidc.verify import issuer_of


class Issuers:
    """A TokenMethod whose members may be replaced while it runs."""

    def __init__(self, members: Iterable[OIDCTokens] = ()) -> None:
        self._members = {member.issuer: member for member in members}
        self._closing: set[asyncio.Task[None]] = set()

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        if not self._members:
            return None
        parsed = jwt.parse(token)
        member = None if parsed is None else self._members.get(issuer_of(parsed))
        return None if member is None else await member.authenticate(token, audiences)

    def replace(self, members: Iterable[OIDCTokens]) -> None:
        """From now on these; requests under way finish with the one they have begun with."""
        before, self._members = self._members, {member.issuer: member for member in members}
        for member in before.values():
            task = asyncio.ensure_future(member.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        for member in self._members.values():
            await member.close()
        await asyncio.gather(*self._closing)
