"""`/`: the list of paths that are no resources; and the plain pages /statusz and /flagz."""

from __future__ import annotations

from collections.abc import Callable, Collection

import orjson

from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.health import VERSION, Health
from knarr.meta import errors, times
from knarr.registry.registry import Registry

FIXED = (
    *("/.well-known/openid-configuration", "/api", "/apis", "/apis/", "/flagz", "/metrics", "/metrics/slis"),
    *("/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/statusz", "/version"),
)
NOT_PARSED = "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only."


class Pages:
    """`flags` are the settings that /flagz shows, `remote` the (group, version) that other API servers serve."""

    def __init__(
        self,
        registry: Registry,
        handler: APIHandler,
        health: Health,
        flags: Callable[[], dict[str, str]],
        remote: Collection[tuple[str, str]],
    ) -> None:
        self._registry, self._handler, self._health, self._flags = registry, handler, health, flags
        self._started = handler.world.clock.now()
        self._remote = remote
        handler.paths["/"] = handler.paths["/index.html"] = self.index
        handler.paths["/statusz"] = self.status
        handler.paths["/flagz"] = self.flags

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

    async def status(self, x: Exchange) -> None:
        clock = self._handler.world.clock
        facts = {
            "Started": times.format(self._started),
            "Up": times.human_duration(clock.now() - self._started),
            "Binary version": f"{VERSION['major']}.{VERSION['minor']}",
            "Emulation version": f"{VERSION['emulationMajor']}.{VERSION['emulationMinor']}",
        }
        self._page(x, "statusz", ": ", facts)

    async def flags(self, x: Exchange) -> None:
        self._page(x, "flagz", "=", dict(sorted(self._flags().items())))

    def _page(self, x: Exchange, title: str, mark: str, facts: dict[str, str]) -> None:
        accept = x.http.headers.get("accept", "*/*")
        if not any(wanted in accept for wanted in ("text/plain", "text/*", "*/*")):
            raise errors.not_acceptable("only the following media types are accepted: text/plain")
        rows = "".join(f"{name}{mark}{value}\n" for name, value in facts.items())
        self._handler.responder.text(x, 200, f"\nkube-apiserver {title}\n{NOT_PARSED}\n\n{rows}")


def _indented(obj: object) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_INDENT_2)
