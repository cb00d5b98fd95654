"""A Reader over a dict, a clock that is set by hand, and a loop in virtual time: what these tests stand on."""

from __future__ import annotations

import asyncio
import copy

from knarr.meta import errors
from knarr.world.loop import VirtualLoop


class HandClock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    monotonic = now


class LoopClock:
    """The clock of the virtual loop that runs the test."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    monotonic = now


class MemoryReader:
    """Objects by (group, resource); `put` and `drop` tell subscribers, as the watch caches would."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[tuple[str, str], dict]] = {}
        self.callbacks: dict[tuple[str, str], list] = {}
        self.version = 0
        self.updates: list[tuple[str, str, dict, str]] = []
        #: raised by the next update, once each
        self.update_errors: list[errors.StatusError] = []

    def get(self, group, resource, namespace, name):
        return self.objects.get((group, resource), {}).get((namespace, name))

    def list(self, group, resource, namespace=""):
        for (place, _), obj in sorted(self.objects.get((group, resource), {}).items()):
            if not namespace or place == namespace:
                yield obj

    def subscribe(self, group, resource, callback):
        self.callbacks.setdefault((group, resource), []).append(callback)
        for obj in self.list(group, resource):
            callback("ADDED", obj)

    def put(self, group, resource, obj):
        self.version += 1
        obj = copy.deepcopy(obj)
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self.version)
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        kept = self.objects.setdefault((group, resource), {})
        key = metadata.get("namespace", ""), metadata["name"]
        event = "MODIFIED" if key in kept else "ADDED"
        kept[key] = obj
        for callback in self.callbacks.get((group, resource), ()):
            callback(event, obj)
        return obj

    def drop(self, group, resource, namespace, name):
        obj = self.objects[group, resource].pop((namespace, name))
        for callback in self.callbacks.get((group, resource), ()):
            callback("DELETED", obj)

    async def create(self, group, resource, obj, manager=""):
        return self.put(group, resource, obj)

    async def delete(self, group, resource, namespace, name):
        self.drop(group, resource, namespace, name)

    async def update(self, group, resource, obj, subresource="", manager=""):
        await asyncio.sleep(0)  # other tasks run while the store writes
        if self.update_errors:
            raise self.update_errors.pop(0)
        metadata = obj["metadata"]
        old = self.get(group, resource, metadata.get("namespace", ""), metadata["name"])
        if old and metadata.get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
            raise errors.conflict(group, resource, metadata["name"], errors.STALE)
        self.updates.append((group, resource, obj, subresource))
        return self.put(group, resource, obj)


def run(coroutine):
    """In virtual time: a wait costs nothing, and one that can never end fails the test."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def refusal(call, *args):
    """The (code, message) of the StatusError that a call or coroutine ends in."""
    try:
        result = call(*args)
        if asyncio.iscoroutine(result):
            run(result)
    except errors.StatusError as error:
        return error.code, error.message
    raise AssertionError("nothing was refused")
