"""Measure everything: python bench/run.py [--repeats 3] [--only KEY ...] [--save FILE] [--against FILE]

Each figure is taken from outside, of a `knarr up` process with a store on disk, and is the median over the repeats.
The load generator shares the machine's cores with the server, as it did for the reference figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import load
import objects
from costs import costs
from figures import BY_KEY, FIGURES
from server import TOKEN, Server

NAMESPACE = "/api/v1/namespaces/default"
PODS = f"{NAMESPACE}/pods"
MERGE = "application/merge-patch+json"
READY = "/readyz"
ACCOUNT = f"{NAMESPACE}/serviceaccounts/default"
Results = dict[str, float]


def start() -> Results:
    """Start-up and idle memory, of a second start: the first one compiles the modules."""
    with Server() as first:
        first.wait(ACCOUNT)
    with Server() as server:
        ready = server.wait(READY)
        usable = server.wait(ACCOUNT)
        time.sleep(3)
        return {"ready": ready, "usable": usable, "memory": server.resident_mb()}


def requests() -> Results:
    """Creates, gets and patches."""
    found: Results = {}
    with Server() as server:
        server.wait(ACCOUNT)

        def run(clients: int, total: int, make: Callable[[int], bytes]) -> load.Report:
            report = _loop(load.run("127.0.0.1", server.port, clients, total, make))
            if report.errors:
                raise RuntimeError(f"{report.errors} of {total} requests failed")
            return report

        def post(path: str, body: bytes) -> bytes:
            return load.request("POST", path, TOKEN, body)

        maps = f"{NAMESPACE}/configmaps"
        found["configmap_1"] = run(1, 1000, lambda i: post(maps, objects.configmap(f"one-{i}"))).rate
        found["configmap_32"] = run(32, 8000, lambda i: post(maps, objects.configmap(f"many-{i}"))).rate
        strict = f"{PODS}?fieldValidation=Strict"
        pods = run(32, 6000, lambda i: post(strict, objects.pod(f"p-{i}", i)))
        found["pod_32"], found["pod_32_p99"] = pods.rate, pods.percentile(0.99)
        found["get_32"] = run(32, 20000, lambda i: load.request("GET", f"{PODS}/p-{i % 6000}", TOKEN)).rate

        def patch(i: int) -> bytes:
            body = b'{"metadata":{"labels":{"round":"%d"}}}' % i
            return load.request("PATCH", f"{PODS}/p-{i % 6000}", TOKEN, body, MERGE)

        found["patch_32"] = run(32, 6000, patch).rate
    return found


def collections() -> Results:
    """Lists of 10,000 pods, fan-out to 1,000 watchers, deletecollection."""
    found: Results = {}
    with Server() as server:
        server.wait(ACCOUNT)
        make = lambda i: load.request("POST", PODS, TOKEN, objects.pod(f"p-{i}", i))  # noqa: E731
        _loop(load.run("127.0.0.1", server.port, 32, 10_000, make))
        for key, query in (
            ("list", ""),
            ("list_0", "?resourceVersion=0"),
            ("list_label", "?labelSelector=tenth%3D3"),
        ):
            found[key] = _loop(_list_ms(server.port, f"{PODS}{query}"))
        found["fanout"] = _loop(_fanout(server.port, 1000, 40))
        began = time.perf_counter()
        _loop(load.run("127.0.0.1", server.port, 1, 1, lambda i: load.request("DELETE", PODS, TOKEN)))
        found["deletecollection"] = time.perf_counter() - began
    return found


async def _list_ms(port: int, path: str) -> float:
    connection = await load.connect("127.0.0.1", port)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        status, _ = await connection.send(load.request("GET", path, TOKEN))
        times.append((time.perf_counter() - began) * 1000)
        if status != 200:
            raise RuntimeError(f"{path}: {status}")
    return statistics.median(times)


class _Watcher(asyncio.Protocol):
    """Counts events of a watch stream."""

    def __init__(self, wanted: int, done: Callable[[], None]) -> None:
        self.count, self._wanted, self._done = 0, wanted, done

    def data_received(self, data: bytes) -> None:
        before = self.count
        self.count += data.count(b'{"type":"')
        if before < self._wanted <= self.count:
            self._done()


async def _fanout(port: int, watchers: int, events: int) -> float:
    """Events delivered per second, all watchers together."""
    loop = asyncio.get_running_loop()
    left = watchers
    finished = loop.create_future()

    def done() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            finished.set_result(None)

    path = f"{NAMESPACE}/secrets?watch=true"
    transports = []
    context = load.insecure_context()
    for _ in range(watchers):
        transport, _ = await loop.create_connection(
            lambda: _Watcher(events, done), "127.0.0.1", port, ssl=context
        )
        transport.write(load.request("GET", path, TOKEN))
        transports.append(transport)
    await asyncio.sleep(2)
    connection = await load.connect("127.0.0.1", port)
    body = json.dumps({"metadata": {"name": "s"}, "stringData": {"k": "x" * 1500}}).encode()
    await connection.send(load.request("POST", f"{NAMESPACE}/secrets", TOKEN, body))
    began = time.perf_counter()
    for i in range(events - 1):
        change = b'{"metadata":{"labels":{"n":"%d"}}}' % i
        await connection.send(load.request("PATCH", f"{NAMESPACE}/secrets/s", TOKEN, change, MERGE))
    await asyncio.wait_for(finished, 60)
    seconds = time.perf_counter() - began
    for transport in transports:
        transport.abort()
    return watchers * (events - 1) / seconds


def deployment() -> Results:
    """10,000 replicas on 1,000 simulated nodes."""
    with Server(nodes=1000) as server:
        server.wait(ACCOUNT)
        deadline = time.perf_counter() + 60
        while server.count("/api/v1/nodes?resourceVersion=0") < 1000 and time.perf_counter() < deadline:
            time.sleep(0.2)
        body = objects.deployment("big", 10_000)
        began = time.perf_counter()
        path = "/apis/apps/v1/namespaces/default/deployments"
        _loop(load.run("127.0.0.1", server.port, 1, 1, lambda i: load.request("POST", path, TOKEN, body)))
        while time.perf_counter() - began < 240:
            status = json.loads(server.get(f"{path}/big")).get("status", {})
            if status.get("readyReplicas", 0) >= 10_000:
                seconds = time.perf_counter() - began
                return {"deployment": seconds, "deployment_memory": server.resident_mb()}
            time.sleep(0.1)
        raise RuntimeError(f"not all Running after 240 s: {status}")


PARTS = {
    start: ("ready", "usable", "memory"),
    requests: ("configmap_1", "configmap_32", "pod_32", "pod_32_p99", "get_32", "patch_32"),
    collections: ("list", "list_0", "list_label", "fanout", "deletecollection"),
    deployment: ("deployment", "deployment_memory"),
    costs: ("cost_create", "cost_get", "cost_list", "cost_apply", "cost_event"),
}


def _loop(coroutine):
    import uvloop

    return uvloop.run(coroutine)


def table(found: Results, before: Results) -> str:
    rows = [f"{'what':58} {'measured':>12} {'target':>10} {'before':>10} {'Kubernetes':>11}"]
    for figure in FIGURES:
        if figure.key not in found:
            continue
        value = found[figure.key]
        met = value <= figure.target if figure.better == "less" else value >= figure.target
        rows.append(
            f"{figure.what:58} {_number(value):>8} {figure.unit:<8}{_number(figure.target):>6}{' ' if met else '!'}"
            f" {_number(before.get(figure.key)):>10} {_number(figure.reference):>11}"
        )
    return "\n".join([*rows, "", "! target missed"])


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=sorted(BY_KEY), default=[])
    parser.add_argument("--save", type=Path)
    parser.add_argument("--against", type=Path, default=Path(__file__).parent / "last.json")
    arguments = parser.parse_args()
    samples: dict[str, list[float]] = {}
    for part, keys in PARTS.items():
        if arguments.only and not set(keys) & set(arguments.only):
            continue
        for _ in range(arguments.repeats):
            for key, value in part().items():
                samples.setdefault(key, []).append(value)
            print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    found = {key: statistics.median(values) for key, values in samples.items()}
    before = json.loads(arguments.against.read_text()) if arguments.against.exists() else {}
    print(table(found, before))
    if arguments.save:
        arguments.save.write_text(json.dumps({**before, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
