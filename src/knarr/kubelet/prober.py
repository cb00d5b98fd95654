"""Probes: what they say of each running container, by thresholds.

Runtimes whose containers are real get a task per probe; for the others the answer is foretold by the runtime and
costs one look at the right time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from knarr.kubelet import words
from knarr.kubelet.plan import HEALTHY, Health
from knarr.kubelet.runtime import RUNNING, ContainerRecord, Listener, ProbeResult, Runtime
from knarr.world import World

log = logging.getLogger(__name__)

KINDS = ("startup", "readiness", "liveness")


class Thresholds:
    """Turns single results into an outcome: so many in a row, the same way."""

    def __init__(self, success: int, failure: int) -> None:
        self._success, self._failure = max(success, 1), max(failure, 1)
        self._last: bool | None = None
        self._run = 0

    def observe(self, success: bool) -> bool | None:
        """True or False once the threshold is reached, None before."""
        self._run = self._run + 1 if success == self._last else 1
        self._last = success
        return success if self._run >= (self._success if success else self._failure) else None


def probe_of(container: Any, kind: str) -> Any:
    return getattr(container, f"{kind}Probe")


def initial(container: Any) -> Health:
    """Before any probe has answered."""
    return Health(started=container.startupProbe is None, ready=container.readinessProbe is None)


class Foretold:
    """For runtimes that only pretend: what `readiness` says comes true when its time has come."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def health(
        self, pod: Any, container: Any, run: ContainerRecord, now: float
    ) -> tuple[Health, float | None]:
        """And in how many seconds it changes."""
        started, ready = self._runtime.readiness(pod, container)
        if started <= 0 and ready is not None and ready <= 0:
            return HEALTHY, None
        age = now - run.started_at + 1e-3
        ahead = [at - age + 1e-3 for at in (started, ready) if at is not None and at > age]
        health = Health(started=age >= started, ready=ready is not None and age >= ready)
        return health, min(ahead) if ahead else None

    def stop(self, uid: str) -> None:
        """Nothing is kept."""


class Prober:
    """One task per probe of a running container."""

    def __init__(self, runtime: Runtime, listener: Listener, world: World) -> None:
        self._runtime, self._listener, self._world = runtime, listener, world
        self._tasks: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._health: dict[tuple[str, str], tuple[str, Health]] = {}

    def health(
        self, pod: Any, container: Any, run: ContainerRecord, now: float
    ) -> tuple[Health, float | None]:
        """Of this run; begins its probes when first asked."""
        uid = pod.metadata.uid
        key = (uid, container.name)
        known = self._health.get(key)
        if known is not None and known[0] == run.id:
            return known[1], None
        health = initial(container)
        self._health[key] = (run.id, health)
        for kind in KINDS:
            self._end((*key, kind))
            if probe_of(container, kind) is not None:
                watch = _Watch(self, pod, container, run, kind)
                self._tasks[*key, kind] = asyncio.get_running_loop().create_task(
                    watch.run(), name=f"{kind} probe {pod.metadata.name}/{container.name}"
                )
        return health, None

    def stop(self, uid: str) -> None:
        """The pod is over."""
        for key in [key for key in self._tasks if key[0] == uid]:
            self._end(key)
        for pair in [pair for pair in self._health if pair[0] == uid]:
            del self._health[pair]

    def _end(self, key: tuple[str, str, str]) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def current(self, uid: str, name: str) -> Health:
        return self._health.get((uid, name), ("", HEALTHY))[1]

    def change(self, uid: str, name: str, run_id: str, health: Health) -> None:
        known = self._health.get((uid, name))
        if known is None or known[0] != run_id or known[1] == health:
            return
        self._health[uid, name] = (run_id, health)
        self._listener.changed(uid)


class _Watch:
    """One probe of one run."""

    def __init__(self, prober: Prober, pod: Any, container: Any, run: ContainerRecord, kind: str) -> None:
        self.prober, self.pod, self.container, self.run_, self.kind = prober, pod, container, run, kind
        self.probe = probe_of(container, kind)
        self.thresholds = Thresholds(self.probe.successThreshold or 1, self.probe.failureThreshold or 3)

    async def run(self) -> None:
        probe, prober = self.probe, self.prober
        now = prober._world.clock.now()
        await asyncio.sleep(max(0.0, self.run_.started_at + (probe.initialDelaySeconds or 0) - now))
        while self.run_.state == RUNNING:
            health = prober.current(self.pod.metadata.uid, self.container.name)
            if self._applies(health):
                result = await self._ask()
                if self.run_.state != RUNNING:
                    return
                if self._judge(result):
                    return
            await asyncio.sleep(probe.periodSeconds or 10)

    def _applies(self, health: Health) -> bool:
        """The others wait for the startup probe, and it is over once it has succeeded."""
        if self.kind == "startup":
            return not health.started
        return health.started

    async def _ask(self) -> ProbeResult:
        try:
            return await self.prober._runtime.probe(self.pod, self.container, self.probe)
        except Exception as error:
            log.debug("%s probe of %s", self.kind, self.container.name, exc_info=True)
            return ProbeResult(False, str(error), unknown=True)

    def _judge(self, result: ProbeResult) -> bool:
        """True when this probe has nothing more to do."""
        title = self.kind.capitalize()
        event: Callable[[str], None] = lambda text: self.prober._listener.event(  # noqa: E731
            self.pod, words.WARNING, words.UNHEALTHY, text, self.container.name
        )
        if result.unknown:
            event(f"{title} probe errored and resulted in unknown state: {result.output}")
            return False
        if not result.success:
            event(f"{title} probe failed: {result.output}")
        outcome = self.thresholds.observe(result.success)
        if outcome is None:
            return False
        uid, name = self.pod.metadata.uid, self.container.name
        health = self.prober.current(uid, name)
        if self.kind == "readiness":
            self.prober.change(uid, name, self.run_.id, Health(health.started, outcome, health.failed))
            return False
        if outcome:
            if self.kind == "startup":
                self.prober.change(uid, name, self.run_.id, Health(True, health.ready, health.failed))
            return self.kind == "startup"
        self.prober.change(uid, name, self.run_.id, Health(health.started, health.ready, self.kind))
        return True
