"""The frame: plugins of one's own at every point, profiles, sampling, a lease."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from knarr.api.types import coordination_v1, core_v1
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.pods import PodCache
from knarr.scheduler.decide import Decider
from knarr.scheduler.framework import FilterPlugin, Framework, Plugin, ScorePlugin, Unschedulable
from knarr.scheduler.plugins.registry import PURE
from knarr.scheduler.profiles import Profile
from knarr.scheduler.queue.events import NODE, Action, Interest

from .clusters import ZONE, node, pod, scheduling
from .test_behaviour import APP, together


class OddNodes(FilterPlugin, ScorePlugin):
    """Only nodes with an odd number, and of those the last."""

    name = "OddNodes"
    reason = "node(s) were even"
    interests = (Interest(NODE, Action.ADD),)

    def filter(self, pod: Any, cluster: Any, rows: Any = slice(None)) -> Any:
        return cluster.nodes.rows_where(lambda facts: int(facts.name[1:]) % 2 == 1)[rows]

    def score(self, pod: Any, cluster: Any, feasible: Any, rows: Any = slice(None)) -> Any:
        return np.array([float(f.name[1:]) for f in cluster.nodes.facts])[rows]


class Journal(Plugin):
    """Writes down what it hears; refuses what it is told to, where it is told to."""

    name = "Journal"

    def __init__(self, refuse: str = "") -> None:
        self.lines: list[str] = []
        self.refuse = refuse

    def _hear(self, point: str, pod: Any) -> None:
        self.lines.append(f"{point} {pod.metadata.name}")
        if point == self.refuse:
            self.refuse = ""
            raise Unschedulable(self.name, f"refused to {point}")

    def pre_enqueue(self, pod: Any) -> str | None:
        self.lines.append(f"pre_enqueue {pod.metadata.name}")
        return None

    def reserve(self, pod: Any, node: str) -> None:
        self._hear("reserve", pod)

    def unreserve(self, pod: Any, node: str) -> None:
        self.lines.append(f"unreserve {pod.metadata.name}")

    async def permit(self, pod: Any, node: str) -> str | None:
        self.lines.append(f"permit {pod.metadata.name}")
        if self.refuse == "permit":
            self.refuse = ""
            return "refused to permit"
        return None

    def waits(self, pod: Any) -> bool:
        return False

    async def pre_bind(self, pod: Any, node: str) -> None:
        self._hear("pre_bind", pod)

    def post_bind(self, pod: Any, node: str) -> None:
        self.lines.append(f"post_bind {pod.metadata.name}")


def test_a_plugin_of_ones_own_filters_and_scores(run: Any) -> None:
    async def main() -> None:
        profiles = (Profile(enabled=("OddNodes",), weights={"OddNodes": 100}),)
        async with scheduling(profiles=profiles, out_of_tree={"OddNodes": lambda _: OddNodes()}) as c:
            await c.node("n0")
            await c.pod("a")
            await c.settle()
            assert (await c.condition("a")).message.startswith(
                "0/1 nodes are available: 1 node(s) were even. "
            )
            for index in (1, 2, 3, 4):
                await c.node(f"n{index}")
            await c.settle(2)
            assert await c.where("a") in ("n1", "n3")
            await c.pod("b")
            await c.settle()
            assert await c.where("b") == "n3"

    run(main())


@pytest.mark.parametrize(
    ("refuse", "first_try"),
    [
        ("", ["pre_enqueue a", "reserve a", "permit a", "pre_bind a", "post_bind a"]),
        ("reserve", ["pre_enqueue a", "reserve a", "unreserve a"]),
        ("permit", ["pre_enqueue a", "reserve a", "permit a", "unreserve a"]),
        ("pre_bind", ["pre_enqueue a", "reserve a", "permit a", "pre_bind a", "unreserve a"]),
    ],
)
def test_every_point_is_called_and_undone(run: Any, refuse: str, first_try: list[str]) -> None:
    async def main() -> None:
        journal = Journal(refuse)
        async with scheduling(
            profiles=(Profile(enabled=("Journal",)),), out_of_tree={"Journal": lambda _: journal}
        ) as c:
            await c.node("n0", cpu="1")
            await c.settle()
            await c.pod("a", cpu="800m")
            await c.settle()
            assert journal.lines[: len(first_try)] == first_try
            if not refuse:
                assert await c.where("a") == "n0"
                return
            assert await c.where("a") == ""
            assert c.scheduler.handle.cluster.nodes.requested_at[0][0] == 0
            assert f"refused to {refuse}." in (await c.condition("a")).message
            await c.settle(400)
            assert await c.where("a") == "n0", "after five minutes it is tried again"

    run(main())


def test_profiles_know_their_plugins() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="Nonsense does not exist"):
            async with scheduling(profiles=(Profile(enabled=("Nonsense",)),)):
                pass

    asyncio.run(main())


def test_a_pod_wakes_when_the_company_it_wants_arrives(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            for index in range(3):
                await c.node(f"n{index}", labels={ZONE: f"z{index}"})
            await c.pod("lonely", affinity=together())
            await c.settle(3)
            assert await c.where("lonely") == ""
            await c.pod("stranger", labels={"app": "other"})
            await c.settle(3)
            assert await c.where("lonely") == ""
            await c.pod("friend", labels=APP)
            await c.settle(3)
            assert await c.where("lonely") == await c.where("friend") != ""

    run(main())


def test_namespaces_chosen_by_label(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
            await c.client.create(namespace)
            account = {"apiVersion": "v1", "kind": "ServiceAccount"}
            await c.client.create({**account, "metadata": {"name": "default", "namespace": "other"}})
            await c.node("n1", labels={ZONE: "z1"})
            await c.node("n2", labels={ZONE: "z2"})
            await c.pod("friend", labels=APP, namespace="other", nodeSelector={ZONE: "z2"})
            affinity = together()
            term = affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
            term["namespaceSelector"] = {"matchLabels": {"team": "a"}}
            await c.pod("a", affinity=affinity)
            await c.settle(3)
            assert await c.where("a") == ""
            await c.client.patch(core_v1.Namespace, "other", body={"metadata": {"labels": {"team": "a"}}})
            await c.settle(3)
            assert await c.where("a") == "n2"

    run(main())


def test_only_the_holder_of_the_lease_schedules(run: Any) -> None:
    async def main() -> None:
        async with scheduling(lease=True) as c:
            await c.node("n1")
            await c.pod("a")
            await c.settle(5)
            assert await c.where("a") == "n1"
            lease = await c.client.get(coordination_v1.Lease, "kube-scheduler", "kube-system")
            assert lease.spec.holderIdentity == "knarr_kube-scheduler"

    run(main())


def test_sampling_stops_early_and_goes_on_where_it_stopped() -> None:
    cluster = Cluster()
    pods = PodCache(cluster)
    for index in range(400):
        pods.put_node(node(f"n{index}"))
    framework = Framework("s", [make(None) for make in PURE.values()], {}, percentage_of_nodes_to_score=30)
    decider = Decider(framework, cluster)
    everyone = cluster.nodes.present
    samples = [np.flatnonzero(decider._sample(everyone)) for _ in range(4)]
    assert [len(sample) for sample in samples] == [120] * 4
    assert set(np.concatenate(samples).tolist()) == set(range(400))
    assert decider.pick(cluster.class_of(pod("a")), "u") >= 0
    assert decider.ranked == 0, "a ranking knows no samples"
