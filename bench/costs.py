"""Processor time of the server per request, by path: what a change of the request's way costs or saves.

Processor time, unlike rates, hardly depends on what else the machine does. A cluster without controllers and nodes, so
that nothing is counted but the requests; the store is on disk, its thread is counted too.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

import load
import objects
from server import TOKEN, Server

NAMESPACE = "/api/v1/namespaces/default"
PODS = f"{NAMESPACE}/pods"
CLIENTS = 8
#: watchers of one resource, and how many changes they are told of
WATCHERS, CHANGES = 200, 500


class Meter:
    """Microseconds of the server's processor time per request."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.found: dict[str, float] = {}

    def measure(self, key: str, total: int, make: Callable[[int], bytes]) -> None:
        began = processor_seconds(self._server.process.pid)
        report = asyncio.run(load.run("127.0.0.1", self._server.port, CLIENTS, total, make))
        if report.errors:
            raise RuntimeError(f"{key}: {report.errors} of {total} requests failed")
        self.found[key] = (processor_seconds(self._server.process.pid) - began) / total * 1e6


def costs() -> dict[str, float]:
    """One figure per path."""
    with Server("--no-controllers", "--no-scheduler") as server:
        server.wait("/readyz")
        meter = Meter(server)
        post = lambda path, body: load.request("POST", path, TOKEN, body)  # noqa: E731
        get = lambda path: load.request("GET", path, TOKEN)  # noqa: E731
        apply = lambda i: load.request(  # noqa: E731
            "PATCH",
            f"{NAMESPACE}/configmaps/applied-{i % 100}?fieldManager=bench&force=true",
            TOKEN,
            _applied(i),
            "application/apply-patch+yaml",
        )
        strict = f"{PODS}?fieldValidation=Strict"
        asyncio.run(
            load.run("127.0.0.1", server.port, 1, 1, lambda i: post(f"{NAMESPACE}/serviceaccounts", ACCOUNT))
        )
        meter.measure("cost_create", 3000, lambda i: post(strict, objects.pod(f"p-{i}", i)))
        meter.measure("cost_get", 8000, lambda i: get(f"{PODS}/p-{i % 3000}"))
        meter.measure("cost_list", 1000, lambda i: get(f"{PODS}?limit=100"))
        meter.measure("cost_apply", 2000, apply)
        meter.found["cost_event"] = _event_cost(server)
        return meter.found


ACCOUNT = b'{"metadata":{"name":"default"}}'


def _applied(i: int) -> bytes:
    data = {f"key-{n}": f"{n}-{i // 100}" for n in range(20)}
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"applied-{i % 100}"}, "data": data}
    ).encode()


def _event_cost(server: Server) -> float:
    """Of one event to one watcher, the write that caused it shared among them."""

    async def watch() -> float:
        loop = asyncio.get_running_loop()
        opened = []
        for _ in range(WATCHERS):
            transport, _ = await loop.create_connection(
                asyncio.Protocol, "127.0.0.1", server.port, ssl=load.insecure_context()
            )
            transport.write(load.request("GET", f"{NAMESPACE}/secrets?watch=true", TOKEN))
            opened.append(transport)
        await asyncio.sleep(1)
        began = processor_seconds(server.process.pid)
        make = lambda i: load.request(  # noqa: E731
            "POST", f"{NAMESPACE}/secrets", TOKEN, json.dumps({"metadata": {"name": f"s-{i}"}}).encode()
        )
        await load.run("127.0.0.1", server.port, 1, CHANGES, make)
        await asyncio.sleep(0.5)
        spent = processor_seconds(server.process.pid) - began
        for transport in opened:
            transport.abort()
        return spent / (WATCHERS * CHANGES) * 1e6

    return asyncio.run(watch())


def processor_seconds(pid: int) -> float:
    """User and system time of a process (Linux)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
