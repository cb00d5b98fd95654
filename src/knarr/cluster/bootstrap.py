"""What a new cluster holds before anybody asks: namespaces, roles, priority classes, flow control, the kubernetes service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from knarr.admission import bootstrap as admission
from knarr.api.catalog import BY_GVR
from knarr.auth import bootstrap as roles
from knarr.auth.reconcile import leads_elsewhere, reconcile
from knarr.client.client import Client
from knarr.cluster import apiservices
from knarr.flowcontrol import bootstrap as flow_control
from knarr.flowcontrol.upkeep import PRODUCER
from knarr.meta import errors, times
from knarr.registry.registry import Registry
from knarr.registry.storage import Object

SERVICE_CIDRS = BY_GVR["networking.k8s.io", "v1", "servicecidrs"]


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
    yield from apiservices.objects()
    yield "", "configmaps", _token_tracking(now)


def _token_tracking(now: float) -> Object:
    """Since when the use of tokens in secrets is noted on the secrets."""
    name = "kube-apiserver-legacy-service-account-token-tracking"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "kube-system"},
        "data": {"since": times.format(now)[:10]},
    }


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


#: says of the ServiceCIDR of the cluster's own flag that it is ready
SERVICE_CIDR_CONTROLLER = "kubernetes-service-cidr-controller"


async def settle_service_cidr(client: Client, cidrs: tuple[str, ...], now: float) -> None:
    """The ServiceCIDR of the cluster's own flag is ready, and has a second family where the flag gained one."""
    found = await client.get(SERVICE_CIDRS, "kubernetes")
    known = tuple(found["spec"]["cidrs"])
    if len(cidrs) == 2 and known == cidrs[:1]:
        found["spec"]["cidrs"] = list(cidrs)
        await client.update(found, SERVICE_CIDRS)
    elif known == cidrs and not (found.get("status") or {}).get("conditions"):
        condition = {
            "type": "Ready",
            "status": "True",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": times.format(now),
        }
        body = {
            "apiVersion": SERVICE_CIDRS.api_version,
            "kind": SERVICE_CIDRS.kind,
            "metadata": {"name": "kubernetes"},
            "status": {"conditions": [condition]},
        }
        await client.apply(
            body, SERVICE_CIDR_CONTROLLER, force=True, resource=SERVICE_CIDRS, subresource="status"
        )


#: who is said to have written the objects of a group
MANAGERS = {flow_control.GROUP: PRODUCER}


async def write(registry: Registry, wanted: Iterable[tuple[str, str, Object]]) -> None:
    """Create what is not there yet, all at once: the store commits them together.

    Where this API server listens is brought up to date too: a cluster may go on under another port.
    """

    async def create(group: str, resource: str, obj: Object) -> None:
        try:
            await registry.create(group, resource, obj, manager=MANAGERS.get(group, "kube-apiserver"))
        except errors.StatusError as error:
            if error.reason != "AlreadyExists":
                raise

    work: list[Awaitable[Any]] = []
    for group, resource, obj in wanted:
        metadata = obj["metadata"]
        found = registry.get(group, resource, metadata.get("namespace", ""), metadata["name"])
        if found is None:
            work.append(create(group, resource, obj))
        elif metadata["name"] == "kubernetes" and (group, resource) in WHERE:
            moved = _moved(found, obj, WHERE[group, resource])
            if moved != found:
                work.append(registry.update(group, resource, moved))
        elif group == roles.GROUP:
            work += _mended(registry, create, resource, found, obj)
    await asyncio.gather(*work)


def _mended(
    registry: Registry, create: Callable[..., Awaitable[None]], resource: str, found: Object, wanted: Object
) -> list[Awaitable[Any]]:
    """What is to be done so that a role or binding of an older version has what this one wants."""

    async def replace() -> None:
        metadata = found["metadata"]
        await registry.delete(roles.GROUP, resource, metadata.get("namespace", ""), metadata["name"])
        await create(roles.GROUP, resource, wanted)

    if leads_elsewhere(resource, found, wanted):
        return [replace()]
    mended = reconcile(resource, found, wanted)
    return [] if mended is None else [registry.update(roles.GROUP, resource, mended)]


#: the parts of the `kubernetes` service that say where the API server is
WHERE: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "services"): ("spec.ports",),
    ("", "endpoints"): ("subsets",),
    ("discovery.k8s.io", "endpointslices"): ("endpoints", "ports"),
}


def _moved(found: Object, wanted: Object, fields: tuple[str, ...]) -> Object:
    """The stored object with the new address and port."""
    moved = dict(found)
    for field in fields:
        head, _, inner = field.partition(".")
        moved[head] = {**found[head], inner: wanted[head][inner]} if inner else wanted[head]
    return moved
