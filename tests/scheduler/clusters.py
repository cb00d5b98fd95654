"""A control plane in memory with a scheduler, in virtual time; and short ways to say node and pod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from knarr.api.scheme import scheme
from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.inprocess import InProcess
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.scheduler.scheduler import MANAGER, USER, Scheduler
from knarr.store.memory import MemoryStore
from knarr.world import LoopClock, World, chance

EPOCH = 1_800_000_000.0
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def node_dict(
    name: str, cpu: str = "4", memory: str = "32Gi", pods: str = "110", **more: Any
) -> dict[str, Any]:
    labels = {HOST: name, **more.pop("labels", {})}
    status = {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **more.pop("extended", {})}}
    status["capacity"] = status["allocatable"]
    if images := more.pop("images", None):
        status["images"] = [{"names": [image], "sizeBytes": size} for image, size in images.items()]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {k: v for k, v in labels.items() if v is not None}},
        "spec": more,
        "status": status,
    }


def pod_dict(
    name: str, cpu: str | None = None, memory: str | None = None, namespace: str = "default", **more: Any
) -> dict[str, Any]:
    requests = {
        k: v
        for k, v in (("cpu", cpu), ("memory", memory), *more.pop("extended", {}).items())
        if v is not None
    }
    container: dict[str, Any] = {"name": "c", "image": more.pop("image", "registry.example/app:1")}
    if requests:
        container["resources"] = {
            "requests": requests,
            "limits": {k: v for k, v in requests.items() if "/" in k},
        }
    if ports := more.pop("ports", None):
        container["ports"] = [{"containerPort": port, "hostPort": port} for port in ports]
    labels = more.pop("labels", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"schedulerName": "default-scheduler", "containers": [container], **more},
    }


def node(name: str, **more: Any) -> Any:
    return scheme().from_dict(core_v1.Node, node_dict(name, **more))


def pod(name: str, uid: str = "", **more: Any) -> Any:
    found = pod_dict(name, **more)
    found["metadata"]["uid"] = uid or f"uid-{name}"
    return scheme().from_dict(core_v1.Pod, found)


class SchedulingCluster:
    """What a behaviour test talks to."""

    def __init__(self, plane: ControlPlane, client: Client, scheduler: Scheduler) -> None:
        self.plane, self.client, self.scheduler = plane, client, scheduler

    async def node(self, name: str, **more: Any) -> None:
        """Ready at once: without the taint that admission gives every new node."""
        await self.client.create(node_dict(name, **more))
        await self.client.patch(core_v1.Node, name, body={"spec": {"taints": more.get("taints")}})

    async def pod(self, name: str, **more: Any) -> None:
        await self.client.create(pod_dict(name, **more))

    async def settle(self, seconds: float = 0.5) -> None:
        await asyncio.sleep(seconds)

    async def get(self, name: str, namespace: str = "default") -> Any:
        return await self.client.get(core_v1.Pod, name, namespace)

    async def where(self, name: str) -> str:
        return (await self.get(name)).spec.nodeName

    async def condition(self, name: str) -> Any:
        found = await self.get(name)
        return next((c for c in found.status.conditions if c.type == "PodScheduled"), None)

    async def events(self, name: str) -> list[Any]:
        selector = f"involvedObject.name={name}"
        return (await self.client.list(core_v1.Event, "default", field_selector=selector)).items


@asynccontextmanager
async def scheduling(seed: int = 1, **options: Any) -> AsyncIterator[SchedulingCluster]:
    """A started cluster without nodes."""
    world = World(LoopClock(asyncio.get_running_loop(), EPOCH), chance(seed))
    plane = ControlPlane(Config(serve=False), world, MemoryStore())
    await plane.start()
    admin = Client(InProcess(plane.local, "", (), "test"), "test", world=world)
    for namespace in ("default", "kube-system"):
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
        }
        await admin.create(account)
    ours = Client(InProcess(plane.local, USER, ("system:authenticated",), MANAGER), MANAGER, world=world)
    informers = SharedInformers(ours)
    scheduler = Scheduler(ours, informers, world, **options)
    informers.start()
    scheduler.start()
    try:
        yield SchedulingCluster(plane, admin, scheduler)
    finally:
        await scheduler.stop()
        await informers.stop()
        await plane.stop()


async def priorities(c: SchedulingCluster) -> None:
    for name, value, policy in (
        ("low", 1, "PreemptLowerPriority"),
        ("high", 1000, "PreemptLowerPriority"),
        ("polite", 1000, "Never"),
    ):
        await c.client.create(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "preemptionPolicy": policy,
            }
        )
