"""Where the API server finds services that webhooks and API services name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.api.nodeapi import NodeError
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.cluster.services import ServiceResolver
from knarr.egress import EgressError, Route
from knarr.store.memory import MemoryStore
from knarr.world import World

PORTS = [{"name": "web", "port": 443, "targetPort": 8443}, {"name": "other", "port": 80}]


class Node:
    """Its pod `p` is at two addresses; the others are nowhere."""

    def reach(self, namespace: str, name: str, port: int) -> tuple[tuple[str, int], ...]:
        if name != "p":
            raise NodeError(f"pod {name} is simulated: nothing listens on port {port}", 500)
        return ("127.9.0.1", port), ("127.0.0.1", port)


def resolve(name: str, port: int, *objects: dict[str, Any]) -> Route:
    async def main() -> Route:
        world = World()
        config = Config(serve=False, nodes=0, controllers=False, scheduler=False)
        plane = ControlPlane(config, world, MemoryStore(world))
        await plane.start()
        plane.nodes.register("n", Node())  # type: ignore[arg-type]
        client = plane.client()
        account = {
            "kind": "ServiceAccount",
            "apiVersion": "v1",
            "metadata": {"name": "default", "namespace": "x"},
        }
        await client.create({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "x"}})
        for obj in (account, *objects):
            obj["metadata"].setdefault("namespace", "x")
            await client.create(obj)
        resolver = ServiceResolver(plane.registry, plane.nodes, world.chance, lambda: ("127.0.0.1", 6443))
        try:
            return await resolver("default" if name == "kubernetes" else "x", name, port)
        finally:
            await plane.stop()

    return asyncio.run(main())


def service(**spec: Any) -> dict[str, Any]:
    spec = {"clusterIP": "10.96.7.7", "ports": PORTS, **spec}
    return {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s"}, "spec": spec}


def slice_(*addresses: str, ready: bool | None = True, pod: str = "", port: str = "web") -> dict[str, Any]:
    endpoint: dict[str, Any] = {"addresses": list(addresses), "conditions": {"ready": ready}}
    if pod:
        endpoint["targetRef"] = {"kind": "Pod", "name": pod, "namespace": "x"}
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": f"s-{pod or 'x'}-{ready}".lower(),
            "labels": {"kubernetes.io/service-name": "s"},
        },
        "addressType": "IPv4",
        "ports": [{"name": port, "port": 8443, "protocol": "TCP"}],
        "endpoints": [endpoint],
    }


def pod(name: str) -> dict[str, Any]:
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}


ENDPOINTS = {
    "kind": "Endpoints",
    "apiVersion": "v1",
    "metadata": {"name": "s"},
    "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "web", "port": 9443}]}],
}
SHOWN = "10.96.7.7:443"

FOUND = {
    "a slice": (("s", 443), (service(), slice_("10.1.2.3")), Route((("10.1.2.3", 8443),), SHOWN)),
    "bare endpoints": (("s", 443), (service(), ENDPOINTS), Route((("10.1.2.3", 9443),), SHOWN)),
    "only ready ones": (
        ("s", 443),
        (service(), slice_("10.1.1.1", ready=False), slice_("10.1.2.3")),
        Route((("10.1.2.3", 8443),), SHOWN),
    ),
    "a pod of this machine": (
        ("s", 443),
        (service(), pod("p"), slice_("10.1.2.3", pod="p")),
        Route((("127.9.0.1", 8443), ("127.0.0.1", 8443)), SHOWN),
    ),
    "elsewhere": (
        ("s", 8443),
        (service(type="ExternalName", externalName="hooks.example.com", clusterIP="", ports=[]),),
        Route((("hooks.example.com", 8443),), "hooks.example.com:8443"),
    ),
    "this API server": (("kubernetes", 443), (), Route((("127.0.0.1", 6443),), "10.96.0.1:443")),
}


@pytest.mark.parametrize("case", FOUND)
def test_services_that_are_found(case: str) -> None:
    where, objects, route = FOUND[case]
    assert resolve(*where, *objects) == route


LOST = {
    "no service": (("s", 443), (), 'service "s" not found'),
    "no port": (("s", 444), (service(),), 'no service port 444 found for service "s"'),
    "no address": (
        ("s", 443),
        (service(clusterIP="None"),),
        'cannot route to service with ClusterIP "None"',
    ),
    "no endpoints": (("s", 443), (service(),), f"dial tcp {SHOWN}: connect: connection refused"),
    "another port's": (
        ("s", 443),
        (service(), slice_("10.1.2.3", port="other")),
        f"dial tcp {SHOWN}: connect: connection refused",
    ),
    "a simulated pod": (
        ("s", 443),
        (service(), pod("q"), slice_("10.1.2.3", pod="q")),
        f"dial tcp {SHOWN}: connect: connection refused (pod q is simulated: nothing listens on port 8443)",
    ),
}


@pytest.mark.parametrize("case", LOST)
def test_services_that_are_not_found(case: str) -> None:
    where, objects, words = LOST[case]
    with pytest.raises(EgressError) as caught:
        resolve(*where, *objects)
    assert str(caught.value) == words
