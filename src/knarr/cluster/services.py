"""Where a Service of this cluster can be reached from the API server itself: what `Egress` resolves services by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.api.nodeapi import NodeConnections, NodeError
from knarr.egress import EgressError, Route
from knarr.egress.routes import Address
from knarr.egress.words import REFUSED
from knarr.registry import endpoints
from knarr.registry.registry import Registry
from knarr.world import Chance

Object = dict[str, Any]


class ServiceResolver:
    """What cluster addresses and kube-proxy do together in a cluster with a network of its own.

    `own` says where this API server listens: the `kubernetes` service's endpoints have an address for others.
    """

    def __init__(
        self,
        registry: Registry,
        connections: NodeConnections,
        chance: Chance,
        own: Callable[[], Address | None],
    ) -> None:
        self._registry, self._connections, self._chance, self._own = registry, connections, chance, own

    async def __call__(self, namespace: str, name: str, port: int) -> Route:
        """Raises EgressError in the words of the API server's own service resolver."""
        service = self._registry.get("", "services", namespace, name)
        if service is None:
            raise EgressError(f'service "{name}" not found')
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            host = spec.get("externalName", "")
            return Route(((host, port),), f"{host}:{port}")
        if spec.get("clusterIP") == "None":
            raise EgressError('cannot route to service with ClusterIP "None"')
        found = endpoints.port_of(service, port)
        if found is None:
            raise EgressError(f'no service port {port} found for service "{name}"')
        shown = f"{_bracketed(spec.get('clusterIP', ''))}:{port}"
        if (namespace, name) == ("default", "kubernetes") and (own := self._own()) is not None:
            return Route((own,), shown)
        ready = list(endpoints.ready(self._registry, namespace, name, found.get("name") or ""))
        if not ready:
            raise EgressError(f"dial tcp {shown}: {REFUSED}")
        endpoint, number = self._chance.choice(ready)
        return Route(self._addresses(namespace, endpoint, number, shown), shown)

    def _addresses(self, namespace: str, endpoint: Object, port: int, shown: str) -> tuple[Address, ...]:
        target = endpoint.get("targetRef") or {}
        pod = None
        if target.get("kind") == "Pod":
            pod = self._registry.get("", "pods", target.get("namespace") or namespace, target.get("name", ""))
        node = ((pod or {}).get("spec") or {}).get("nodeName", "")
        api = self._connections.get(node) if node else None
        if api is None or pod is None:
            return ((endpoint["addresses"][0], port),)
        try:
            return api.reach(pod["metadata"]["namespace"], pod["metadata"]["name"], port)
        except NodeError as error:
            raise EgressError(f"dial tcp {shown}: {REFUSED} ({error})") from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
