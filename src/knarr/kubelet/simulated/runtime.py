"""SimulatedRuntime: no process, no task; a heap of moments at which containers start and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from knarr.api.nodeapi import Exit, LogOptions, NodeError, Terminal
from knarr.kubelet import images, logview, words
from knarr.kubelet.addresses import Exhausted, PodAddresses
from knarr.kubelet.restore import restored
from knarr.kubelet.runtime import (
    CREATED,
    EXITED,
    FAILED,
    RUNNING,
    ContainerRecord,
    Listener,
    PodRecord,
    ProbeResult,
)
from knarr.kubelet.simulated import life
from knarr.kubelet.simulated.life import Life, SimulatedSettings
from knarr.kubelet.timers import Timers
from knarr.meta.durations import format_go_duration
from knarr.world import World

FOLLOW_SECONDS = 1.0
MISSING = "rpc error: code = NotFound desc = failed to pull and unpack image {image}: not found"
NOT_RUN = "This container is simulated: it runs no process in which a command could be executed.\n"


class SimulatedRuntime:
    """See runtime.Runtime. Repeatable: all that is drawn comes from `world.chance` in the order of events."""

    name = "knarr-simulated"
    real = False

    def __init__(
        self, world: World, settings: SimulatedSettings | None = None, pod_cidr: str = "10.244.0.0/16"
    ) -> None:
        self.addresses = PodAddresses(pod_cidr)
        self._world, self._settings = world, settings or SimulatedSettings()
        self._pods: dict[str, PodRecord] = {}
        self._timers = Timers()
        #: images that were pulled, by node
        self._images: dict[str, set[str]] = {}
        self._listener: Listener | None = None
        #: the moment at which a pod's containers are being started, and when they will have: they start together
        self._together: dict[str, tuple[float, float]] = {}

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def start(self, pods: Iterable[str] = ()) -> None:
        """Nothing was left behind."""

    async def stop(self) -> None:
        self._timers.stop()

    def status(self, uid: str) -> PodRecord | None:
        return self._pods.get(uid)

    # -- pods ------------------------------------------------------------------------------------------------

    def create_pod(self, pod: Any) -> None:
        uid = pod.metadata.uid
        record = self._pods[uid] = PodRecord(uid)
        if not self._give_address(pod, record):
            return
        record.ready = True
        self._restore(pod, record)

    def adopt_pod(self, pod: Any) -> None:
        uid = pod.metadata.uid
        record = self._pods[uid] = PodRecord(uid)
        if pod.status.podIP and not pod.spec.hostNetwork and self.addresses.keep(pod.status.podIP, uid):
            record.ips = (pod.status.podIP,)
        self._restore(pod, record)

    def _restore(self, pod: Any, record: PodRecord) -> None:
        for run in restored(pod):
            record.add(run)
            if run.state == RUNNING:
                self._go_on(pod, run)

    def _give_address(self, pod: Any, record: PodRecord) -> bool:
        uid, before = pod.metadata.uid, pod.status.podIP
        if pod.spec.hostNetwork:
            return True
        if before and self.addresses.keep(before, uid):
            record.ips = (before,)
            return True
        try:
            record.ips = (self.addresses.take(uid, pod.spec.nodeName),)
        except Exhausted as error:
            self._event(pod, words.WARNING, words.FAILED_SANDBOX, f"Failed to create pod sandbox: {error}")
            return False
        return True

    def update_pod(self, pod: Any) -> None:
        """Nothing of it was copied."""

    def remove_pod(self, uid: str) -> None:
        record = self._pods.pop(uid, None)
        self._together.pop(uid, None)
        if record is not None:
            for ip in record.ips:
                self.addresses.give_back(ip, uid)

    # -- containers --------------------------------------------------------------------------------------------

    def start_container(self, pod: Any, container: Any, attempt: int) -> None:
        uid = pod.metadata.uid
        record = self._pods[uid]
        present = container.image in self._images.get(pod.spec.nodeName, ())
        init = any(container is c for c in pod.spec.initContainers)
        run = ContainerRecord(
            container.name,
            attempt,
            self._world.chance.randbytes(32).hex(),
            image=images.normalized(container.image),
            image_id=images.image_id(container.image),
            made_from=container.image,
            user=_user(pod, container),
        )
        record.add(run)
        if container.imagePullPolicy == "Never" and not present:
            self._refuse(pod, run, "ErrImageNeverPull", words.never_pull(container.image))
            return
        it = life.life_of(pod, container, init, present, self._settings, self._world.chance)
        if it.pull_seconds:
            self._event(pod, words.NORMAL, words.PULLING, words.pulling(container.image), container.name)
        delay = it.pull_seconds + it.start_seconds
        now = asyncio.get_running_loop().time()
        moment, due = self._together.get(uid, (-1.0, 0.0))
        if moment == now:
            delay = max(due - now, 0.0)
        else:
            self._together[uid] = (now, now + delay)
        self._timers.after(delay, self._started, pod, run, it)

    def _started(self, pod: Any, run: ContainerRecord, it: Life) -> None:
        if run.state != CREATED or self._pods.get(pod.metadata.uid) is None:
            return
        image = run.made_from
        if it.pull_fails:
            message = MISSING.format(image=images.normalized(image))
            self._event(
                pod, words.WARNING, words.FAILED, f'Failed to pull image "{image}": {message}', run.name
            )
            self._refuse(pod, run, "ErrImagePull", message, told=True)
            return
        if it.pull_seconds:
            self._images.setdefault(pod.spec.nodeName, set()).add(image)
            took = format_go_duration(round(it.pull_seconds, 3))
            size = 20_000_000 + len(image) * 100_000
            pulled = words.pulled(image, took, took, size)
        else:
            pulled = words.present(image)
        self._event(pod, words.NORMAL, words.PULLED, pulled, run.name)
        self._event(pod, words.NORMAL, words.CREATED, words.CONTAINER_CREATED, run.name)
        self._event(pod, words.NORMAL, words.STARTED, words.CONTAINER_STARTED, run.name)
        run.state, run.started_at = RUNNING, self._world.clock.now()
        if it.runs_seconds is not None:
            self._timers.after(it.runs_seconds, self._exited, pod.metadata.uid, run, it.exit_code)
        self._changed(pod.metadata.uid)

    def _go_on(self, pod: Any, run: ContainerRecord) -> None:
        """A container that ran when we were stopped ran on meanwhile."""
        container = next((c for c in _containers(pod) if c.name == run.name), None)
        if container is None:
            return
        init = any(container is c for c in pod.spec.initContainers)
        it = life.life_of(pod, container, init, True, self._settings, self._world.chance)
        self._images.setdefault(pod.spec.nodeName, set()).add(container.image)
        if it.runs_seconds is not None:
            left = run.started_at + it.runs_seconds - self._world.clock.now()
            self._timers.after(left, self._exited, pod.metadata.uid, run, it.exit_code)

    def _refuse(self, pod: Any, run: ContainerRecord, reason: str, message: str, told: bool = False) -> None:
        if not told:
            self._event(pod, words.WARNING, reason, message, run.name)
        self._event(pod, words.WARNING, words.FAILED, f"Error: {reason}", run.name)
        run.state, run.reason, run.message = FAILED, reason, message
        run.finished_at = self._world.clock.now()
        self._changed(pod.metadata.uid)

    def _exited(self, uid: str, run: ContainerRecord, code: int) -> None:
        if run.state not in (CREATED, RUNNING):
            return
        run.state, run.exit_code, run.finished_at = EXITED, code, self._world.clock.now()
        run.started_at = run.started_at or run.finished_at
        self._changed(uid)

    def kill_container(self, pod: Any, name: str, grace_seconds: float) -> None:
        uid = pod.metadata.uid
        record = self._pods.get(uid)
        run = record.last(name) if record is not None else None
        if run is None or run.state not in (CREATED, RUNNING):
            return
        drawn = self._world.chance.uniform(*self._settings.stop_seconds)
        takes = life.seconds_of(life.annotation(pod, name, "stop-delay"), drawn)
        hook = next((c.lifecycle.preStop for c in _containers(pod) if c.name == name and c.lifecycle), None)
        if hook is not None and hook.sleep is not None:
            takes += float(hook.sleep.seconds)
        code = life.TERMINATED if takes <= grace_seconds else life.KILLED
        self._timers.after(min(takes, grace_seconds), self._exited, uid, run, code)

    def readiness(self, pod: Any, container: Any) -> tuple[float, float | None]:
        return life.readiness(pod, container)

    async def probe(self, pod: Any, container: Any, probe: Any) -> ProbeResult:
        return ProbeResult(True)

    # -- asked by the API server -------------------------------------------------------------------------------

    async def logs(self, pod: Any, options: LogOptions) -> AsyncIterator[bytes]:
        run = self._run_of(pod, options)
        start = logview.since(options, self._world.clock.now())
        limit = logview.Limit(options.limit_bytes)
        lines = list(logview.wanted(_lines(pod, run), options, start))
        shown = len(_lines(pod, run))
        for piece in logview.render(logview.tail(lines, options.tail_lines), options.timestamps):
            yield limit.cut(piece)
        while options.follow and not limit.reached and run.state == RUNNING:
            await asyncio.sleep(FOLLOW_SECONDS)
            fresh = _lines(pod, run)[shown:]
            shown += len(fresh)
            for piece in logview.render(logview.wanted(fresh, options, start), options.timestamps):
                yield limit.cut(piece)

    def _run_of(self, pod: Any, options: LogOptions) -> ContainerRecord:
        record = self._pods.get(pod.metadata.uid)
        runs = [r for r in record.containers.get(options.container, ()) if r.started_at] if record else []
        index = -2 if options.previous and len(runs) > 1 else -1
        if not runs:
            raise NodeError(f'container "{options.container}" in pod "{pod.metadata.name}" has no log')
        return runs[index]

    async def exec(self, pod: Any, container: str, command: list[str], terminal: Terminal) -> Exit:
        await terminal.write(1 if terminal.tty else 2, NOT_RUN.encode())
        return Exit(126)

    async def attach(self, pod: Any, container: str, terminal: Terminal) -> Exit:
        await terminal.write(1 if terminal.tty else 2, NOT_RUN.encode())
        return Exit(0)

    async def dial(self, pod: Any, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise _silent(pod, port)

    def reach(self, pod: Any, port: int) -> tuple[tuple[str, int], ...]:
        raise _silent(pod, port)

    # -- helpers -----------------------------------------------------------------------------------------------

    def _changed(self, uid: str) -> None:
        if self._listener is not None:
            self._listener.changed(uid)

    def _event(self, pod: Any, type_: str, reason: str, message: str, container: str = "") -> None:
        if self._listener is not None:
            self._listener.event(pod, type_, reason, message, container)


def _silent(pod: Any, port: int) -> NodeError:
    return NodeError(f"pod {pod.metadata.name} is simulated: nothing listens on port {port}", 500)


def _containers(pod: Any) -> tuple[Any, ...]:
    return (*pod.spec.initContainers, *pod.spec.containers, *pod.spec.ephemeralContainers)


def _user(pod: Any, container: Any) -> tuple[int, int, tuple[int, ...]]:
    uid = gid = 0
    for context in (pod.spec.securityContext, getattr(container, "securityContext", None)):
        if context is not None:
            uid = context.runAsUser if context.runAsUser is not None else uid
            gid = context.runAsGroup if context.runAsGroup is not None else gid
    groups = [gid]
    context = pod.spec.securityContext
    if context is not None:
        extra = list(context.supplementalGroups)
        if context.fsGroup is not None:
            extra.append(context.fsGroup)
        groups += [group for group in extra if group not in groups]
    return uid, gid, tuple(groups)


def _lines(pod: Any, run: ContainerRecord) -> list[logview.Line]:
    """What it has said so far; the same each time it is asked."""
    stamp = logview.stamp(run.started_at)
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    texts = [f"simulated container {run.name} of pod {name} started, image {run.made_from}"]
    said = life.annotation(pod, run.name, "log-lines")
    if said:
        texts += said.rstrip("\n").split("\n")
    lines = [logview.Line(stamp, "stdout", f"{text}\n".encode()) for text in texts]
    if run.state == EXITED:
        text = f"simulated container {run.name} ends with code {run.exit_code}\n"
        lines.append(logview.Line(logview.stamp(run.finished_at), "stdout", text.encode()))
    return lines
