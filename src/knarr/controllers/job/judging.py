"""What a job's pods amount to: how far it is, whether it is over, and which pods can be counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from knarr.api.types import batch_v1
from knarr.controllers.conditions import find, is_true
from knarr.controllers.job import indexes
from knarr.controllers.job.failures import index_failures, index_failures_with
from knarr.controllers.job.indexes import Indexes, index_of, valid_index
from knarr.controllers.job.newpods import is_indexed, is_tracked
from knarr.controllers.job.policies import match_failure, match_success
from knarr.controllers.pods import is_active, is_ready, is_terminating, worth_keeping
from knarr.meta import times

#: uids that status.uncountedTerminatedPods may hold at once, so that it stays small
UNCOUNTED_MAX = 500


class Verdict(NamedTuple):
    """How the job ends: a condition's type (FailureTarget, Failed, SuccessCriteriaMet), reason and message."""

    type: str
    reason: str
    message: str

    @property
    def failed(self) -> bool:
        return self.type != "SuccessCriteriaMet"


REACHED = Verdict("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")
BACKOFF = Verdict("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE = Verdict("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
TOO_MANY_INDEXES = Verdict(
    "FailureTarget",
    "MaxFailedIndexesExceeded",
    "Job has exceeded the specified maximal number of failed indexes",
)
FAILED_INDEXES = Verdict("FailureTarget", "FailedIndexes", "Job has failed indexes")


def is_finished(job: Any) -> bool:
    return is_true(job.status.conditions, "Complete") or is_true(job.status.conditions, "Failed")


def replaces_only_failed(job: Any) -> bool:
    """Wait until a pod has really ended before it is replaced and counted."""
    return job.spec.podReplacementPolicy == "Failed" or job.spec.podFailurePolicy is not None


def has_failed(job: Any, pod: Any) -> bool:
    """A pod that is deleted before it finished has failed too, unless the job wants to see it end."""
    phase = pod.status.phase
    if phase == "Failed" or replaces_only_failed(job):
        return phase == "Failed"
    return pod.metadata.deletionTimestamp is not None and phase != "Succeeded"


def uncounted(status: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Uids that are in the status and perhaps still have their finalizer: (succeeded, failed)."""
    known = status.uncountedTerminatedPods
    return (known.succeeded, known.failed) if known is not None else ((), ())


@dataclass
class Pass:
    """One look at a job and its pods. `removing`: uids whose finalizers were taken off, which is not seen yet."""

    job: Any
    pods: list[Any]
    now: float
    removing: frozenset[str] = frozenset()
    active: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        if is_indexed(self.job):
            self.pods = sorted(self.pods, key=lambda pod: (index_of(pod) is None, index_of(pod) or 0))
        self.active = [pod for pod in self.pods if is_active(pod)]

    @property
    def ready(self) -> int:
        return sum(is_ready(pod) for pod in self.active)

    @property
    def terminating(self) -> int:
        return sum(is_terminating(pod) for pod in self.pods)

    @cached_property
    def tracked(self) -> list[Any]:
        """Pods that are still to be counted."""
        return [pod for pod in self.pods if is_tracked(pod) and pod.metadata.uid not in self.removing]

    @cached_property
    def new_succeeded(self) -> list[Any]:
        return self._new(0, [pod for pod in self.tracked if pod.status.phase == "Succeeded"])

    @cached_property
    def new_failed(self) -> list[Any]:
        return self._new(1, [pod for pod in self.tracked if has_failed(self.job, pod)])

    def _new(self, which: int, pods: list[Any]) -> list[Any]:
        known = uncounted(self.job.status)[which]
        indexed = is_indexed(self.job)
        return [
            pod
            for pod in pods
            if pod.metadata.uid not in known and (not indexed or valid_index(self.job, pod) is not None)
        ]

    @cached_property
    def failed(self) -> int:
        policy = self.job.spec.podFailurePolicy
        new = sum(match_failure(policy, pod).counts for pod in self.new_failed)
        return self.job.status.failed + new + len(uncounted(self.job.status)[1])

    @property
    def succeeded(self) -> int:
        if is_indexed(self.job):
            return self.succeeded_indexes.total
        return self.job.status.succeeded + len(self.new_succeeded) + len(uncounted(self.job.status)[0])

    @cached_property
    def counted_indexes(self) -> Indexes:
        """Succeeded, by the status."""
        return indexes.parse(self.job.status.completedIndexes, self.job.spec.completions)

    @cached_property
    def succeeded_indexes(self) -> Indexes:
        done = [pod for pod in self.pods if pod.status.phase == "Succeeded" and is_tracked(pod)]
        return self.counted_indexes.adding(self._indexes(done))

    @cached_property
    def failed_indexes(self) -> Indexes | None:
        """None where failures are not counted per index."""
        job = self.job
        if job.spec.backoffLimitPerIndex is None or not is_indexed(job):
            return None
        over = [pod for pod in self.pods if is_tracked(pod) and self._gives_up_index(pod)]
        return indexes.parse(job.status.failedIndexes, job.spec.completions).adding(self._indexes(over))

    def _gives_up_index(self, pod: Any) -> bool:
        job = self.job
        if not has_failed(job, pod):
            return False
        if match_failure(job.spec.podFailurePolicy, pod).action == "FailIndex":
            return True
        return index_failures_with(job, pod).counted > job.spec.backoffLimitPerIndex

    def _indexes(self, pods: list[Any]) -> list[int]:
        found = (valid_index(self.job, pod) for pod in pods)
        return [index for index in found if index is not None]

    @cached_property
    def awaiting_successor(self) -> dict[int, Any]:
        """Per index the failed pod that keeps its finalizer until a new pod repeats its count of failures."""
        if self.failed_indexes is None:
            return {}
        settled = self.succeeded_indexes.joined(self.failed_indexes).adding(self._indexes(self.active))
        waiting: dict[int, Any] = {}
        for pod in self.tracked:
            index = valid_index(self.job, pod)
            if index is None or settled.has(index) or not has_failed(self.job, pod):
                continue
            known = waiting.get(index)
            if known is None or index_failures(known).total <= index_failures(pod).total:
                waiting[index] = pod
        return waiting


# -- is it over? ----------------------------------------------------------------------------------------------


def judge(look: Pass) -> Verdict | None:
    """None while the job should go on. What was decided before stands."""
    job, conditions = look.job, look.job.status.conditions
    for type_, final in (("SuccessCriteriaMet", "SuccessCriteriaMet"), ("FailureTarget", "Failed")):
        known = find(conditions, type_)
        if known is not None and known.status == "True":
            return Verdict(final, known.reason, known.message)
    for pod in look.pods:
        if has_failed(job, pod) and (match := match_failure(job.spec.podFailurePolicy, pod)).message:
            return Verdict("FailureTarget", "PodFailurePolicy", match.message)
    if look.failed > job.spec.backoffLimit or restarted_too_often(job, look.pods):
        return BACKOFF
    left = seconds_left(job, look.now)
    if left is not None and left <= 0:
        return DEADLINE
    return _judge_indexes(look) if is_indexed(job) else None


def _judge_indexes(look: Pass) -> Verdict | None:
    spec = look.job.spec
    if look.failed_indexes is not None:
        failed = look.failed_indexes.total
        if spec.maxFailedIndexes is not None and failed > spec.maxFailedIndexes:
            return TOO_MANY_INDEXES
        if failed and failed + look.succeeded_indexes.total >= spec.completions:
            return FAILED_INDEXES
    message = match_success(spec.successPolicy, look.succeeded_indexes, spec.completions)
    return Verdict("SuccessCriteriaMet", "SuccessPolicy", message) if message is not None else None


def restarted_too_often(job: Any, pods: list[Any]) -> bool:
    """Containers that kubelet restarts in place count by their restarts."""
    if job.spec.template.spec.restartPolicy != "OnFailure":
        return False
    restarts = sum(
        status.restartCount
        for pod in pods
        if pod.status.phase in ("Running", "Pending")
        for status in (*pod.status.initContainerStatuses, *pod.status.containerStatuses)
    )
    return restarts > 0 and restarts >= job.spec.backoffLimit


def seconds_left(job: Any, now: float) -> float | None:
    """Until activeDeadlineSeconds are over; None without one, or while the job is suspended."""
    if job.spec.activeDeadlineSeconds is None or not job.status.startTime or job.spec.suspend:
        return None
    return times.parse(job.status.startTime) + job.spec.activeDeadlineSeconds - now


def is_complete(look: Pass, active: int) -> bool:
    """Enough successes; without a number of completions one is enough, but the others are let finish."""
    completions = look.job.spec.completions
    enough = look.succeeded > 0 if completions is None else look.succeeded >= completions
    return enough and active == 0


# -- which pods should run? -----------------------------------------------------------------------------------


def wanted(look: Pass) -> int:
    """How many pods should be active."""
    spec = look.job.spec
    if spec.completions is None:
        return len(look.active) if look.succeeded else spec.parallelism
    return max(0, min(spec.completions - look.succeeded, spec.parallelism))


def surplus(look: Pass, count: int) -> list[Any]:
    """Active pods to delete: at least `count`, and every second pod of one index."""
    gone, kept = _duplicates(look) if is_indexed(look.job) else ([], look.active)
    if len(gone) < count:
        kept = sorted(kept, key=lambda pod: worth_keeping(pod, 0, look.now))
        gone = gone + kept[: count - len(gone)]
    return gone


def _duplicates(look: Pass) -> tuple[list[Any], list[Any]]:
    """(pods that work on what another works on, or on nothing that is wanted; one pod per index)."""
    kept: dict[int, Any] = {}
    gone = []
    for pod in sorted(look.active, key=lambda pod: worth_keeping(pod, 0, look.now)):
        index = valid_index(look.job, pod)
        if index is None:
            gone.append(pod)
            continue
        if index in kept:
            gone.append(kept[index])
        kept[index] = pod
    return gone, list(kept.values())


def pending_indexes(look: Pass, count: int) -> list[int]:
    """The first indexes that nobody works on and that are neither succeeded nor given up."""
    busy = list(look.active)
    if replaces_only_failed(look.job):
        busy += [pod for pod in look.pods if is_terminating(pod)]
    taken = look.succeeded_indexes.adding(look._indexes(busy))
    if look.failed_indexes is not None:
        taken = taken.joined(look.failed_indexes)
    gaps = taken.gaps(look.job.spec.completions)
    return [index for index, _ in zip(gaps, range(count), strict=False)]


# -- counting -------------------------------------------------------------------------------------------------


class Count(NamedTuple):
    """The status with new uids (or indexes), whose finalizers may then be removed. `more`: the bound was reached."""

    status: Any
    to_free: list[Any]
    more: bool


def count(look: Pass, status: Any, verdict: Verdict | None) -> Count:
    """Enter what has finished into the status."""
    job, indexed = look.job, is_indexed(look.job)
    status = settle(status, {pod.metadata.uid for pod in look.tracked})
    succeeded, failed = map(list, uncounted(status))
    new_indexes: list[int] = []
    to_free, more = [], False
    for pod in look.tracked:
        if not _may_be_freed(look, pod, verdict):
            continue
        to_free.append(pod)
        uid, index = pod.metadata.uid, valid_index(job, pod) if indexed else None
        if pod.status.phase == "Succeeded" and uid not in failed:
            if indexed:
                if index is not None and not look.counted_indexes.has(index):
                    new_indexes.append(index)
            elif uid not in succeeded:
                succeeded.append(uid)
        elif has_failed(job, pod) or (verdict is not None and verdict.failed):
            # when the job has failed, every pod that did not finish has failed with it
            known = uid in failed or (indexed and index is None)
            if not known and match_failure(job.spec.podFailurePolicy, pod).counts:
                failed.append(uid)
        if len(new_indexes) + len(succeeded) + len(failed) >= UNCOUNTED_MAX:
            more = True
            break
    changes: dict[str, Any] = {
        "uncountedTerminatedPods": batch_v1.UncountedTerminatedPods(
            succeeded=tuple(succeeded), failed=tuple(failed)
        )
    }
    if indexed:
        done = look.counted_indexes.adding(new_indexes)
        changes |= {"succeeded": done.total, "completedIndexes": str(done)}
        changes["failedIndexes"] = None if look.failed_indexes is None else str(look.failed_indexes)
    return Count(msgspec.structs.replace(status, **changes), to_free, more)


def _may_be_freed(look: Pass, pod: Any, verdict: Verdict | None) -> bool:
    if look.job.metadata.deletionTimestamp or verdict is not None or pod.status.phase == "Succeeded":
        return True
    if not has_failed(look.job, pod):
        return False
    index = valid_index(look.job, pod) if is_indexed(look.job) else None
    return index is None or look.awaiting_successor.get(index) is not pod


def settle(status: Any, tracked: set[str]) -> Any:
    """Uids whose finalizers are gone turn into numbers."""
    lists = uncounted(status)
    left = [tuple(uid for uid in uids if uid in tracked) for uids in lists]
    if all(len(before) == len(after) for before, after in zip(lists, left, strict=True)):
        return status
    return msgspec.structs.replace(
        status,
        succeeded=status.succeeded + len(lists[0]) - len(left[0]),
        failed=status.failed + len(lists[1]) - len(left[1]),
        uncountedTerminatedPods=batch_v1.UncountedTerminatedPods(succeeded=left[0], failed=left[1]),
    )


# -- conditions -----------------------------------------------------------------------------------------------


def with_condition(status: Any, type_: str, value: str, reason: str, message: str, now: float) -> Any:
    """Unchanged where it says so already; a condition that never was is not added to say that it is not."""
    known = find(status.conditions, type_)
    if known is None and value == "False":
        return status
    if known is not None and (known.status, known.reason, known.message) == (value, reason, message):
        return status
    stamp = times.format(now)
    condition = batch_v1.JobCondition(
        type=type_,
        status=value,
        reason=reason,
        message=message,
        lastProbeTime=stamp,
        lastTransitionTime=stamp,
    )
    if known is None:
        return msgspec.structs.replace(status, conditions=(*status.conditions, condition))
    conditions = tuple(condition if c is known else c for c in status.conditions)
    return msgspec.structs.replace(status, conditions=conditions)


def finished(status: Any, verdict: Verdict, now: float) -> Any:
    """With the last word: Complete or Failed."""
    final = "Failed" if verdict.failed else "Complete"
    status = with_condition(status, final, "True", verdict.reason, verdict.message, now)
    return status if verdict.failed else msgspec.structs.replace(status, completionTime=times.format(now))
