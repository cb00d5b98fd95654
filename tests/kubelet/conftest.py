"""A control plane in memory and in virtual time, with kubelets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from knarr.api.types import core_v1
from knarr.client.informer import SharedInformers
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.kubelet.kubelet import Kubelets
from knarr.kubelet.node import NodeSpec
from knarr.kubelet.runtime import Runtime
from knarr.kubelet.settings import Settings
from knarr.kubelet.simulated.runtime import SimulatedRuntime
from knarr.store.memory import MemoryStore
from knarr.world import LoopClock, World, chance
from knarr.world.loop import VirtualLoop
from tests.kubelet.pods import pod_dict

EPOCH = 1_800_000_000.0


class Cluster:
    """What a story acts on; names are of namespace default."""

    def __init__(self, plane: ControlPlane, world: World) -> None:
        self.plane, self.world = plane, world
        self.client = plane.client()
        self.informers = SharedInformers(plane.client())
        self.kubelets: list[Kubelets] = []
        self.history: list[tuple[float, Any]] = []

    async def start(self) -> None:
        await self.plane.start()
        await self.client.create(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": "default"},
            }
        )
        self.informers.start()
        pods = self.informers.of(core_v1.Pod)
        seen = lambda obj: self.history.append((self.now, obj))  # noqa: E731
        pods.add_handler(seen, lambda old, new: seen(new), None)
        await pods.wait_for_sync()

    async def stop(self) -> None:
        for kubelets in self.kubelets:
            await kubelets.stop()
        await self.informers.stop()
        await self.plane.stop()

    @property
    def now(self) -> float:
        return self.world.clock.now() - EPOCH

    async def nodes(
        self, *names: str, runtime: Runtime | None = None, settings: Settings | None = None, **spec: Any
    ) -> Kubelets:
        runtime = runtime or SimulatedRuntime(self.world)
        made = Kubelets(
            self.plane.client(manager="kubelet"),
            runtime,
            [NodeSpec(name, **spec) for name in names or ("n0",)],
            connections=self.plane.nodes,
            informers=self.informers,
            settings=settings,
        )
        self.kubelets.append(made)
        await made.start()
        return made

    async def create(self, *containers: Any, name: str = "p", annotations: Any = None, **spec: Any) -> Any:
        """A pod on node n0; `annotations` without their prefix."""
        body = pod_dict(*containers, **spec)
        body["metadata"] = {"name": name, "namespace": "default"}
        if annotations:
            body["metadata"]["annotations"] = {f"knarr.dev/{k}": v for k, v in annotations.items()}
        return await self.client.create(body)

    async def pod(self, name: str = "p") -> Any:
        return await self.client.get(core_v1.Pod, name, "default")

    async def until(self, wanted: Callable[[Any], Any], name: str = "p", seconds: float = 3600.0) -> Any:
        """The pod as soon as it is so; looks every 50 ms of virtual time."""
        async with asyncio.timeout(seconds):
            while not wanted(found := await self.pod(name)):
                await asyncio.sleep(0.05)
        return found

    async def events(self, reason: str = "") -> list[tuple[str, str]]:
        """(reason, message) of pods, in order."""
        for kubelets in self.kubelets:
            await kubelets.flush()
        found = (await self.client.list(core_v1.Event, "default")).items
        pods = [e for e in found if e.involvedObject.kind == "Pod" and reason in ("", e.reason)]
        return [
            (e.reason, e.message) for e in sorted(pods, key=lambda e: e.metadata.resourceVersion.zfill(9))
        ]

    def phases(self, name: str = "p") -> list[str]:
        """What `kubectl get pods -w` would have shown of a single-container pod, without repetitions."""
        shown: list[str] = []
        for _, obj in self.history:
            if obj.metadata.name == name:
                text = summary(obj)
                if not shown or shown[-1] != text:
                    shown.append(text)
        return shown


def summary(pod: Any) -> str:
    """Phase, state of the first container, and whether it is ready."""
    if not pod.status.containerStatuses:
        return pod.status.phase
    status = pod.status.containerStatuses[0]
    state = status.state
    if state.waiting is not None:
        what = state.waiting.reason
    elif state.terminated is not None:
        what = f"{state.terminated.reason}({state.terminated.exitCode})"
    else:
        what = "ready" if status.ready else "unready"
    return f"{pod.status.phase} {what}"


Story = Callable[[Cluster], Coroutine[Any, Any, None]]


@pytest.fixture
def play() -> Callable[[Story], None]:
    """Runs a story in virtual time; the same each time."""

    def run(story: Story) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            world = World(LoopClock(loop, EPOCH), chance(7))
            cluster = Cluster(ControlPlane(Config(serve=False), world, MemoryStore(world)), world)
            await cluster.start()
            try:
                await story(cluster)
            finally:
                await cluster.stop()

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(main())

    return run
