"""Serves the documents by which others verify this cluster's service account tokens."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.apiserver.discovery import only_reads
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.auth import discovery
from knarr.auth.jwt import Verifier


class OpenIDDocuments:
    """The issuer's configuration and its public keys."""

    def __init__(
        self, handler: APIHandler, issuer: str, keys_url: str, verifiers: Sequence[Verifier]
    ) -> None:
        self._handler = handler
        self._configuration = discovery.configuration(issuer, keys_url, verifiers)
        self._verifiers = verifiers
        handler.paths[discovery.CONFIGURATION_PATH] = self.configuration
        handler.paths[discovery.KEYS_PATH] = self.keys

    async def configuration(self, x: Exchange) -> None:
        only_reads(x)
        x.headers.append(("cache-control", discovery.CACHE_CONTROL))
        self._handler.responder.send(x, 200, "application/json", self._configuration)

    async def keys(self, x: Exchange) -> None:
        only_reads(x)
        x.headers.append(("cache-control", discovery.CACHE_CONTROL))
        body = discovery.key_set(self._verifiers)
        self._handler.responder.send(x, 200, discovery.KEYS_MEDIA_TYPE, body)
