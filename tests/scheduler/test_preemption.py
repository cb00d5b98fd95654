"""Preemption against an exhaustive search with the oracle: the same node, the same victims, or none for both."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from knarr.api.scheme import evolve, scheme
from knarr.api.types import policy_v1
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.pods import PodCache
from knarr.scheduler.decide import NO_NODE, Decider
from knarr.scheduler.diagnosis import diagnose
from knarr.scheduler.framework import Framework
from knarr.scheduler.metrics import SchedulerMetrics
from knarr.scheduler.plugins.defaultpreemption import DefaultPreemption
from knarr.scheduler.plugins.registry import PURE
from knarr.scheduler.queue.nominator import Nominator
from knarr.scheduler.queue.queued import QueuedPod

from .clusters import ZONE, node, pod
from .oracle import Oracle

APP = {"app": "x"}


def budget(allowed: int) -> Any:
    return scheme().from_dict(
        policy_v1.PodDisruptionBudget,
        {
            "metadata": {"name": "b", "namespace": "default", "uid": "b"},
            "spec": {"selector": {"matchLabels": {"guard": "yes"}}},
            "status": {"disruptionsAllowed": allowed},
        },
    )


def apart() -> dict[str, Any]:
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": APP}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


class Scene:
    """Nodes full of pods of several priorities, and one more that is important."""

    def __init__(self, seed: int) -> None:
        r = random.Random(seed)
        nodes = [node(f"n{i}", cpu="4", labels={ZONE: f"z{i}"}) for i in range(r.choice([1, 2, 8, 20]))]
        self.oracle, cluster = Oracle(nodes), Cluster()
        self.pods = PodCache(cluster)
        for found in nodes:
            self.pods.put_node(found)
        count = 0
        for found in nodes:
            while r.random() < 0.85:
                count += 1
                labels = {
                    **(APP if r.random() < 0.2 else {}),
                    **({"guard": "yes"} if r.random() < 0.6 else {}),
                }
                running = pod(f"r{count}", cpu=r.choice(["500m", "1", "1500m"]), labels=labels)
                started = f"2027-01-01T00:{r.randrange(60):02}:{r.randrange(60):02}Z"
                running = evolve(
                    running, spec={"priority": r.choice([0, 5, 10, 1000])}, status={"startTime": started}
                )
                if self.oracle.resources_lacking(running, found.metadata.name):
                    break
                self.oracle.pods[found.metadata.name].append(running)
                self.pods.assume(running, cluster.class_of(running), found.metadata.name)
        affinity = {"affinity": apart()} if r.random() < 0.4 else {}
        wanted = pod("important", cpu=r.choice(["1", "2500m", "4", "5"]), **affinity)
        self.wanted = evolve(wanted, spec={"priority": r.choice([5, 500])})
        self.budgets = [budget(r.choice([0, 0, 1, 3]))] if r.random() < 0.6 else []
        self.framework = Framework("s", [make(None) for make in PURE.values()])
        self.queued = QueuedPod(self.wanted, cluster.class_of(self.wanted), 0)
        self.cluster = cluster
        store = SimpleNamespace(indexer=SimpleNamespace(list=lambda namespace: self.budgets))
        informers = SimpleNamespace(of=lambda kind: store)
        handle: Any = SimpleNamespace(
            informers=informers,
            cluster=cluster,
            pods=self.pods,
            nominator=Nominator(),
            seed=seed,
            metrics=SchedulerMetrics(),
        )
        self.plugin = DefaultPreemption(handle)

    def search(self) -> tuple[Any, ...] | None:
        """The best (preference, victims) of all nodes."""
        best = None
        for name in self.oracle.nodes:
            everyone = list(self.oracle.pods[name])
            lower = [p for p in everyone if p.spec.priority < self.wanted.spec.priority]
            found = self._victims(name, everyone, lower) if lower else None
            self.oracle.pods[name] = everyone
            if found is not None and (best is None or found < best):
                best = found
        return best

    def _fits(self, name: str) -> bool:
        return name not in self.oracle.refusals(self.wanted)

    def _victims(self, name: str, everyone: list[Any], lower: list[Any]) -> tuple[Any, ...] | None:
        staying = [p for p in everyone if p not in lower]
        self.oracle.pods[name] = list(staying)
        if not self._fits(name):
            return None
        lower.sort(key=lambda p: (-p.spec.priority, p.status.startTime))
        left = self.budgets[0].status.disruptionsAllowed if self.budgets else 10**9
        guarded = []
        for p in lower:
            if "guard" in p.metadata.labels:
                left -= 1
                if left < 0:
                    guarded.append(p)
        victims = []
        for p in [*guarded, *(p for p in lower if p not in guarded)]:
            self.oracle.pods[name].append(p)
            if not self._fits(name):
                self.oracle.pods[name].remove(p)
                victims.append(p)
        highest = max((p.spec.priority for p in victims), default=0)
        latest = min((p.status.startTime for p in victims if p.spec.priority == highest), default="")
        return (
            sum(p in guarded for p in victims),
            highest,
            sum(p.spec.priority + 2**31 for p in victims),
            len(victims),
            [-ord(c) for c in latest],
            sorted(p.metadata.name for p in victims),
        )


def stuck(seed: int) -> bool:
    """Does the important pod find no room?"""
    scene = Scene(seed)
    return Decider(scene.framework, scene.cluster).pick(scene.queued.cls, "u") == NO_NODE


SEEDS = [seed for seed in range(80) if stuck(seed)]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_victims_are_found(seed: int) -> None:
    scene = Scene(seed)
    before = scene.cluster.nodes.requested.copy()
    diagnosis = diagnose(scene.framework, scene.queued.cls, scene.cluster)
    result = scene.plugin.post_filter(scene.queued, diagnosis, scene.framework)
    expected = scene.search()
    assert (result.nominated or None) is None if expected is None else result.nominated, f"seed {seed}"
    if expected is not None:
        row = scene.cluster.nodes.row_of[result.nominated or ""]
        found = scene.plugin._victims(scene.queued, scene.framework, row)
        assert found is not None
        assert sorted(v.pod.metadata.name for v in found.victims) == expected[-1], f"seed {seed}"
        assert found.violations == expected[0]
    assert (scene.cluster.nodes.requested == before).all(), "the search leaves everything as it was"


def test_some_scenes_need_preemption_and_some_have_none() -> None:
    found = [Scene(seed).search() for seed in SEEDS]
    assert any(f is None for f in found)
    assert any(f is not None and f[0] for f in found), "a budget is broken where nothing else helps"
    assert any(f is not None and f[3] > 1 for f in found)
