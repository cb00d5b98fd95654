"""DefaultPreemption: where removing less important pods would make room, remove them and wait for the node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from knarr.api.types import policy_v1
from knarr.client.client import is_not_found
from knarr.meta import labels, times
from knarr.meta.errors import StatusError
from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.nodes import PODS, Array
from knarr.scheduler.cache.pods import PodRecord
from knarr.scheduler.diagnosis import Diagnosis
from knarr.scheduler.framework import Framework, Plugin, PostFilterResult
from knarr.scheduler.handle import Handle
from knarr.scheduler.queue.queued import QueuedPod
from knarr.scheduler.terms import selector_of

MIN_CANDIDATES_PERCENTAGE, MIN_CANDIDATES = 10, 100
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
CONDITION, REASON = "DisruptionTarget", "PreemptionByScheduler"


class Candidate(NamedTuple):
    """A node, and the pods that would have to go, the most important first."""

    row: int
    victims: list[PodRecord]
    #: how many of them a disruption budget protects
    violations: int


def started(record: PodRecord) -> float:
    """When a pod began to run, as far as the API knows."""
    at = record.pod.status.startTime
    return times.parse(at) if at else float("inf")


def importance(record: PodRecord) -> tuple[int, float]:
    """Smaller is more important: priority first, then who runs longer."""
    return -record.cls.priority, started(record)


def preference(candidate: Candidate) -> tuple[Any, ...]:
    """The smallest is preempted: fewest broken budgets, least important of the most important victims, least
    importance in sum, fewest victims, latest start of the most important ones."""
    victims = candidate.victims
    highest = max((v.cls.priority for v in victims), default=0)
    first_started = min((started(v) for v in victims if v.cls.priority == highest), default=0.0)
    return (
        candidate.violations,
        highest,
        sum(v.cls.priority + 2**31 for v in victims),
        len(victims),
        -first_started,
    )


class DefaultPreemption(Plugin):
    """spec.priority and spec.preemptionPolicy."""

    name = "DefaultPreemption"

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._budgets = handle.informers.of(policy_v1.PodDisruptionBudget)

    # -- deciding ----------------------------------------------------------------------------------------

    def post_filter(self, queued: QueuedPod, diagnosis: Diagnosis, framework: Framework) -> PostFilterResult:
        self._handle.metrics.preempting()
        if reason := self._ineligible(queued):
            return PostFilterResult(f"preemption: {reason}")
        rows = np.flatnonzero(diagnosis.helpable) if diagnosis.helpable is not None else np.empty(0, int)
        tried: Counter[str] = Counter()
        candidates = self._candidates(queued, framework, rows, tried) if len(rows) else []
        if not candidates:
            return PostFilterResult(
                f"preemption: {_nowhere(tried, len(rows), diagnosis.nodes)}", nominated=""
            )
        best = min(candidates, key=preference)
        facts = self._handle.cluster.nodes.facts[best.row]
        assert facts is not None
        return PostFilterResult("", facts.name, lambda: self._preempt(queued, best.victims, facts.name))

    def _ineligible(self, queued: QueuedPod) -> str:
        if queued.pod.spec.preemptionPolicy == "Never":
            return "not eligible due to preemptionPolicy=Never."
        node = self._handle.nominator.node_of(queued.uid)
        if node and any(self._leaving(record, queued) for record in self._handle.pods.on(node)):
            return "not eligible due to a terminating pod on the nominated node."
        return ""

    @staticmethod
    def _leaving(record: PodRecord, queued: QueuedPod) -> bool:
        """A victim on its way out."""
        return (
            record.pod.metadata.deletionTimestamp is not None
            and record.cls.priority < queued.priority
            and any(c.type == CONDITION and c.reason == REASON for c in record.pod.status.conditions)
        )

    def _candidates(
        self, queued: QueuedPod, framework: Framework, rows: Array, tried: Counter[str]
    ) -> list[Candidate]:
        """At least MIN_CANDIDATES (or a tenth) of the nodes that would do, beginning anywhere."""
        possible = self._possible(queued.cls, rows, tried)
        wanted = max(len(rows) * MIN_CANDIDATES_PERCENTAGE // 100, MIN_CANDIDATES)
        found: list[Candidate] = []
        failed: list[int] = []
        offset = self._handle.seed % len(possible) if len(possible) else 0
        for row in (*possible[offset:], *possible[:offset]):
            candidate = self._victims(queued, framework, int(row))
            if candidate is None:
                failed.append(int(row))
                continue
            found.append(candidate)
            if len(found) >= wanted:
                break
        if not found:
            for row in failed:
                tried.update(self._reasons(queued, framework, row))
        return found

    def _possible(self, pod: PodClass, rows: Array, tried: Counter[str]) -> list[int]:
        """Of `rows` those with enough of everything once all less important pods are gone."""
        nodes = self._handle.cluster.nodes
        lower = np.zeros_like(nodes.requested)
        for other in self._handle.pods.classes_below(pod.priority):
            where = np.fromiter(other.rows.keys(), np.int64, len(other.rows))
            count = np.fromiter(other.rows.values(), np.float64, len(other.rows))
            for resource, amount in other.asks:
                lower[resource, where] += amount * count
        someone = lower[PODS, rows] > 0
        tried[NO_VICTIMS] += int((~someone).sum())
        enough = someone.copy()
        names = nodes.resource_names
        for resource, amount in pod.asks:
            left = nodes.requested[resource, rows] - lower[resource, rows]
            lacks = someone & (left + amount > nodes.allocatable[resource, rows])
            tried["Too many pods" if resource == PODS else f"Insufficient {names[resource]}"] += int(
                lacks.sum()
            )
            enough &= ~lacks
        return rows[enough].tolist()

    @contextmanager
    def _cleared(self, queued: QueuedPod, row: int) -> Iterator[tuple[list[PodRecord], set[str]]]:
        """The node without its less important pods and with those nominated to it.

        Hands out the pods, and a set for the uids of those that were put back already.
        """
        cluster = self._handle.cluster
        facts = cluster.nodes.facts[row]
        assert facts is not None
        lower = [r for r in self._handle.pods.on(facts.name) if r.cls.priority < queued.priority]
        nominees = [
            n for n in self._handle.nominator.against(queued.uid, queued.priority) if n.node == facts.name
        ]
        back: set[str] = set()
        for record in lower:
            cluster.bind(row, record.cls, -1)
        for nominee in nominees:
            cluster.bind(row, nominee.cls)
        try:
            yield lower, back
        finally:
            for nominee in nominees:
                cluster.bind(row, nominee.cls, -1)
            for record in lower:
                if record.uid not in back:
                    cluster.bind(row, record.cls)

    def _victims(self, queued: QueuedPod, framework: Framework, row: int) -> Candidate | None:
        """Who must go for the pod to fit; None if even all of them are not enough."""
        cluster = self._handle.cluster
        with self._cleared(queued, row) as (found, reprieved):
            lower = sorted(found, key=importance)
            if not lower or not framework.fits(queued.cls, cluster, row):
                return None
            protected = self._protected(lower)
            victims: list[PodRecord] = []
            violations = 0
            for record in (
                *(r for r in lower if r.uid in protected),
                *(r for r in lower if r.uid not in protected),
            ):
                cluster.bind(row, record.cls)
                if framework.fits(queued.cls, cluster, row):
                    reprieved.add(record.uid)
                    continue
                cluster.bind(row, record.cls, -1)
                victims.append(record)
                violations += record.uid in protected
        return Candidate(row, sorted(victims, key=importance), violations)

    def _reasons(self, queued: QueuedPod, framework: Framework, row: int) -> list[str]:
        """Why the pod does not even fit on the cleared node."""
        cluster = self._handle.cluster
        with self._cleared(queued, row):
            for plugin in framework.applying(queued.cls):
                refused = [r.reason for r in plugin.refusals(queued.cls, cluster) if r.nodes[row]]
                if refused:
                    return refused
        return []

    def _protected(self, records: list[PodRecord]) -> set[str]:
        """Those whose eviction would break a disruption budget, if they went one by one in this order."""
        found: set[str] = set()
        allowed: dict[str, int] = {}
        for record in records:
            for budget in self._budgets.indexer.list(record.pod.metadata.namespace):
                if not _covers(budget, record.pod):
                    continue
                key = budget.metadata.uid
                allowed[key] = allowed.get(key, budget.status.disruptionsAllowed) - 1
                if allowed[key] < 0:
                    found.add(record.uid)
        return found

    # -- acting ------------------------------------------------------------------------------------------

    async def _preempt(self, queued: QueuedPod, victims: list[PodRecord], node: str) -> None:
        self._handle.metrics.preempted(len(victims))
        for nominee in self._handle.nominator.below(node, queued.priority):
            self._handle.nominator.withdraw(nominee.uid)
        for record in victims:
            try:
                await self._evict(queued, record)
            except StatusError as error:
                if not is_not_found(error):
                    raise
                continue
            self._handle.recorders[queued.profile].event(
                record.pod,
                "Normal",
                "Preempted",
                "Preempting",
                f"Preempted by pod {queued.uid} on node {node}",
                queued.pod,
            )

    async def _evict(self, queued: QueuedPod, record: PodRecord) -> None:
        victim = record.pod
        name, namespace = victim.metadata.name, victim.metadata.namespace
        condition = {
            "type": CONDITION,
            "status": "True",
            "reason": REASON,
            "message": f"{queued.profile}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": times.format(self._handle.world.clock.now()),
            "observedGeneration": victim.metadata.generation,
        }
        status = {"metadata": {"uid": record.uid}, "status": {"conditions": [condition]}}
        client = self._handle.client
        await client.patch(type(victim), name, namespace, status, "strategic", "status")
        await client.delete(type(victim), name, namespace, uid=record.uid)


def _covers(budget: Any, pod: Any) -> bool:
    selector = selector_of(budget.spec.selector)
    if selector == labels.everything() or not selector.matches(pod.metadata.labels):
        return False  # as Kubernetes has it: here an empty selector protects nobody
    return pod.metadata.name not in budget.status.disruptedPods


def _nowhere(tried: Counter[str], looked_at: int, nodes: int) -> str:
    """No candidate at all: what was found on the nodes tried, and that the others cannot be helped."""
    counts = Counter({reason: count for reason, count in tried.items() if count})
    if nodes > looked_at:
        counts[NOT_HELPFUL] += nodes - looked_at
    if not counts:
        return f"0/{nodes} nodes are available:"
    return f"0/{nodes} nodes are available: " + ", ".join(sorted(f"{n} {r}" for r, n in counts.items())) + "."
