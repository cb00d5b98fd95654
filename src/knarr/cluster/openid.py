"""Serves the documents by which others verify this cluster's service account tokens."""

from __future__ import annotations

from knarr.apiserver.discovery import only_reads
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.auth import discovery
from knarr.auth.tokenkeys import TokenKeys


class OpenIDDocuments:
    """The issuer's configuration and its public keys."""

    def __init__(self, handler: APIHandler, issuer: str, keys_url: str, keys: TokenKeys) -> None:
        self._handler, self._issuer, self._keys_url, self._keys = handler, issuer, keys_url, keys
        handler.paths[discovery.CONFIGURATION_PATH] = self.configuration
        handler.paths[discovery.KEYS_PATH] = self.keys

    async def configuration(self, x: Exchange) -> None:
        only_reads(x)
        x.headers.append(("cache-control", discovery.CACHE_CONTROL))
        await self._keys.signer()
        body = discovery.configuration(self._issuer, self._keys_url, self._keys.verifiers)
        self._handler.responder.send(x, 200, "application/json", body)

    async def keys(self, x: Exchange) -> None:
        only_reads(x)
        x.headers.append(("cache-control", discovery.CACHE_CONTROL))
        await self._keys.signer()
        body = discovery.key_set(self._keys.verifiers)
        self._handler.responder.send(x, 200, discovery.KEYS_MEDIA_TYPE, body)
