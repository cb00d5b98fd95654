"""A control plane in memory and in virtual time, and a hand that plays kubelet and scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from knarr.api.types import core_v1
from knarr.client.client import is_not_found
from knarr.client.codec import built_in
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.controllers import ControllerManager, start_all
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.store.memory import MemoryStore
from knarr.world import LoopClock, World, chance
from knarr.world.loop import VirtualLoop

EPOCH = 1_800_000_000.0
NAMESPACE = "default"

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "registry.example/app:1"}]},
}


def workload(kind: str, name: str = "web", api: str = "apps/v1", **spec: Any) -> dict[str, Any]:
    """An object whose pods are labelled app=web, in namespace default."""
    wanted: dict[str, Any] = {"template": TEMPLATE}
    if api == "apps/v1":
        wanted["selector"] = {"matchLabels": {"app": "web"}}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": {**wanted, **spec}}


def image(tag: str) -> dict[str, Any]:
    """A patch of spec: the same pods with another image."""
    return {"template": {"spec": {"containers": [{"name": "c", "image": f"registry.example/app:{tag}"}]}}}


class Cluster:
    """What a story acts on. Names are of namespace default; every verb ends when the controllers are at rest."""

    def __init__(self, plane: ControlPlane, world: World) -> None:
        self.plane = plane
        self.world = world
        self.client = plane.client()
        self.manager: ControllerManager | None = None

    # -- time --------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Everything that is to happen now has happened."""
        await self.later(0.25)

    async def later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @property
    def now(self) -> str:
        return times.format(self.world.clock.now())

    # -- objects -----------------------------------------------------------------------------------------

    async def create(self, obj: dict[str, Any]) -> Any:
        made = await self.client.create(obj)
        await self.settle()
        return made

    async def get(self, cls: Any, name: str = "web") -> Any:
        return await self.client.get(cls, name, NAMESPACE)

    async def exists(self, cls: Any, name: str = "web") -> bool:
        try:
            await self.get(cls, name)
        except StatusError as error:
            assert is_not_found(error), error
            return False
        return True

    async def list(self, cls: Any, selector: str = "") -> list[Any]:
        return (await self.client.list(cls, NAMESPACE, label_selector=selector)).items

    async def change(self, cls: Any, name: str = "web", **spec: Any) -> None:
        """A strategic merge patch of spec."""
        await self.client.patch(cls, name, NAMESPACE, {"spec": spec}, "strategic")
        await self.settle()

    async def label(self, cls: Any, name: str, labels: dict[str, str | None]) -> None:
        await self.client.patch(cls, name, NAMESPACE, {"metadata": {"labels": labels}})
        await self.settle()

    async def delete(self, cls: Any, name: str = "web", **options: Any) -> None:
        await self.client.delete(cls, name, NAMESPACE, **options)
        await self.settle()

    async def told(self, reason: str) -> list[str]:
        """The messages of the events of a reason."""
        events = await self.client.list(built_in("v1", "Event"), NAMESPACE)
        return [event["message"] for event in events.items if event["reason"] == reason]

    async def limit_pods(self, count: int) -> None:
        """A quota "few", as its controller would have counted it."""
        metadata = {"name": "few", "namespace": NAMESPACE}
        hard = {"hard": {"pods": str(count)}}
        await self.client.create(
            {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": hard}
        )
        status = {"status": {**hard, "used": {"pods": "0"}}}
        await self.client.patch(core_v1.ResourceQuota, "few", NAMESPACE, status, subresource="status")

    # -- pods --------------------------------------------------------------------------------------------

    async def pods(self, selector: str = "") -> list[Any]:
        """By name."""
        return sorted(await self.list(core_v1.Pod, selector), key=lambda pod: pod.metadata.name)

    async def active(self, selector: str = "") -> list[Any]:
        return [
            pod
            for pod in await self.pods(selector)
            if pod.status.phase not in ("Succeeded", "Failed") and not pod.metadata.deletionTimestamp
        ]

    async def expect_pods(self, count: int, selector: str = "") -> list[Any]:
        """So many active pods; returns them."""
        pods = await self.active(selector)
        assert len(pods) == count, [pod.metadata.name for pod in pods]
        return pods

    async def run(self, *pods: Any) -> None:
        """Their containers run and are ready; all pods where none are named."""
        for pod in pods or await self.active():
            await self._report(pod, phase="Running", ready="True")
        await self.settle()

    async def unready(self, *pods: Any) -> None:
        for pod in pods:
            await self._report(pod, phase="Running", ready="False")
        await self.settle()

    async def succeed(self, *pods: Any) -> None:
        for pod in pods:
            await self._report(pod, phase="Succeeded", exit_code=0)
        await self.settle()

    async def fail(self, *pods: Any, exit_code: int = 1) -> None:
        for pod in pods:
            await self._report(pod, phase="Failed", exit_code=exit_code)
        await self.settle()

    async def place(self, pod: Any, node: str) -> None:
        await self.client.bind(pod, node)
        await self.settle()

    async def reap(self) -> None:
        """The nodes let go of pods that are being deleted."""
        for pod in await self.pods():
            if pod.metadata.deletionTimestamp:
                await self.client.delete(core_v1.Pod, pod.metadata.name, NAMESPACE, grace=0)
        await self.settle()

    async def _report(
        self, pod: Any, phase: str, ready: str | None = None, exit_code: int | None = None
    ) -> None:
        status: dict[str, Any] = {"phase": phase}
        if ready is not None:
            status["conditions"] = [{"type": "Ready", "status": ready, "lastTransitionTime": self.now}]
        if exit_code is not None:
            terminated = {"exitCode": exit_code, "finishedAt": self.now, "startedAt": self.now}
            status["containerStatuses"] = [
                {
                    "name": container.name,
                    "image": container.image,
                    "imageID": "",
                    "ready": False,
                    "restartCount": 0,
                    "state": {"terminated": terminated},
                }
                for container in pod.spec.containers
            ]
        await self.client.patch(
            core_v1.Pod, pod.metadata.name, NAMESPACE, {"status": status}, "strategic", subresource="status"
        )


Story = Callable[[Cluster], Coroutine[Any, Any, None]]


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture
def world(loop: VirtualLoop) -> World:
    return World(LoopClock(loop, EPOCH), chance(7))


@pytest.fixture
def play(loop: VirtualLoop, world: World) -> Callable[..., None]:
    """play(story, *controllers, **settings): the story with these running; ends within a year of virtual time."""

    async def main(story: Story, controllers: tuple[str, ...], settings: dict[str, Any]) -> None:
        plane = ControlPlane(Config(serve=False, seed=7, admin_token="t"), world, MemoryStore(world))
        await plane.start()
        cluster = Cluster(plane, world)
        # pods need one, and the controller that makes it may not be part of the story
        await cluster.client.create(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": NAMESPACE},
            }
        )
        cluster.manager = await start_all(plane.client, world, only=controllers, settings=settings)
        try:
            await asyncio.wait_for(story(cluster), 366 * 86_400)
        finally:
            await cluster.manager.stop()
            await plane.stop()

    def run(story: Story, *controllers: str, **settings: Any) -> None:
        loop.run_until_complete(main(story, controllers, settings))

    return run
