"""A registry over a store in memory, in virtual time, spoken to by method and path as over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import orjson
import pytest

from knarr.apiserver import requestinfo
from knarr.meta.errors import StatusError
from knarr.registry.operations import Operations
from knarr.registry.registry import Registry
from knarr.registry.result import Result
from knarr.registry.services import ServiceHook
from knarr.registry.subresources import binding, eviction, scale
from knarr.store.memory import MemoryStore
from knarr.world import LoopClock, World, chance
from knarr.world.loop import VirtualLoop

EPOCH = 1_800_000_000.0
Object = dict[str, Any]
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"


class API:
    """`await api("POST", path, body)` gives the answer's object and raises StatusError."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = MemoryStore(world)
        self.registry = Registry(self.store, world)
        self.operations = Operations(self.registry)
        self.services = ServiceHook(self.registry, ("10.96.0.0/24",), (30000, 30009))
        self.registry.hooks["", "services"] = self.services
        for module in (binding, eviction, scale):
            module.register(self.operations)
        #: the texts of Warning headers of the last request
        self.warnings: list[str] = []

    async def __call__(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: str
    ) -> Object:
        return orjson.loads((await self.result(method, path, body, content_type, **query)).body)

    async def result(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: str
    ) -> Result:
        plain, _, more = path.partition("?")
        asked = dict(pair.partition("=")[::2] for pair in more.split("&") if pair) | query
        request = requestinfo.parse(method, plain, asked)
        request.user_agent = "tests/1.0"
        self.warnings = request.warnings
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        return await self.operations.serve(request, raw, content_type)

    async def refused(
        self, method: str, path: str, body: Any = None, *args: str, **query: str
    ) -> StatusError:
        """The error of a request that must fail."""
        try:
            answer = await self(method, path, body, *args, **query)
        except StatusError as error:
            return error
        raise AssertionError(f"{method} {path} was answered: {answer}")

    async def absent(self, path: str) -> bool:
        try:
            await self("GET", path)
        except StatusError as error:
            assert error.code == 404, error
            return True
        return False


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def run(loop: VirtualLoop) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs to completion, or fails after a day of virtual time."""
    return lambda main: loop.run_until_complete(asyncio.wait_for(main, 86_400))


@pytest.fixture
def world(loop: VirtualLoop) -> World:
    return World(LoopClock(loop, EPOCH), chance(7))


@pytest.fixture
def api(world: World) -> API:
    return API(world)


def in_new_world(main: Callable[[API], Coroutine[Any, Any, Any]], seed: int = 7) -> Any:
    """Run `main(api)` against a registry of its own: for Hypothesis, whose examples share no fixtures."""
    loop = VirtualLoop()
    try:
        made = API(World(LoopClock(loop, EPOCH), chance(seed)))
        return loop.run_until_complete(asyncio.wait_for(main(made), 86_400))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


# -- objects ---------------------------------------------------------------------------------------------

CONFIGMAPS = "/api/v1/namespaces/n/configmaps"
PODS = "/api/v1/namespaces/n/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/n/deployments"


def configmap(name: str, labels: dict[str, str] | None = None, **data: str) -> Object:
    metadata: Object = {"name": name}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"a": "1"}}


def pod(name: str, node: str = "", labels: dict[str, str] | None = None, **spec: Any) -> Object:
    wanted = {"containers": [{"name": "c", "image": "i"}], **spec}
    if node:
        wanted["nodeName"] = node
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": wanted}


def deployment(name: str, replicas: int | None = 1) -> Object:
    labels = {"app": name}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
