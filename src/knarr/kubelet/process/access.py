"""What the API server asks of a pod for its clients: logs, commands, connections."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from knarr.api.nodeapi import Exit, LogOptions, NodeError, Terminal
from knarr.kubelet.process import actions, address, leftovers, logfile
from knarr.kubelet.process.child import LaunchError, launch
from knarr.kubelet.process.container import Container
from knarr.kubelet.process.launchspec import LaunchSpecs
from knarr.kubelet.process.pod import ProcessPod
from knarr.kubelet.process.session import run_session, show_attached
from knarr.kubelet.runtime import CREATED, RUNNING


class Access:
    """Everything here raises NodeError, in a kubelet's words."""

    def __init__(
        self, pods: Mapping[str, ProcessPod], specs: Callable[[], LaunchSpecs], now: Callable[[], float]
    ) -> None:
        self._pods, self._specs, self._now = pods, specs, now

    def _pod(self, pod: Any) -> ProcessPod:
        mine = self._pods.get(pod.metadata.uid)
        if mine is None:
            raise NodeError(f"pod {pod.metadata.name} is not running", 500)
        return mine

    def _container(self, pod: Any, name: str) -> tuple[ProcessPod, Container]:
        mine = self._pods.get(pod.metadata.uid)
        container = mine.containers.get(name) if mine is not None else None
        if mine is None or container is None or container.child is None or container.child.ended:
            raise NodeError(f'container not found ("{name}")', 500)
        return mine, container

    async def logs(self, pod: Any, options: LogOptions) -> AsyncIterator[bytes]:
        mine = self._pods.get(pod.metadata.uid)
        runs = mine.record.containers.get(options.container, []) if mine is not None else []
        shown = [run for run in runs if run.started_at]
        if mine is None or not shown:
            raise NodeError(f'container "{options.container}" in pod "{pod.metadata.name}" has no log')
        run = shown[-1]
        if options.previous:
            run = shown[-2] if runs[-1] is run and len(shown) > 1 else run
        container = mine.containers.get(options.container)
        live = container if container is not None and container.record is run else None
        path = mine.log_path(options.container, run.attempt)
        if not path.exists():
            why = f'failed to try resolving symlinks in path "{path}": no such file'
            raise NodeError(f"unable to retrieve container logs for process://{run.id}: {why}", 500)
        pieces = logfile.read(
            path,
            options,
            self._now(),
            live.log if live is not None else None,
            lambda: run.state in (CREATED, RUNNING),
        )
        async for piece in pieces:
            yield piece

    async def exec(self, pod: Any, container: str, command: list[str], terminal: Terminal) -> Exit:
        mine, running = self._container(pod, container)
        spec = await self._specs().of_command(mine, running, command, terminal.tty)
        try:
            child = await launch(spec, running.folder, stdin=terminal.stdin is not None, tty=terminal.tty)
        except LaunchError as error:
            return Exit(message=f"error executing command in container: failed to exec in container: {error}")
        try:
            return await run_session(child, terminal)
        finally:
            if not child.ended:
                leftovers.kill_session(child.pid, signal.SIGKILL)
            child.close()

    async def attach(self, pod: Any, container: str, terminal: Terminal) -> Exit:
        _, running = self._container(pod, container)
        await show_attached(running, terminal)
        return Exit()

    def reach(self, pod: Any, port: int) -> tuple[tuple[str, int], ...]:
        """At the pod's own address, else at 127.0.0.1, as `dial` tries them."""
        return tuple((host, port) for host in dict.fromkeys((self._pod(pod).address, address.LOCALHOST)))

    async def dial(self, pod: Any, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """At the pod's own address, else at 127.0.0.1, where a process may listen that asks for nothing else."""
        own = self._pod(pod).address
        try:
            return await asyncio.open_connection(own, port)
        except ConnectionRefusedError:
            try:
                return await asyncio.open_connection(address.LOCALHOST, port)
            except OSError:
                raise NodeError(f"dial tcp4 {own}:{port}: {actions.REFUSED}", 500) from None
        except OSError as error:
            raise NodeError(f"dial tcp4 {own}:{port}: {error.strerror or error}", 500) from None
