"""Decisions of the scheduler per second, in this process: `python bench/scheduler.py` (under twenty seconds).

The first figures are decide + assume, without an API: the shapes of kube-scheduler's own scheduler_perf at 1,000 and
5,000 nodes, all nodes scored. The last is the whole way, from created pods to bound ones, through the API server in
memory. Kubernetes' published floors at 5,000 nodes (API server and etcd included): basic 680 pods/s, topology
spreading 460, anti-affinity 60.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from knarr.api.scheme import scheme
from knarr.api.types import core_v1
from knarr.meta.labels import from_set
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.pods import PodCache
from knarr.scheduler.decide import NO_NODE, Decider
from knarr.scheduler.framework import Framework
from knarr.scheduler.plugins.registry import PURE

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
SELECTOR = {"matchLabels": {"app": "web"}}


def say(what: str, figure: float, unit: str) -> None:
    sys.stdout.write(f"{what:<72}{figure:>12,.0f} {unit}\n")
    sys.stdout.flush()


def node_body(index: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"n{index}", "labels": {HOST: f"n{index}", ZONE: f"z{index % 3}"}},
        "status": {"allocatable": {"cpu": "4", "memory": "32Gi", "pods": "110"}},
    }


def pod_body(index: int, **spec: Any) -> dict[str, Any]:
    requests = spec.pop("requests", {"cpu": "100m", "memory": "500Mi"})
    container = {"name": "c", "image": "registry.example/app:1", "resources": {"requests": requests}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"p{index}",
            "namespace": "default",
            "uid": f"uid-{index}",
            "labels": {"app": "web"},
        },
        "spec": {"schedulerName": "default-scheduler", "containers": [container], **spec},
    }


def constraint(when: str, key: str = ZONE, skew: int = 5) -> dict[str, Any]:
    return {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": SELECTOR}


TERM = {"topologyKey": HOST, "labelSelector": SELECTOR}
SHAPES: dict[str, dict[str, Any]] = {
    "basic": {},
    "spread over zones, hard": {"topologySpreadConstraints": [constraint("DoNotSchedule")]},
    "spread over zones and hosts, soft": {
        "topologySpreadConstraints": [constraint("ScheduleAnyway"), constraint("ScheduleAnyway", HOST)]
    },
    "anti-affinity over hosts": {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}}
    },
}


def cluster_of(nodes: int) -> tuple[Cluster, PodCache]:
    cluster = Cluster()
    pods = PodCache(cluster)
    for index in range(nodes):
        pods.put_node(scheme().from_dict(core_v1.Node, node_body(index)))
    return cluster, pods


def decide(nodes: int, pods: list[Any], default: Any = None, vector: bool = False) -> float:
    """Pods per second from API object to assumed pod."""
    cluster, cache = cluster_of(nodes)
    framework = Framework("default-scheduler", [make(None) for make in PURE.values()])
    decider = Decider(framework, cluster, rank=not vector)
    began = time.perf_counter()
    for pod in pods:
        cls = cluster.class_of(pod, default)
        row = decider.pick(cls, pod.metadata.uid)
        if row == NO_NODE:
            raise RuntimeError("the cluster is full")
        facts = cluster.nodes.facts[row]
        assert facts is not None
        cache.assume(pod, cls, facts.name)
    return len(pods) / (time.perf_counter() - began)


def made(count: int, **spec: Any) -> list[Any]:
    return [scheme().from_dict(core_v1.Pod, pod_body(i, **spec)) for i in range(count)]


def decisions() -> None:
    for nodes in (1_000, 5_000):
        for name, spec in SHAPES.items():
            count = nodes if "anti" in name else 10_000
            say(f"{nodes:,} nodes, {count:,} pods: {name}", decide(nodes, made(count, **spec)), "pods/s")
        say(
            f"{nodes:,} nodes, 10,000 pods: spread by default (a service selects them)",
            decide(nodes, made(10_000), from_set({"app": "web"})),
            "pods/s",
        )
        ten = [
            scheme().from_dict(
                core_v1.Pod, pod_body(i, requests={"cpu": f"{100 + i % 10}m", "memory": "500Mi"})
            )
            for i in range(10_000)
        ]
        say(f"{nodes:,} nodes, 10,000 pods: ten shapes in turn", decide(nodes, ten), "pods/s")
        say(
            f"{nodes:,} nodes, 500 pods: every one a look at all nodes",
            decide(nodes, ten[:500], vector=True),
            "pods/s",
        )


async def through_the_api(nodes: int, pods: int) -> None:
    from knarr.client.client import Client
    from knarr.client.informer import SharedInformers
    from knarr.client.inprocess import InProcess
    from knarr.cluster.config import Config
    from knarr.cluster.controlplane import ControlPlane
    from knarr.scheduler.scheduler import MANAGER, USER, Scheduler
    from knarr.store.memory import MemoryStore
    from knarr.world import World

    world = World()
    plane = ControlPlane(Config(serve=False), world, MemoryStore())
    await plane.start()
    admin = Client(InProcess(plane.local, "", (), "bench"), "bench", world=world)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "default"},
    }
    await admin.create(account)
    for index in range(nodes):
        await admin.create(node_body(index))
        await admin.patch(core_v1.Node, f"n{index}", body={"spec": {"taints": None}})
    for index in range(pods):
        await admin.create(pod_body(index))
    ours = Client(InProcess(plane.local, USER, ("system:authenticated",), MANAGER), MANAGER, world=world)
    informers = SharedInformers(ours)
    scheduler = Scheduler(ours, informers, world)
    informers.start()
    await informers.wait_for_sync()
    bound = 0
    done = asyncio.Event()

    def updated(old: Any, new: Any) -> None:
        nonlocal bound
        if new.spec.nodeName and not old.spec.nodeName:
            bound += 1
            if bound == pods:
                done.set()

    informers.of(core_v1.Pod).add_handler(updated=updated)
    began = time.perf_counter()
    scheduler.start()
    await done.wait()
    say(
        f"{nodes:,} nodes, {pods:,} pods: bound through the API in memory",
        pods / (time.perf_counter() - began),
        "pods/s",
    )
    await scheduler.stop()
    await informers.stop()
    await plane.stop()


if __name__ == "__main__":
    from knarr.world.loop import run

    decisions()
    run(through_the_api(500, 2_000))
