"""Ending a container: its preStop hook first, then TERM, all within one grace. And the hooks themselves."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from knarr.kubelet import words
from knarr.kubelet.runtime import RUNNING, ContainerRecord, Listener, ProbeResult, Runtime

log = logging.getLogger(__name__)

#: what is left for TERM even when the hook has used up the grace
TERM_SECONDS_MIN = 2.0


class HookProbe:
    """A lifecycle handler in the shape of a probe: exec and httpGet are run by the same code."""

    grpc = None

    def __init__(self, handler: Any, timeout_seconds: float) -> None:
        self.exec, self.httpGet, self.tcpSocket = handler.exec, handler.httpGet, handler.tcpSocket
        self.timeoutSeconds = timeout_seconds


async def run_hook(
    runtime: Runtime, pod: Any, container: Any, handler: Any, timeout_seconds: float
) -> ProbeResult:
    """exec, httpGet or sleep; tcpSocket in hooks does nothing, as in Kubernetes."""
    if handler.sleep is not None:
        await asyncio.sleep(min(float(handler.sleep.seconds), timeout_seconds))
        return ProbeResult(True)
    if handler.exec is None and handler.httpGet is None:
        return ProbeResult(True)
    return await runtime.probe(pod, container, HookProbe(handler, timeout_seconds))


class Stopper:
    """Tells runtimes to end containers, after the preStop hook where there is one."""

    def __init__(self, runtime: Runtime, listener: Listener) -> None:
        self._runtime, self._listener = runtime, listener
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self, pod: Any, container: Any, run: ContainerRecord, grace: float) -> None:
        """Returns at once."""
        lifecycle = getattr(container, "lifecycle", None)
        if lifecycle is None or lifecycle.preStop is None or not self._runtime.real or run.state != RUNNING:
            self._runtime.kill_container(pod, container.name, grace)
            return
        task = asyncio.get_running_loop().create_task(
            self._hook_then_stop(pod, container, lifecycle.preStop, grace), name=f"preStop {container.name}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hook_then_stop(self, pod: Any, container: Any, handler: Any, grace: float) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(grace):
                result = await run_hook(self._runtime, pod, container, handler, grace)
            if not result.success:
                self._listener.event(
                    pod, words.WARNING, words.FAILED_PRE_STOP, "PreStopHook failed", container.name
                )
        except TimeoutError:
            self._listener.event(
                pod, words.WARNING, words.FAILED_PRE_STOP, "PreStopHook failed", container.name
            )
        except Exception:
            log.exception("preStop hook of %s", container.name)
        left = max(grace - (loop.time() - begun), TERM_SECONDS_MIN)
        self._runtime.kill_container(pod, container.name, left)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
