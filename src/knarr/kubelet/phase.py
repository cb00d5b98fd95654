"""The phase of a pod, from its spec and the runs of its containers."""

from __future__ import annotations

from typing import Any

from knarr.kubelet.plan import is_sidecar, should_restart, should_restart_init
from knarr.kubelet.runtime import EXITED, RUNNING, PodRecord

TERMINAL = ("Succeeded", "Failed")


def phase_of(pod: Any, record: PodRecord | None, over: bool = False) -> str:
    """Pending, Running, Succeeded or Failed. `over`: the pod was told to end, so nothing starts again."""
    if record is None:
        return "Failed" if over else "Pending"
    if not over and (init := _init_phase(pod, record)):
        return init
    running = waiting = restarting = stopped = succeeded = 0
    for container in pod.spec.containers:
        runs = record.containers.get(container.name)
        if not runs:
            waiting += 1
            continue
        run = runs[-1]
        if run.state == RUNNING:
            running += 1
        elif run.state == EXITED:
            stopped += 1
            succeeded += run.exit_code == 0
            restarting += not over and should_restart(pod, container, run)
        elif len(runs) > 1:
            # it waits for its next run
            stopped += 1
            restarting += not over
        else:
            waiting += 1
    if running or restarting:
        return "Pending" if waiting else "Running"
    if waiting:
        return "Failed" if over else "Pending"
    return "Succeeded" if stopped == succeeded else "Failed"


def _init_phase(pod: Any, record: PodRecord) -> str:
    """ "" once init containers are through (or regular containers have run, which says the same)."""
    if any(record.last(c.name) is not None for c in pod.spec.containers):
        return ""
    for container in pod.spec.initContainers:
        run = record.last(container.name)
        if run is None:
            return "Pending"
        if is_sidecar(container):
            if run.state != RUNNING:
                return "Pending"
        elif run.state != EXITED:
            return "Pending"
        elif run.exit_code != 0:
            return "Pending" if should_restart_init(pod, container, run) else "Failed"
    return ""
