"""When a failed pod is replaced: 10 s after the first failure, then twice as long each time, at most 10 minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from knarr.controllers.job.policies import match_failure
from knarr.controllers.pods import condition
from knarr.meta import times

BACKOFF_SECONDS, BACKOFF_SECONDS_MAX = 10.0, 600.0
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


def delay(failures: int, last: float | None, now: float) -> float:
    """Seconds still to wait after so many failures in a row, the last one at `last`."""
    if not failures or last is None:
        return 0.0
    backoff = min(BACKOFF_SECONDS * 2 ** min(failures - 1, 16), BACKOFF_SECONDS_MAX)
    return max(0.0, last + backoff - now)


class Record(NamedTuple):
    """A job's failures since its last success. Lost with the controller: the wait begins anew then."""

    failures: int = 0
    last: float | None = None

    def after(self, succeeded: Sequence[Any], failed: Sequence[Any]) -> Record:
        """With the pods that have finished since."""
        if not succeeded and not failed:
            return self
        ends = sorted(finished_at(pod) for pod in failed)
        if not succeeded:
            return Record(self.failures + len(ends), ends[-1])
        success = max(finished_at(pod) for pod in succeeded)
        ends = [end for end in ends if end > success]
        return Record(len(ends), ends[-1] if ends else None)

    def wait(self, now: float) -> float:
        return delay(self.failures, self.last, now)


def finished_at(pod: Any) -> float:
    """When its last container ended, in epoch seconds; the best guess where nobody said."""
    ends = [_ended(status) for status in pod.status.containerStatuses]
    if ends and None not in ends:
        return max(end for end in ends if end is not None)
    ready = condition(pod, "Ready")
    if ready is not None and ready.status == "False" and ready.lastTransitionTime:
        return times.parse(ready.lastTransitionTime)
    meta = pod.metadata
    if meta.deletionTimestamp:
        return times.parse(meta.deletionTimestamp) - (meta.deletionGracePeriodSeconds or 0)
    return times.parse(meta.creationTimestamp) if meta.creationTimestamp else 0.0


def _ended(status: Any) -> float | None:
    terminated = status.state.terminated if status.state is not None else None
    return times.parse(terminated.finishedAt) if terminated is not None and terminated.finishedAt else None


class IndexFailures(NamedTuple):
    """What the pod of an index says of its predecessors."""

    counted: int = 0
    ignored: int = 0

    @property
    def total(self) -> int:
        return self.counted + self.ignored

    def annotations(self) -> dict[str, str]:
        noted = {INDEX_FAILURES: str(self.counted)}
        return noted | ({INDEX_IGNORED: str(self.ignored)} if self.ignored else {})


def index_failures(pod: Any) -> IndexFailures:
    """Before this pod."""
    notes = (pod.metadata.annotations.get(name, "") for name in (INDEX_FAILURES, INDEX_IGNORED))
    return IndexFailures(*(int(note) if note.isdecimal() else 0 for note in notes))


def index_failures_with(job: Any, pod: Any) -> IndexFailures:
    """With this pod, which failed."""
    before = index_failures(pod)
    if match_failure(job.spec.podFailurePolicy, pod).counts:
        return before._replace(counted=before.counted + 1)
    return before._replace(ignored=before.ignored + 1)
