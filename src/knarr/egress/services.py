"""How aiohttp finds hosts: `<name>.<namespace>.svc` are this cluster's services, all else is the machine's matter."""

from __future__ import annotations

from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from knarr.egress.errors import EgressError
from knarr.egress.routes import Address, Resolve, route_of
from knarr.egress.words import lookup
from knarr.world.network import family_of

SUFFIX = ".svc"


class Services(AbstractResolver):
    """Unlike DNS it also says the port."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve, self._machine = resolve, ThreadedResolver()
        #: what messages call a service's place: the last one found
        self.shown: dict[tuple[str, str, int], str] = {}

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        name, _, namespace = host.removesuffix(SUFFIX).partition(".")
        if not host.endswith(SUFFIX) or "." in namespace or not namespace:
            return await self._machine.resolve(host, port, family)
        try:
            route = route_of(await self._resolve(namespace, name, port))
        except EgressError as error:
            raise OSError(None, str(error)) from error
        self.shown[namespace, name, port] = route.shown
        found: list[ResolveResult] = []
        for address in route.addresses:
            found += await self._located(host, address)
        return found

    async def _located(self, host: str, address: Address) -> list[ResolveResult]:
        """An endpoint may have a name (ExternalName)."""
        family = family_of(address[0])
        if family is None:
            try:
                return await self._machine.resolve(*address)
            except OSError:
                raise OSError(None, address[0]) from EgressError(lookup(address[0]))
        return [
            ResolveResult(hostname=host, host=address[0], port=address[1], family=family, proto=0, flags=0)
        ]

    async def close(self) -> None:
        await self._machine.close()
