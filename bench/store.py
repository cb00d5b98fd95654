"""What the store and the watch cache cost, in this process: `python bench/store.py` (about ten seconds).

Figures are medians over repeats; ratios between them matter more than the figures, which share their machine.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson

from knarr.meta import fields, labels
from knarr.store.base import prefix_end
from knarr.store.local import LocalStore
from knarr.store.memory import MemoryStore
from knarr.store.sqlite import SqliteStore
from knarr.watchcache import Attributes, Frames, Selection, WatchCache
from knarr.world.loop import run

VALUE = b"x" * 2048
PODS = b"/registry/pods/"


def say(what: str, figure: float, unit: str) -> None:
    sys.stdout.write(f"{what:<72}{figure:>12,.{0 if figure >= 100 else 2}f} {unit}\n")
    sys.stdout.flush()


async def timed(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began


async def puts(store: LocalStore, writers: int, each: int) -> None:
    """Each writer waits for its answer before it writes again."""

    async def writer(n: int) -> None:
        for i in range(each):
            await store.put(b"/registry/configmaps/ns/%d-%d" % (n, i), VALUE, 0)

    await asyncio.gather(*[writer(n) for n in range(writers)])


async def measure_puts(name: str, make: Callable[[int], LocalStore]) -> None:
    for writers, total in ((1, 1500), (32, 12_000), (256, 25_000)):
        rates = []
        for repeat in range(3):
            store = make(writers * 10 + repeat)
            each = total // writers
            rates.append(writers * each / await timed(lambda s=store, e=each, w=writers: puts(s, w, e)))  # type: ignore[misc]
            await store.close()
        say(f"{name}: puts of 2 KB, {writers} writers", statistics.median(rates), "per s")


async def measure_reopen(directory: Path) -> None:
    path = directory / "reopen.db"
    store = SqliteStore(path)
    for start in range(0, 100_000, 10_000):
        keys = range(start, start + 10_000)
        await asyncio.gather(*[store.put(PODS + b"namespace/pod-%06d" % i, VALUE) for i in keys])
    prefix = PODS + b"namespace/pod-00"
    spans = [await timed(lambda: store.range(prefix, prefix_end(prefix))) for _ in range(9)]
    say("range of 10,000 keys out of 100,000", statistics.median(spans) * 1e3, "ms")
    at = store.revision - 1
    spans = [await timed(lambda: store.range(prefix, prefix_end(prefix), at)) for _ in range(9)]
    say("the same at an older revision", statistics.median(spans) * 1e3, "ms")
    await store.close()
    spans = []
    for _ in range(3):
        began = time.perf_counter()
        store = SqliteStore(path)
        spans.append(time.perf_counter() - began)
        await store.close()
    say("reopen with 100,000 keys of 2 KB", statistics.median(spans) * 1e3, "ms")


def attributes(value: bytes, key: bytes) -> Attributes:
    obj = orjson.loads(value)
    return Attributes(obj["metadata"]["labels"], {"spec.nodeName": obj["spec"]["nodeName"]})


def pod(i: int, note: str = "") -> bytes:
    metadata = {"name": f"p{i}", "namespace": "ns", "labels": {"tenth": str(i % 10)}}
    spec = {"nodeName": f"n{i % 1000}", "note": note, "padding": "x" * 4000}
    return orjson.dumps({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec})


async def measure_cache() -> None:
    store = MemoryStore()
    caches = WatchCache(store)
    began = time.perf_counter()
    for i in range(60):
        caches.open(b"/registry/r%02d/" % i, True, attributes)
    pods = caches.open(PODS, True, attributes, indexed=("spec.nodeName",))
    say("60 empty caches opened", (time.perf_counter() - began) * 1e3, "ms")
    values = [pod(i) for i in range(10_000)]
    span = await timed(
        lambda: asyncio.gather(*[store.put(PODS + b"ns/p%d" % i, value) for i, value in enumerate(values)])
    )
    say("put into a memory store below 61 caches", span / 10_000 * 1e6, "us")
    cold = time.perf_counter()
    tenth = labels.parse("tenth=3")
    pods.select(Selection(labels=tenth))
    say("list 10,000 by label, first time (decodes)", (time.perf_counter() - cold) * 1e3, "ms")
    for what, act in (
        ("list 10,000 entries", lambda: pods.list()),
        ("list 1 in 10 of 10,000 by label", lambda: pods.select(Selection(labels=tenth))),
        ("bodies of 10,000 pods of 4 KB, joined", lambda: b",".join([entry.body for entry in pods.list()])),
        ("fork of a store with 10,000 keys", store.fork),
    ):
        spans = []
        for _ in range(7):
            began = time.perf_counter()
            act()
            spans.append(time.perf_counter() - began)
        say(what, statistics.median(spans) * 1e3, "ms")
    await measure_fanout(store, pods)


async def measure_fanout(store: MemoryStore, pods) -> None:  # type: ignore[no-untyped-def]
    class Transport:
        unsent = 0

        def size(self) -> int:
            return self.unsent

        def write(self, data: bytes) -> None:
            self.unsent = 0

    frames = Frames("http", lambda event: event.json, lambda data: b"%x\r\n%b\r\n" % (len(data), data))

    async def events(count: int) -> None:
        for i in range(count):
            await store.put(PODS + b"ns/p%d" % i, pod(i, "changed"))

    for what, selections in (
        ("event to 1,000 equal watchers, per watcher", [Selection() for _ in range(1000)]),
        ("event to 1,000 watchers of one node each", [Selection(fields=fields.parse(f"spec.nodeName=n{i}")) for i in range(1000)]),
        ("event to 1,000 watchers with a label selector each", [Selection(labels=labels.parse(f"tenth={i}")) for i in range(1000)]),
    ):  # fmt: skip
        alone = await timed(lambda: events(200))
        watchers = []
        for selection in selections:
            transport = Transport()
            watchers.append(
                pods.watch(
                    transport.write,
                    selection,
                    since=pods.revision,
                    representation=frames,
                    unsent=transport.size,
                )
            )
        span = await timed(lambda: events(200)) - alone
        for watcher in watchers:
            watcher.close()
        each = 1000 if "per watcher" in what else 1
        say(what, span / 200 / each * 1e6, "us")


async def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        directory = Path(name)
        await measure_puts("sqlite", lambda n: SqliteStore(directory / f"{n}.db"))
        await measure_puts("memory", lambda n: MemoryStore())
        await measure_reopen(directory)
    await measure_cache()


if __name__ == "__main__":
    run(main())
