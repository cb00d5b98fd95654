"""NodeAPI: what the API server asks of a node, answered by its runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson

from knarr.api.nodeapi import Exit, LogOptions, NodeError, Terminal
from knarr.api.scheme import scheme
from knarr.kubelet.plan import PULL_BACKOFF, PULL_FAILED
from knarr.kubelet.runtime import RUNNING, ContainerRecord, Runtime
from knarr.meta import times

Answer = tuple[int, str, bytes]


class PodAPI:
    """One node's; `find` gives the pod of a (namespace, name) on it, `pods` all of them."""

    def __init__(
        self,
        node: str,
        runtime: Runtime,
        find: Callable[[str, str], Any | None],
        pods: Callable[[], list[Any]],
        started_at: float,
    ) -> None:
        self._node, self._runtime, self._find, self._pods = node, runtime, find, pods
        self._started_at = started_at

    # -- pods ------------------------------------------------------------------------------------------------

    def _pod(self, namespace: str, name: str) -> Any:
        pod = self._find(namespace, name)
        if pod is None:
            raise NodeError(f'pod "{name}" not found', 404)
        return pod

    def _run(self, pod: Any, container: str) -> ContainerRecord | None:
        record = self._runtime.status(pod.metadata.uid)
        return record.last(container) if record is not None else None

    def _running(self, namespace: str, name: str, container: str) -> Any:
        pod = self._pod(namespace, name)
        run = self._run(pod, container)
        if run is None or run.state != RUNNING:
            raise NodeError(f"container not found ({_quoted(container)})", 500)
        return pod

    async def logs(self, namespace: str, name: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Raises NodeError before the first line where there is nothing to read."""
        pod = self._pod(namespace, name)
        check_logs(pod, self._runtime.status(pod.metadata.uid), options)
        async for piece in self._runtime.logs(pod, options):
            yield piece

    async def exec(
        self, namespace: str, name: str, container: str, command: list[str], terminal: Terminal
    ) -> Exit:
        pod = self._running(namespace, name, container)
        return await self._runtime.exec(pod, container, command, terminal)

    async def attach(self, namespace: str, name: str, container: str, terminal: Terminal) -> Exit:
        pod = self._running(namespace, name, container)
        return await self._runtime.attach(pod, container, terminal)

    async def dial(
        self, namespace: str, name: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self._runtime.dial(self._pod(namespace, name), port)

    def reach(self, namespace: str, name: str, port: int) -> tuple[tuple[str, int], ...]:
        return self._runtime.reach(self._pod(namespace, name), port)

    # -- the kubelet's own endpoints ---------------------------------------------------------------------------

    async def http(self, path: str, query: dict[str, str]) -> Answer:
        """(status, content type, body) of a GET to the kubelet: /healthz, /pods, /stats/summary, /metrics ..."""
        page = PAGES.get("/" + path.strip("/"))
        if page is None:
            return 404, TEXT, b"404 page not found\n"
        return page(self)

    def _healthz(self) -> Answer:
        return 200, TEXT, b"ok"

    def _pod_list(self) -> Answer:
        items = [scheme().to_dict(pod) for pod in self._pods()]
        body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
        return 200, "application/json", orjson.dumps(body)

    def _summary(self) -> Answer:
        pods = [
            {
                "podRef": {
                    "name": pod.metadata.name,
                    "namespace": pod.metadata.namespace,
                    "uid": pod.metadata.uid,
                },
                "startTime": pod.status.startTime,
                "containers": [{"name": c.name} for c in pod.spec.containers],
            }
            for pod in self._pods()
        ]
        node = {"nodeName": self._node, "startTime": times.format(self._started_at)}
        return 200, "application/json", orjson.dumps({"node": node, "pods": pods})

    def _metrics(self) -> Answer:
        pods = self._pods()
        running = 0
        for pod in pods:
            record = self._runtime.status(pod.metadata.uid)
            running += 0 if record is None else sum(run.state == RUNNING for run in record.running)
        lines = [
            "# HELP kubelet_running_containers [ALPHA] Number of containers currently running",
            "# TYPE kubelet_running_containers gauge",
            f'kubelet_running_containers{{container_state="running"}} {running}',
            "# HELP kubelet_running_pods [ALPHA] Number of pods that have a running pod sandbox",
            "# TYPE kubelet_running_pods gauge",
            f"kubelet_running_pods {len(pods)}",
            "# HELP kubelet_node_name [ALPHA] The node's name. The count is always 1.",
            "# TYPE kubelet_node_name gauge",
            f'kubelet_node_name{{node="{self._node}"}} 1',
            "",
        ]
        return 200, "text/plain; version=0.0.4; charset=utf-8", "\n".join(lines).encode()


TEXT = "text/plain; charset=utf-8"
#: what is told of the commonest waiting reasons in their place
PULL_TROUBLE = {
    PULL_FAILED: "image can't be pulled",
    PULL_BACKOFF: "trying and failing to pull image",
}
PAGES: dict[str, Callable[[PodAPI], Answer]] = {
    "/healthz": PodAPI._healthz,
    "/livez": PodAPI._healthz,
    "/healthz/ping": PodAPI._healthz,
    "/healthz/syncloop": PodAPI._healthz,
    "/pods": PodAPI._pod_list,
    "/runningpods": PodAPI._pod_list,
    "/stats/summary": PodAPI._summary,
    "/metrics": PodAPI._metrics,
}


def _quoted(text: str) -> str:
    return f'"{text}"'


def check_logs(pod: Any, record: Any, options: LogOptions) -> None:
    """The kubelet's refusals, before anything is read. Raises NodeError 400."""
    name, container = pod.metadata.name, options.container
    runs = record.containers.get(container, ()) if record is not None else ()
    shown = [run for run in runs if run.started_at]
    if options.previous:
        if len(shown) < 2 and not (shown and runs[-1] is not shown[-1]):
            raise NodeError(f'previous terminated container "{container}" in pod "{name}" not found')
        return
    if shown:
        return
    reason = _waits_for(pod, container, runs)
    why = PULL_TROUBLE.get(reason, reason)
    raise NodeError(f'container "{container}" in pod "{name}" is waiting to start: {why}')


def _waits_for(pod: Any, container: str, runs: Any) -> str:
    """As its status says, else by what has failed, else by what every container waits for at first."""
    status = pod.status
    shown = (*status.initContainerStatuses, *status.containerStatuses, *status.ephemeralContainerStatuses)
    for one in shown:
        if one.name == container and one.state is not None and one.state.waiting is not None:
            return one.state.waiting.reason
    default = "PodInitializing" if pod.spec.initContainers else "ContainerCreating"
    return (runs[-1].reason if runs else "") or default
