"""scheduler_*: attempts and how they ended, as kube-scheduler counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from knarr.meta.histogram import Histogram
from knarr.meta.metrics import DOUBLING, Counters, Family, Histograms, Sample
from knarr.scheduler.queue.queued import UNSCHEDULABLE as PLACE

if TYPE_CHECKING:
    from knarr.scheduler.scheduler import Scheduler

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"
#: upper bounds: from ten milliseconds to an hour and a half; numbers of attempts; numbers of pods
SLI_BOUNDS = tuple(0.01 * 2**i for i in range(20))
ATTEMPT_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0)
VICTIM_BOUNDS = tuple(2.0**i for i in range(7))
#: later attempts are counted together
ATTEMPTS_TOLD_APART = 15


class SchedulerMetrics:
    """What the scheduler counts; an attempt ends with a binding or with a reason why not."""

    def __init__(self) -> None:
        labels = ("result", "profile")
        self._durations = Histograms(
            "scheduler_scheduling_attempt_duration_seconds",
            "How long attempts took, bindings included, in seconds.",
            DOUBLING,
            *labels,
        )
        self._algorithm = Histograms(
            "scheduler_scheduling_algorithm_duration_seconds",
            "How long it took to find a node, in seconds.",
            DOUBLING,
        )
        self._deciding = self._algorithm.row()
        self._tries = Histograms(
            "scheduler_pod_scheduling_attempts", "How many attempts pods took.", ATTEMPT_BOUNDS
        )
        self._tried = self._tries.row()
        self._waits = Histograms(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "How long pods that could be tried took to get a node, in seconds.",
            SLI_BOUNDS,
            "attempts",
        )
        self._preemptions = Counters(
            "scheduler_preemption_attempts_total", "Attempts to make room for a pod."
        )
        self._victims = Histograms(
            "scheduler_preemption_victims", "How many pods had to go at once.", VICTIM_BOUNDS
        )
        #: the rows of `_durations` and `_waits` that have been used
        self._ended: dict[tuple[str, str], Histogram] = {}
        self._waited: dict[int, Histogram] = {}

    def decided(self, seconds: float) -> None:
        self._deciding.observe(seconds)

    def ended(self, result: str, profile: str, seconds: float) -> None:
        row = self._ended.get((result, profile))
        if row is None:
            row = self._ended[result, profile] = self._durations.row(result, profile)
        row.observe(seconds)

    def bound(self, attempts: int, seconds: float) -> None:
        """A pod has a node, `seconds` after it was first tried."""
        self._tried.observe(attempts)
        shown = min(attempts, ATTEMPTS_TOLD_APART + 1)
        row = self._waited.get(shown)
        if row is None:
            label = str(shown) if shown <= ATTEMPTS_TOLD_APART else f"{ATTEMPTS_TOLD_APART}+"
            row = self._waited[shown] = self._waits.row(label)
        row.observe(seconds)

    def preempting(self) -> None:
        self._preemptions.add()

    def preempted(self, victims: int) -> None:
        self._victims.observe(victims)

    def families(self, scheduler: Scheduler) -> Iterator[Family]:
        ends: list[Sample] = [
            ("", {"result": result, "profile": profile}, row.count)
            for (result, profile), row in self._ended.items()
        ]
        words = "Attempts to schedule pods, by how they ended."
        yield Family("scheduler_schedule_attempts_total", "counter", words, ends)
        for vector in (self._durations, self._algorithm, self._tries, self._waits):
            yield vector.family()
        yield self._preemptions.family()
        yield self._victims.family()
        yield from _present(scheduler)


def _present(scheduler: Scheduler) -> Iterator[Family]:
    waiting: list[Sample] = [("", {"queue": name}, n) for name, n in scheduler.queue.counts().items()]
    yield Family("scheduler_pending_pods", "gauge", "Pods that wait, by where they do.", waiting)
    handle = scheduler.handle
    sizes = {
        "nodes": handle.cluster.nodes.count,
        "pods": len(handle.pods.records),
        "assumed_pods": sum(record.assumed for record in handle.pods.records.values()),
    }
    found: list[Sample] = [("", {"type": name}, n) for name, n in sizes.items()]
    yield Family("scheduler_cache_size", "gauge", "What the scheduler remembers.", found)
    reasons = Counter(
        (plugin, queued.profile)
        for queued in scheduler.queue.pods()
        if queued.place == PLACE
        for plugin in queued.rejected_by
    )
    blamed: list[Sample] = [("", {"plugin": p, "profile": profile}, n) for (p, profile), n in reasons.items()]
    words = "Pods that fit nowhere, by the plugins that say so."
    yield Family("scheduler_unschedulable_pods", "gauge", words, blamed)
