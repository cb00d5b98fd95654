"""What a new cluster holds before anybody asks: namespaces, roles, priority classes, flow control, the kubernetes service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from knarr.admission import bootstrap as admission
from knarr.auth import bootstrap as roles
from knarr.flowcontrol import bootstrap as flow_control
from knarr.meta import errors
from knarr.registry.registry import Registry
from knarr.registry.storage import Object


def objects(
    address: str, port: int, service_cidrs: tuple[str, ...], first_ip: str, now: float
) -> Iterator[tuple[str, str, Object]]:
    """(group, resource, object) in the order they are written."""
    yield from admission.bootstrap_objects()
    yield from roles.bootstrap_objects()
    yield from flow_control.bootstrap_objects(now)
    yield (
        "networking.k8s.io",
        "servicecidrs",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": list(service_cidrs)},
        },
    )
    yield from _kubernetes_service(address, port, first_ip)


def _kubernetes_service(address: str, port: int, first_ip: str) -> Iterator[tuple[str, str, Object]]:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    yield (
        "",
        "services",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": first_ip,
                "clusterIPs": [first_ip],
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port or 6443}],
            },
        },
    )
    yield (
        "discovery.k8s.io",
        "endpointslices",
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv6" if ":" in address else "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port or 6443, "protocol": "TCP"}],
        },
    )
    yield (
        "",
        "endpoints",
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [
                {
                    "addresses": [{"ip": address}],
                    "ports": [{"name": "https", "port": port or 6443, "protocol": "TCP"}],
                }
            ],
        },
    )


async def write(registry: Registry, wanted: Iterable[tuple[str, str, Object]]) -> None:
    """Create what is not there yet, all at once: the store commits them together."""

    async def one(group: str, resource: str, obj: Object) -> None:
        try:
            await registry.create(group, resource, obj)
        except errors.StatusError as error:
            if error.reason != "AlreadyExists":
                raise

    missing = [
        one(group, resource, obj)
        for group, resource, obj in wanted
        if registry.get(group, resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        is None
    ]
    await asyncio.gather(*missing)
