"""What a pod's status says of containers that ran before this process started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.kubelet.runtime import EXITED, RUNNING, ContainerRecord
from knarr.meta import times

LOST = (
    "ContainerStatusUnknown",
    "The container could not be located when the pod was terminated",
    137,
)


def restored(pod: Any) -> Iterator[ContainerRecord]:
    """The last run (and the one before it) of each container, running or ended, oldest first."""
    specs = {c.name: c for c in (*pod.spec.initContainers, *pod.spec.containers)}
    for status in (*pod.status.initContainerStatuses, *pod.status.containerStatuses):
        container = specs.get(status.name)
        if container is None:
            continue
        for state, attempt in (
            (status.lastState, status.restartCount - 1),
            (status.state, status.restartCount),
        ):
            run = _run(status, state, max(attempt, 0), container)
            if run is not None:
                yield run


def _run(status: Any, state: Any, attempt: int, container: Any) -> ContainerRecord | None:
    if state is None or (state.running is None and state.terminated is None):
        return None
    run = ContainerRecord(
        status.name,
        attempt,
        status.containerID.partition("://")[2],
        image=status.image,
        image_id=status.imageID,
        made_from=container.image,
    )
    if state.running is not None:
        run.state, run.started_at = RUNNING, _seconds(state.running.startedAt)
        return run
    ended = state.terminated
    run.state, run.id = EXITED, ended.containerID.partition("://")[2] or run.id
    run.exit_code, run.signal = ended.exitCode, ended.signal or 0
    run.reason, run.message = ended.reason, ended.message
    run.started_at, run.finished_at = _seconds(ended.startedAt), _seconds(ended.finishedAt)
    return run


def lost(run: ContainerRecord, now: float) -> ContainerRecord:
    """A run that was under way and is gone."""
    run.state, run.finished_at = EXITED, now
    run.reason, run.message, run.exit_code = LOST
    return run


def _seconds(text: str | None) -> float:
    return times.parse(text) if text else 0.0
