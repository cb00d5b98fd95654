"""A cluster's worth of plumbing in virtual time: `Cache` writes objects and watches them."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from knarr.store.memory import MemoryStore
from knarr.watchcache import EVENTS, Attributes, Cacher, Selection
from knarr.world import LoopClock, World
from knarr.world.chance import chance
from knarr.world.loop import VirtualLoop


def attributes(value: bytes, key: bytes) -> Attributes:
    obj = orjson.loads(value)
    metadata = obj["metadata"]
    fields = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata.get("namespace", ""),
        "spec.nodeName": obj.get("spec", {}).get("nodeName", ""),
    }
    return Attributes(metadata.get("labels", {}), fields)


class Cache:
    """A memory store with one cacher under /registry/pods/."""

    prefix = b"/registry/pods/"

    def __init__(self, **options):
        world = World(clock=LoopClock(asyncio.get_running_loop(), 0.0), chance=chance(1))
        self.store = MemoryStore(world)
        options = {
            "attributes": attributes,
            "indexed": ("spec.nodeName",),
            "bookmark": b'{"kind":"Pod","apiVersion":"v1","metadata":{}}',
        } | options
        self.open = lambda **more: Cacher(self.store, self.prefix, world=world, **(options | more))
        self.cacher = self.open()

    async def put(self, name, labels=None, namespace="ns", node="", **more):
        """Write an object; its revision."""
        metadata = {"name": name, "namespace": namespace} | ({"labels": labels} if labels else {})
        obj = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata} | more
        if node:
            obj["spec"] = {"nodeName": node}
        kv = await self.store.put(self.prefix + f"{namespace}/{name}".encode(), orjson.dumps(obj))
        return kv.mod_revision

    async def delete(self, name, namespace="ns"):
        return (await self.store.delete(self.prefix + f"{namespace}/{name}".encode())).mod_revision

    def watch(self, selection=None, **options):
        """Start a watch; (the list its events go to as (type, name, revision), the watcher)."""
        seen: list[tuple[str, str, int]] = []
        options.setdefault("representation", EVENTS)
        watcher = self.cacher.watch(
            lambda events: seen.extend((e.type, e.entry.name, e.revision) for e in events),
            selection or Selection(),
            **options,
        )
        return seen, watcher


@pytest.fixture
def run():
    """Run a coroutine in virtual time."""

    def run_virtual(main):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main)

    return run_virtual


@pytest.fixture
def cache():
    """The class; make one inside the running loop."""
    return Cache


@pytest.fixture(scope="session")
def cache_class():
    """The class again, of a scope that Hypothesis likes."""
    return Cache
