"""`/`: the list of paths that are no resources."""

from __future__ import annotations

from collections.abc import Collection

import orjson

from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.health import Health
from knarr.registry.registry import Registry

FIXED = (
    *("/.well-known/openid-configuration", "/api", "/apis", "/apis/", "/flagz", "/metrics", "/metrics/slis"),
    *("/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/statusz", "/version"),
)


class Index:
    """`remote` are the (group, version) that other API servers serve."""

    def __init__(
        self,
        registry: Registry,
        handler: APIHandler,
        health: Health,
        remote: Collection[tuple[str, str]],
    ) -> None:
        self._registry, self._handler, self._health = registry, handler, health
        self._remote = remote
        handler.paths["/"] = handler.paths["/index.html"] = self.index

    async def index(self, x: Exchange) -> None:
        self._handler.responder.send(x, 200, "application/json", _indented({"paths": self.paths()}))

    def paths(self) -> list[str]:
        """All of them, sorted."""
        found = {*FIXED, *self._health.paths()}
        for row in self._registry.rows():
            found.add(f"/apis/{row.group}/{row.version}" if row.group else f"/api/{row.version}")
            if row.group:
                found.add(f"/apis/{row.group}")
        for group, version in self._remote:
            found |= {f"/apis/{group}", f"/apis/{group}/{version}"}
        return sorted(found)


def _indented(obj: object) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_INDENT_2)
