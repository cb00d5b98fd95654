"""What a pod needs next: which containers to start, which to kill, and when to look again. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from knarr.kubelet.backoff import Backoff
from knarr.kubelet.runtime import CREATED, EXITED, FAILED, RUNNING, ContainerRecord, PodRecord
from knarr.meta.durations import format_go_duration

#: a container that could not be created is tried again after this
CREATE_RETRY_SECONDS = 10.0
CRASH_LOOP = "CrashLoopBackOff"
PULL_FAILED, PULL_BACKOFF = "ErrImagePull", "ImagePullBackOff"


@dataclass(slots=True)
class Start:
    """Start this container; `attempt` is how many runs it had before."""

    container: Any
    attempt: int
    #: the run that it follows, None for the first
    after: ContainerRecord | None = None


@dataclass(slots=True)
class Kill:
    """End this container; `message` is the Killing event's text."""

    container: Any
    message: str


@dataclass(slots=True)
class Plan:
    start: list[Start] = field(default_factory=list)
    kill: list[Kill] = field(default_factory=list)
    #: why a container does not run although it should: name -> (reason, message)
    waiting: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: seconds from now when time alone changes the plan
    wake: float | None = None
    #: the init containers are through
    initialized: bool = False

    def look_again(self, seconds: float) -> None:
        if self.wake is None or seconds < self.wake:
            self.wake = seconds


@dataclass(frozen=True)
class Health:
    """What probes say of a running container."""

    started: bool = True
    ready: bool = True
    #: "liveness" or "startup" where that probe has given it up
    failed: str = ""


HEALTHY = Health()


def is_sidecar(container: Any) -> bool:
    """An init container that stays."""
    return container.restartPolicy == "Always"


def pod_name(pod: Any) -> str:
    """name_namespace(uid), as the kubelet's messages name pods."""
    meta = pod.metadata
    return f"{meta.name}_{meta.namespace}({meta.uid})"


def should_restart(pod: Any, container: Any, record: ContainerRecord) -> bool:
    """Whether a run that ended is followed by another: the container's rules, its policy, the pod's policy."""
    for rule in container.restartPolicyRules:
        codes = rule.exitCodes
        if codes is None:
            continue
        listed = record.exit_code in codes.values
        if listed == (codes.operator == "In"):
            return rule.action in ("Restart", "RestartAllContainers")
    policy = container.restartPolicy or pod.spec.restartPolicy
    if policy == "Always":
        return True
    return policy == "OnFailure" and record.exit_code != 0


def should_restart_init(pod: Any, container: Any, record: ContainerRecord) -> bool:
    """Init containers: one that succeeded is over, whatever the policy."""
    if is_sidecar(container):
        return True
    if record.exit_code == 0:
        return False
    if container.restartPolicy or container.restartPolicyRules:
        return should_restart(pod, container, record)
    return pod.spec.restartPolicy != "Never"


def plan(
    pod: Any,
    record: PodRecord,
    backoffs: Mapping[str, Backoff],
    health: Mapping[str, Health],
    now: float,
) -> Plan:
    """For a pod that should run and whose sandbox stands."""
    todo = Plan()
    spec = pod.spec
    begun = any(record.last(c.name) is not None for c in spec.containers)
    todo.initialized = begun or _initialized(pod, record, health)
    _plan_init(todo, pod, record, backoffs, health, now)
    todo.start += [Start(c, 0) for c in spec.ephemeralContainers if record.last(c.name) is None]
    if not todo.initialized:
        return todo
    for container in spec.containers:
        _plan_container(todo, pod, container, record, backoffs, health, now)
    if all_ended(pod, record):
        todo.start.clear()
        todo.kill = [
            Kill(c, f"Stopping container {c.name}")
            for c in spec.initContainers
            if is_sidecar(c) and _alive(record.last(c.name))
        ]
    return todo


def _alive(record: ContainerRecord | None) -> bool:
    return record is not None and record.state in (CREATED, RUNNING)


def _initialized(pod: Any, record: PodRecord, health: Mapping[str, Health]) -> bool:
    """Every init container has succeeded; every sidecar has started."""
    for container in pod.spec.initContainers:
        run = record.last(container.name)
        if run is None:
            return False
        if is_sidecar(container):
            if run.state != RUNNING or not health.get(container.name, HEALTHY).started:
                return False
        elif run.state != EXITED or run.exit_code != 0:
            return False
    return True


def _plan_init(
    todo: Plan,
    pod: Any,
    record: PodRecord,
    backoffs: Mapping[str, Backoff],
    health: Mapping[str, Health],
    now: float,
) -> None:
    """One after the other; a sidecar lets the next begin once it has started, and is kept running for good."""
    for container in pod.spec.initContainers:
        run = record.last(container.name)
        if is_sidecar(container):
            _plan_container(todo, pod, container, record, backoffs, health, now)
            if todo.initialized:
                continue
            if run is None or run.state != RUNNING or not health.get(container.name, HEALTHY).started:
                return
            continue
        if todo.initialized or (run is not None and run.state == EXITED and run.exit_code == 0):
            continue
        _plan_container(todo, pod, container, record, backoffs, health, now)
        return


def _plan_container(
    todo: Plan,
    pod: Any,
    container: Any,
    record: PodRecord,
    backoffs: Mapping[str, Backoff],
    health: Mapping[str, Health],
    now: float,
) -> None:
    run = record.last(container.name)
    if run is None:
        todo.start.append(Start(container, 0))
        return
    if run.state == CREATED:
        return
    if run.state == RUNNING:
        _plan_running(todo, container, run, health.get(container.name, HEALTHY))
        return
    if run.state == FAILED:
        _plan_failed(todo, container, run, backoffs.get(container.name), now)
        return
    init = any(container is c for c in pod.spec.initContainers)
    if not (should_restart_init if init else should_restart)(pod, container, run):
        return
    backoff = backoffs.get(container.name)
    left = backoff.remaining(run.finished_at, now) if backoff is not None else 0.0
    if left > 0 and backoff is not None:
        length = format_go_duration(backoff.seconds)
        message = f"back-off {length} restarting failed container={container.name} pod={pod_name(pod)}"
        todo.waiting[container.name] = (CRASH_LOOP, message)
        todo.look_again(left)
        return
    todo.start.append(Start(container, run.attempt + 1, run))


def _plan_running(todo: Plan, container: Any, run: ContainerRecord, health: Health) -> None:
    if run.made_from != container.image:
        todo.kill.append(Kill(container, f"Container {container.name} definition changed, will be restarted"))
    elif health.failed:
        todo.kill.append(
            Kill(container, f"Container {container.name} failed {health.failed} probe, will be restarted")
        )


def _plan_failed(
    todo: Plan, container: Any, run: ContainerRecord, backoff: Backoff | None, now: float
) -> None:
    pulling = run.reason == PULL_FAILED
    seconds = backoff.seconds if pulling and backoff is not None else CREATE_RETRY_SECONDS
    left = run.finished_at + seconds - now
    if left > 0:
        waiting = (run.reason, run.message)
        if pulling:
            message = f'Back-off pulling image "{container.image}": {PULL_FAILED}: {run.message}'
            waiting = (PULL_BACKOFF, message)
        todo.waiting[container.name] = waiting
        todo.look_again(left)
        return
    todo.start.append(Start(container, run.attempt, run))


def all_ended(pod: Any, record: PodRecord) -> bool:
    """No regular container runs, and none will again."""
    for container in pod.spec.containers:
        run = record.last(container.name)
        if run is None or run.state != EXITED or should_restart(pod, container, run):
            return False
    return True
