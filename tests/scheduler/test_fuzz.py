"""The whole against the oracle: random clusters, pods that come and go, nodes that change; every decision compared."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1
from knarr.meta.labels import Selector, from_set
from knarr.scheduler import decide, ranking
from knarr.scheduler.cache import counters
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.pods import PodCache
from knarr.scheduler.decide import NO_NODE, Decider
from knarr.scheduler.diagnosis import diagnose
from knarr.scheduler.framework import Framework
from knarr.scheduler.plugins.registry import PURE

from .clusters import node_dict
from .generators import NAMESPACES, make_pod, random_node, template
from .oracle import Oracle

STEPS = 60


class World:
    """One random cluster, told twice: to the scheduler's cache and to the oracle."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        r = self.r = random.Random(seed)
        nodes = [random_node(r, i) for i in range(r.choice([3, 12, 30]))]
        self.oracle = Oracle(nodes, dict(NAMESPACES))
        self.cluster = Cluster()
        self.pods = PodCache(self.cluster)
        for name, labels in NAMESPACES.items():
            self.cluster.set_namespace(name, labels)
        for found in nodes:
            self.pods.put_node(found)
        self.framework = Framework("default-scheduler", [make(None) for make in PURE.values()])
        self.decider = Decider(self.framework, self.cluster, seed)
        self.templates = [template(r) for _ in range(r.choice([1, 3, 6]))]
        self.defaults = [
            from_set({"app": t["labels"]["app"]}) if r.random() < 0.5 else None for t in self.templates
        ]
        self.running: list[tuple[Any, str]] = []
        self.count = len(nodes)

    def fail(self, step: int, what: str, *details: Any) -> None:
        pytest.fail(f"seed {self.seed}, step {step}: {what}: {details}")

    def step(self, step: int) -> None:
        self._change_nodes()
        index = self.r.randrange(len(self.templates))
        pod, default = make_pod(self.templates[index], step), self.defaults[index]
        cls = self.cluster.class_of(pod, default)
        refused = self.oracle.refusals(pod)
        feasible = [name for name in self.oracle.nodes if name not in refused]
        self._check_filters(step, cls, feasible)
        row = self.decider.pick(cls, pod.metadata.uid)
        if not feasible:
            self._check_refusal(step, pod, cls, row)
        else:
            self._check_choice(step, pod, cls, default, feasible, row)
        if self.running and self.r.random() < 0.25:
            gone, name = self.running.pop(self.r.randrange(len(self.running)))
            self.oracle.pods[name].remove(gone)
            self.pods.remove(gone.metadata.uid)

    def _change_nodes(self) -> None:
        """Now and then a node comes, goes, or is not what it was."""
        chance = self.r.random()
        if chance < 0.03:
            self.count += 1
            self._put(random_node(self.r, self.count))
        elif chance < 0.06 and len(self.oracle.nodes) > 2:
            name = self.r.choice(list(self.oracle.nodes))
            del self.oracle.nodes[name]
            gone = self.oracle.pods.pop(name)
            self.running = [(p, n) for p, n in self.running if n != name]
            self.pods.remove_node(name)
            for pod in gone:
                self.pods.remove(pod.metadata.uid)
        elif chance < 0.1:
            name = self.r.choice(list(self.oracle.nodes))
            self._put(random_node(self.r, int(name[1:])))

        elif chance < 0.13:
            name, labels = self.r.choice(list(NAMESPACES)), {"team": self.r.choice("ab")}
            self.oracle.namespaces[name] = labels
            self.cluster.set_namespace(name, labels)
        elif chance < 0.18 and self.running:
            self._terminate(self.r.randrange(len(self.running)))

    def _terminate(self, index: int) -> None:
        """A pod that is being deleted still takes its room, but is no longer counted when others are spread."""
        pod, name = self.running[index]
        leaving = evolve(pod, spec={"nodeName": name}, metadata={"deletionTimestamp": "2027-01-01T00:00:00Z"})
        on_node = self.oracle.pods[name]
        on_node[on_node.index(pod)] = leaving
        self.running[index] = (leaving, name)
        self.pods.put(leaving, self.cluster.class_of(leaving))

    def _put(self, node: Any) -> None:
        self.oracle.nodes[node.metadata.name] = node
        self.oracle.pods.setdefault(node.metadata.name, [])
        self.pods.put_node(node)

    def _names(self, mask: np.ndarray) -> list[str]:
        return sorted(self.cluster.nodes.facts[row].name for row in np.flatnonzero(mask))

    def _check_filters(self, step: int, cls: Any, feasible: list[str]) -> None:
        mask = self.framework.feasible(cls, self.cluster)
        if self._names(mask) != sorted(feasible):
            self.fail(step, "feasible", self._names(mask), sorted(feasible), cls.key)
        for name, row in self.cluster.nodes.row_of.items():
            if self.framework.fits(cls, self.cluster, row) != (name in feasible):
                self.fail(step, "fits", name, cls.key)

    def _check_refusal(self, step: int, pod: Any, cls: Any, row: int) -> None:
        if row != NO_NODE:
            self.fail(step, "nothing is feasible", row)
        message = diagnose(self.framework, cls, self.cluster).message()
        if message != self.oracle.message(pod):
            self.fail(step, "message", message, self.oracle.message(pod))

    def _check_choice(
        self, step: int, pod: Any, cls: Any, default: Selector | None, feasible: list[str], row: int
    ) -> None:
        wanted = self.oracle.total(pod, feasible, default)
        mask = self.framework.feasible(cls, self.cluster)
        scores = self.framework.scores(cls, self.cluster, mask)
        for name in feasible:
            if scores[self.cluster.nodes.row_of[name]] != wanted[name]:
                self.fail(step, "score", name, scores[self.cluster.nodes.row_of[name]], wanted[name], cls.key)
        chosen = self.cluster.nodes.facts[row].name if row != NO_NODE else None
        if chosen is None or wanted[chosen] != max(wanted.values()):
            self.fail(step, "choice", chosen, wanted, cls.key)
        self.pods.assume(pod, cls, chosen)
        self.oracle.pods[chosen].append(pod)
        self.running.append((pod, chosen))


@pytest.mark.parametrize("seed", range(40))
def test_every_decision_is_one_the_oracle_would_make(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    r = random.Random(seed)
    monkeypatch.setattr(counters, "DENSE_DOMAINS_MAX", r.choice([0, 2, 1024]))
    monkeypatch.setattr(ranking, "NARROW_NODES", r.choice([0, 2, 8, 10**9]))
    monkeypatch.setattr(ranking, "BATCH_NODES", r.choice([0, 12]))
    monkeypatch.setattr(decide, "GROUPS_MAX", r.choice([4, 256]))
    world = World(seed)
    for step in range(STEPS):
        world.step(step)
    if decide.GROUPS_MAX > 4:
        assert world.decider.ranked > 0, f"seed {seed}: no ranking was used"


def test_pods_of_a_node_that_comes_later_count_from_then_on() -> None:
    world = World(1)
    pod = make_pod({"namespace": "d", "labels": {"app": "x"}, "cpu": "1"}, 999)
    world.pods.assume(pod, world.cluster.class_of(pod), "later")
    later = node_dict("later")
    assert world.pods.on("later")
    world.pods.put_node(scheme().from_dict(core_v1.Node, later))
    row = world.cluster.nodes.row_of["later"]
    assert world.cluster.nodes.requested_at[0][row] == 1000
