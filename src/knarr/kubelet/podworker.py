"""PodWorker: one pod on its way from assigned to gone.

It has no task. The kubelet calls `sync` when the pod, the runtime or a probe says that something is new, and when a
time it asked for has come; each call looks at the whole pod, tells the runtime what is missing and leaves the
status that follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from knarr.kubelet import words
from knarr.kubelet.admit import REJECTED
from knarr.kubelet.backoff import Backoff
from knarr.kubelet.hooks import Stopper
from knarr.kubelet.phase import TERMINAL, phase_of
from knarr.kubelet.plan import CRASH_LOOP, Health, Kill, Plan, is_sidecar, plan, pod_name
from knarr.kubelet.prober import Foretold, Prober
from knarr.kubelet.recorder import Recorders
from knarr.kubelet.runtime import EXITED, FAILED, RUNNING, PodRecord, Runtime
from knarr.kubelet.settings import Settings
from knarr.kubelet.status import Inputs, Status, pod_status, rejected_status
from knarr.meta import times

DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
#: containers get at least this to end
GRACE_SECONDS_MIN = 2.0
GRACE_SECONDS_DEFAULT = 30.0


@dataclass
class Context:
    """What all workers of a process share."""

    runtime: Runtime
    recorders: Recorders
    prober: Prober | Foretold
    stopper: Stopper
    settings: Settings


class PodWorker:
    """See the module. `sync` returns in how many seconds it wants to be called again, None for not."""

    __slots__ = (
        "_backoffs",
        "_conditions",
        "_context",
        "_created",
        "_failed",
        "_health",
        "_host_ips",
        "_killed",
        "_rejected",
        "_started_at",
        "_stop_deadline",
        "_waiting",
        "finished",
        "gone",
        "over",
        "pod",
        "reported",
        "status",
        "uid",
        "writing",
    )

    def __init__(self, context: Context, pod: Any, host_ips: tuple[str, ...]) -> None:
        self._context, self.pod, self._host_ips = context, pod, host_ips
        self.uid: str = pod.metadata.uid
        self.status: Status | None = None
        self.reported: Status = {}
        self.writing = self.finished = self.gone = False
        #: nothing starts any more
        self.over = False
        self._created = self._rejected = False
        self._started_at = times.parse(pod.status.startTime) if pod.status.startTime else 0.0
        self._failed: tuple[str, str] | None = None
        self._backoffs: dict[str, Backoff] = {}
        self._health: dict[str, Health] = {}
        #: container -> (since when, (reason, message))
        self._waiting: dict[str, tuple[float, tuple[str, str]]] = {}
        #: ids of runs that were told to end
        self._killed: set[str] = set()
        self._stop_deadline = 0.0
        self._conditions = {
            c.type: {"type": c.type, "status": c.status, "lastTransitionTime": c.lastTransitionTime}
            for c in pod.status.conditions
        }

    @property
    def overwritten(self) -> bool:
        """Somebody else has changed the phase that we wrote."""
        if self.writing or self.status is None or self.status != self.reported:
            return False
        return self.pod.status.phase != self.status["phase"]

    def reject(self, reason: str, message: str) -> None:
        """It may not run here: it fails before anything of it is made."""
        self.over = self._rejected = True
        self._failed = reason, REJECTED + message

    # -- deciding and acting ---------------------------------------------------------------------------------

    def sync(self, now: float) -> float | None:
        context = self._context
        self._started_at = self._started_at or now
        wake = self._look_for_the_end(now)
        record = context.runtime.status(self.uid)
        if not self.over:
            if not self._created:
                self._created = True
                context.runtime.create_pod(self.pod)
                record = context.runtime.status(self.uid)
            if record is not None and record.ready:
                wake = _sooner(wake, self._advance(record, now))
        if self.over:
            if record is None and self.pod.status.containerStatuses:
                context.runtime.adopt_pod(self.pod)
                record = context.runtime.status(self.uid)
            wake = _sooner(wake, self._end(record, now))
        self._publish(record, now)
        return wake

    def _look_for_the_end(self, now: float) -> float | None:
        """Deletion, a terminal phase in the API, or the deadline."""
        pod = self.pod
        if pod.metadata.deletionTimestamp is not None:
            self.over = True
            return None
        if not self.over and pod.status.phase in TERMINAL:
            self.over = True
            if pod.status.phase == "Failed":
                self._failed = (pod.status.reason, pod.status.message)
            return None
        seconds = pod.spec.activeDeadlineSeconds
        if seconds is None or self.over:
            return None
        left = self._started_at + seconds - now
        if left > 0:
            return left
        self.over, self._failed = True, DEADLINE
        self._context.recorders.pod_event(pod, words.NORMAL, DEADLINE[0], DEADLINE[1])
        return None

    def _advance(self, record: PodRecord, now: float) -> float | None:
        wake = self._ask_health(record, now)
        todo = plan(self.pod, record, self._backoffs, self._health, now)
        for start in todo.start:
            after = start.after
            if after is not None and (after.state == EXITED or after.reason == "ErrImagePull"):
                self._backoffs.setdefault(start.container.name, Backoff()).lengthen(after.finished_at, now)
            self._health.pop(start.container.name, None)
            self._context.runtime.start_container(self.pod, start.container, start.attempt)
        for kill in todo.kill:
            self._kill(kill, record, self._grace_of(kill))
        wake = _sooner(_sooner(wake, todo.wake), self._note_waiting(todo, now))
        if todo.start:
            wake = _sooner(wake, self._ask_health(record, now))
        if phase_of(self.pod, record) in TERMINAL:
            self.over = True
        return wake

    def _ask_health(self, record: PodRecord, now: float) -> float | None:
        wake = None
        for container in (*self.pod.spec.initContainers, *self.pod.spec.containers):
            run = record.last(container.name)
            if run is not None and run.state == RUNNING:
                self._health[container.name], change = self._context.prober.health(
                    self.pod, container, run, now
                )
                wake = _sooner(wake, change)
        return wake

    def _note_waiting(self, todo: Plan, now: float) -> float | None:
        """Remember since when; a terminated state is shown for a moment before its waiting reason is."""
        wake = None
        for name, why in todo.waiting.items():
            known = self._waiting.get(name)
            if known is None or known[1][0] != why[0]:
                wake = self._context.settings.resync_seconds
                self._waiting[name] = (now, why)
                if why[0] == CRASH_LOOP:
                    message = words.backing_off(name, pod_name(self.pod))
                    self._event(words.WARNING, words.BACKOFF, message, name)
                elif why[0] == "ImagePullBackOff":
                    self._event(words.NORMAL, words.BACKOFF, why[1].partition(": ")[0], name)
                    self._event(words.WARNING, words.FAILED, f"Error: {why[0]}", name)
            else:
                self._waiting[name] = (known[0], why)
        for name in [name for name in self._waiting if name not in todo.waiting]:
            del self._waiting[name]
        return wake

    def _grace_of(self, kill: Kill) -> float:
        """The failed probe's own grace before the pod's."""
        failed = self._health.get(kill.container.name, Health()).failed
        probe = getattr(kill.container, f"{failed}Probe") if failed else None
        if probe is not None and probe.terminationGracePeriodSeconds is not None:
            return max(float(probe.terminationGracePeriodSeconds), GRACE_SECONDS_MIN)
        return self._grace()

    def _grace(self) -> float:
        """Of the deletion, else of the spec."""
        seconds = self.pod.metadata.deletionGracePeriodSeconds
        if seconds is None:
            seconds = self.pod.spec.terminationGracePeriodSeconds
        return max(float(GRACE_SECONDS_DEFAULT if seconds is None else seconds), GRACE_SECONDS_MIN)

    def _kill(self, kill: Kill, record: PodRecord, grace: float) -> None:
        run = record.last(kill.container.name)
        if run is None or run.id in self._killed:
            return
        self._killed.add(run.id)
        self._event(words.NORMAL, words.KILLING, kill.message, kill.container.name)
        self._context.stopper.stop(self.pod, kill.container, run, grace)

    # -- ending ----------------------------------------------------------------------------------------------

    def _end(self, record: PodRecord | None, now: float) -> float | None:
        """Regular containers first, then sidecars from the last to the first."""
        running = record.running if record is not None else []
        if record is None or not running:
            self._ended(record)
            return None
        if self._stop_deadline == 0.0 or self.pod.metadata.deletionGracePeriodSeconds is not None:
            deadline = now + self._grace()
            if self._stop_deadline == 0.0:
                self._stop_deadline = deadline
            elif deadline < self._stop_deadline - 1:
                # deleted again with a shorter grace
                self._stop_deadline = deadline
                for run in running:
                    self._context.runtime.kill_container(self.pod, run.name, self._grace())
        grace = max(self._stop_deadline - now, GRACE_SECONDS_MIN)
        alive = {run.name for run in running}
        sidecars = [c for c in self.pod.spec.initContainers if is_sidecar(c) and c.name in alive]
        others = [
            c
            for c in (
                *self.pod.spec.initContainers,
                *self.pod.spec.containers,
                *self.pod.spec.ephemeralContainers,
            )
            if c.name in alive and c not in sidecars
        ]
        for container in others or sidecars[-1:]:
            self._kill(Kill(container, words.stopping(container.name)), record, grace)
        return None

    def _ended(self, record: PodRecord | None) -> None:
        self._context.prober.stop(self.uid)
        if self.pod.metadata.deletionTimestamp is not None:
            self.finished = True

    def forget(self) -> None:
        """Its object is gone from the API: end what still runs, keep nothing."""
        self.gone = True
        self.over = True
        self._context.prober.stop(self.uid)
        record = self._context.runtime.status(self.uid)
        if record is None:
            return
        for run in record.running:
            self._context.runtime.kill_container(self.pod, run.name, GRACE_SECONDS_MIN)
        self._context.runtime.remove_pod(self.uid)

    # -- telling ---------------------------------------------------------------------------------------------

    def _event(self, type_: str, reason: str, message: str, container: str = "") -> None:
        self._context.recorders.pod_event(self.pod, type_, reason, message, container)

    def _publish(self, record: PodRecord | None, now: float) -> None:
        if self._rejected and self._failed is not None:
            self.status = rejected_status(self.pod, self._started_at, *self._failed)
            return
        if not self._context.settings.creating_shown and not self.over and not _has_shown(record):
            return
        shown_since = now - self._context.settings.resync_seconds + 1e-3
        gates: dict[str, str] = {}
        if self.pod.spec.readinessGates:
            gates = {c.type: c.status for c in self.pod.status.conditions}
        status = pod_status(
            Inputs(
                pod=self.pod,
                record=record,
                runtime=self._context.runtime.name,
                host_ips=self._host_ips,
                started_at=self._started_at,
                now=now,
                health=self._health,
                waiting={name: why for name, (since, why) in self._waiting.items() if since <= shown_since},
                before=self._conditions,
                gates=gates,
                over=self.over,
                failed=self._failed,
                shown=_container_statuses(self.status),
                phase_before=self.status["phase"] if self.status else self.pod.status.phase or "Pending",
            )
        )
        self._conditions = {c["type"]: c for c in status["conditions"]}
        self.status = status


def _container_statuses(status: Status | None) -> dict[str, Status]:
    if status is None:
        return {}
    fields = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return {shown["name"]: shown for field in fields for shown in status.get(field, ())}


def _has_shown(record: PodRecord | None) -> bool:
    """Some container is beyond being created."""
    return record is not None and any(
        run.state in (RUNNING, EXITED, FAILED) for runs in record.containers.values() for run in runs
    )


def _sooner(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
