"""Probes and hooks of containers that are processes: a command, a request, a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from knarr.api.nodeapi import Exit, NodeError, Terminal
from knarr.kubelet.hooks import HookProbe
from knarr.kubelet.process import actions
from knarr.kubelet.process.pod import ProcessPod
from knarr.kubelet.runtime import ProbeResult

Exec = Callable[[Any, str, list[str], Terminal], Awaitable[Exit]]


class Probes:
    """`exec` runs a command in a container, as the API server's clients do."""

    def __init__(self, pods: Mapping[str, ProcessPod], exec: Exec) -> None:
        self._pods, self._exec = pods, exec

    async def probe(self, pod: Any, container: Any, probe: Any) -> ProbeResult:
        mine = self._pods[pod.metadata.uid]
        seconds = float(probe.timeoutSeconds or 1)
        if probe.exec is not None:
            return await self._command(pod, container, list(probe.exec.command), seconds)
        try:
            if probe.httpGet is not None:
                port = actions.port_of(container, probe.httpGet.port)
                hook = isinstance(probe, HookProbe)
                return await actions.http(probe.httpGet, mine.address, port, seconds, hook)
            if probe.tcpSocket is not None:
                port = actions.port_of(container, probe.tcpSocket.port)
                return await actions.tcp(probe.tcpSocket.host or mine.address, port, seconds)
        except ValueError as error:
            return ProbeResult(False, str(error), unknown=True)
        if probe.grpc is not None:
            return await actions.grpc(mine.address, probe.grpc.port, probe.grpc.service or "", seconds)
        return ProbeResult(False, "missing probe handler", unknown=True)

    async def _command(self, pod: Any, container: Any, argv: list[str], seconds: float) -> ProbeResult:
        output = _Collected()
        try:
            async with asyncio.timeout(seconds):
                ended = await self._exec(pod, container.name, argv, output)
        except TimeoutError:
            return ProbeResult(False, f'command timed out: "{" ".join(argv)}" timed out after {seconds:g}s')
        except NodeError as error:
            return ProbeResult(False, str(error), unknown=True)
        if ended.message:
            return ProbeResult(False, ended.message)
        return ProbeResult(ended.code == 0, output.text())


class _Collected(Terminal):
    """The output of a command, as much as an event will show."""

    def __init__(self) -> None:
        super().__init__()
        self._output = b""

    async def write(self, channel: int, data: bytes) -> None:
        self._output = (self._output + data)[: actions.OUTPUT_BYTES_MAX]

    def text(self) -> str:
        return self._output.decode("utf-8", "replace")
