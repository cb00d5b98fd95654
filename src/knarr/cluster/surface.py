"""What an API server answers besides objects: what it serves, how it is, what other servers have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knarr.apiserver import streaming
from knarr.apiserver.aggregation.aggregation import Aggregation
from knarr.apiserver.discovery import Discovery
from knarr.apiserver.flowdebug import FlowDebug
from knarr.apiserver.health import Health
from knarr.apiserver.metrics import Metrics
from knarr.apiserver.openapi.serve import OpenAPI
from knarr.apiserver.paths import Index
from knarr.apiserver.watch import Watches
from knarr.apiserver.zpages import ZPages
from knarr.auth.discovery import KEYS_PATH
from knarr.cluster import flags
from knarr.cluster.addresses import bracketed
from knarr.cluster.openid import OpenIDDocuments
from knarr.registry.custom.establish import CustomResources

if TYPE_CHECKING:
    from knarr.cluster.controlplane import ControlPlane


class Surface:
    """Streams, documents and pages of a control plane, given to its handler."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        registry, handler = plane.registry, plane.handler
        Watches(registry, handler, plane.world)
        streaming.register(handler, registry, plane.nodes)
        if plane.flow is not None:
            FlowDebug(handler, plane.flow)
        #: other API servers, and the APIServices of custom groups
        self.aggregation = Aggregation(
            registry, handler, plane.service_resolver, plane.pki.front_proxy_client
        )
        self._openapi = OpenAPI(registry, handler, self.aggregation)
        self.custom_resources = CustomResources(plane.operations, self._publish, plane.egress.post)
        health = Health(handler, self._store_check, lambda: None if plane.ready else "not finished")
        self.metrics = Metrics(registry, handler, health, lambda: getattr(plane.store, "bytes_in_use", 0))
        self.metrics.sources += [
            plane.plugins.metrics,
            plane.identities.metrics,
            plane.services.metrics,
            self.aggregation.metrics,
            self.custom_resources.webhook_counts.families,
        ]
        index = Index(registry, handler, health, self.aggregation.remote)
        ZPages(handler, lambda: flags.shown(plane), index.paths)

    def _publish(self) -> None:
        """Custom resources have changed."""
        from knarr.apiserver.openapi import custom

        custom.publish(self._openapi, self.custom_resources.definitions.values())

    def _store_check(self) -> str | None:
        failure = getattr(self._plane.store, "failure", None)
        return None if failure is None else f"the store cannot write: {failure}"

    def start(self) -> None:
        """Follow definitions and APIServices."""
        self.custom_resources.start()
        self.aggregation.start()

    def listening(self, port: int) -> None:
        """Serve what tells the server's own address."""
        plane = self._plane
        address = f"{bracketed(plane.config.host)}:{port}"
        Discovery(plane.registry, plane.handler, self.aggregation, address)
        keys_url = plane.config.authentication.service_account_jwks_uri or f"https://{address}{KEYS_PATH}"
        identities = plane.identities
        OpenIDDocuments(plane.handler, identities.issuer.issuer_url, keys_url, identities.token_keys)

    def close(self) -> None:
        self.aggregation.close()
