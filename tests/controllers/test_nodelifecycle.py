"""Nodes: silence, taints, zones, and what becomes of the pods."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.scheme import scheme
from knarr.api.types import coordination_v1, core_v1
from knarr.controllers.nodelifecycle.controller import missing_labels
from knarr.controllers.nodelifecycle.taints import taints_after
from knarr.controllers.nodelifecycle.zones import Count, Zone, disruption, rate_of, state_of
from knarr.controllers.podgc import is_abandoned, still_missing, too_many
from knarr.controllers.tainteviction import FOR_EVER, patience_of

from .conftest import Cluster

NODES, TAINTS, PODGC = (
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "pod-garbage-collector-controller",
)
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def made_node(conditions: dict[str, str] | None = None, taints: Any = (), **fields: Any) -> Any:
    listed = [{"type": type_, "status": status} for type_, status in (conditions or {}).items()]
    spec = {
        "taints": [dict(zip(("key", "effect"), t, strict=True)) for t in taints],
        **fields.pop("spec", {}),
    }
    return scheme().from_dict(core_v1.Node, {"status": {"conditions": listed}, "spec": spec, **fields})


# -- deciding --------------------------------------------------------------------------------------------------

NS, NE = "NoSchedule", "NoExecute"
#: (conditions, taints before, its turn to be evicted, taints after)
TAINT_CASES: list[tuple[Any, Any, bool, Any]] = [
    ({}, [(NOT_READY, NS)], False, []),
    ({"Ready": "True"}, [(NOT_READY, NS), (UNREACHABLE, NE)], False, []),
    ({"Ready": "False"}, [], False, [(NOT_READY, NS)]),
    ({"Ready": "False"}, [], True, [(NOT_READY, NS), (NOT_READY, NE)]),
    ({"Ready": "Unknown"}, [], True, [(UNREACHABLE, NS), (UNREACHABLE, NE)]),
    ({"Ready": "Unknown"}, [(NOT_READY, NS), (NOT_READY, NE)], False, [(UNREACHABLE, NS), (UNREACHABLE, NE)]),
    ({"Ready": "False"}, [(UNREACHABLE, NE)], False, [(NOT_READY, NS), (NOT_READY, NE)]),
    ({"Ready": "True"}, [], True, []),
    ({}, [(UNREACHABLE, NE)], False, [(UNREACHABLE, NE)]),
    ({"Ready": "True", "MemoryPressure": "True"}, [], False, [("node.kubernetes.io/memory-pressure", NS)]),
    ({"Ready": "True", "DiskPressure": "Unknown"}, [], False, []),
    ({"Ready": "True"}, [("mine", NS), ("mine", NE)], False, [("mine", NS), ("mine", NE)]),
]


@pytest.mark.parametrize(("conditions", "before", "evict", "after"), TAINT_CASES)
def test_taints(conditions: Any, before: Any, evict: bool, after: Any) -> None:
    found = taints_after(made_node(conditions, before), evict, "2026-01-01T00:00:00Z")
    assert [(t.key, t.effect) for t in found] == after


def test_a_cordoned_node_is_tainted() -> None:
    found = taints_after(made_node({"Ready": "True"}, spec={"unschedulable": True}), False, "t")
    assert [(t.key, t.effect) for t in found] == [("node.kubernetes.io/unschedulable", NS)]


@pytest.mark.parametrize(
    ("ready", "other", "state"),
    [
        (0, 0, "Normal"),
        (1, 0, "Normal"),
        (0, 1, "FullDisruption"),
        (1, 2, "Normal"),
        (2, 3, "PartialDisruption"),
        (45, 55, "PartialDisruption"),
        (46, 54, "Normal"),
    ],
)
def test_zone_states(ready: int, other: int, state: str) -> None:
    assert state_of(Count(ready, other)) == state


@pytest.mark.parametrize(
    ("state", "nodes", "rate"),
    [
        ("Normal", 5, 0.1),
        ("FullDisruption", 5, 0.1),
        ("PartialDisruption", 50, 0.0),
        ("PartialDisruption", 51, 0.01),
    ],
)
def test_rates(state: str, nodes: int, rate: float) -> None:
    assert rate_of(state, nodes) == rate


def test_when_every_zone_is_dark_nothing_is_evicted() -> None:
    zones: dict[str, Zone] = {}
    assert disruption(zones, {"a": Count(3, 0), "b": Count(3, 0)}) == (False, False)
    assert disruption(zones, {"a": Count(0, 3), "b": Count(3, 0)}) == (False, False)
    assert (zones["a"].rate, zones["b"].rate) == (0.1, 0.1)
    assert disruption(zones, {"a": Count(0, 3), "b": Count(0, 3)}) == (True, False)
    assert (zones["a"].rate, zones["b"].rate) == (0.0, 0.0)
    assert disruption(zones, {"a": Count(0, 3), "b": Count(0, 3)}) == (False, False)
    assert disruption(zones, {"a": Count(0, 3), "b": Count(1, 3)}) == (False, True)
    assert (zones["a"].rate, zones["b"].rate) == (0.1, 0.0)
    disruption(zones, {"b": Count(4, 0)})
    assert (list(zones), zones["b"].rate) == (["b"], 0.1)


def test_old_labels_follow_new_ones() -> None:
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "beta.kubernetes.io/arch": "arm"}
    node = made_node(metadata={"labels": labels})
    assert missing_labels(node) == {"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64"}


def taint(key: str, value: str = "") -> dict[str, Any]:
    return {"key": key, "value": value, "effect": NE}


@pytest.mark.parametrize(
    ("taints", "tolerations", "patience"),
    [
        ([], [], FOR_EVER),
        ([taint("a")], [], 0),
        ([taint("a")], [{"operator": "Exists"}], FOR_EVER),
        ([taint("a")], [{"key": "a", "operator": "Exists", "tolerationSeconds": 30}], 30),
        ([taint("a")], [{"key": "a", "operator": "Exists", "tolerationSeconds": -1}], 0),
        ([taint("a")], [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}], 0),
        ([taint("a", "x")], [{"key": "a", "value": "x", "effect": NE}], FOR_EVER),
        ([taint("a", "x")], [{"key": "a", "value": "y"}], 0),
        (
            [taint("a"), taint("b")],
            [
                {"key": "a", "operator": "Exists", "tolerationSeconds": 30},
                {"key": "b", "operator": "Exists", "tolerationSeconds": 10},
            ],
            10,
        ),
        ([taint("a"), taint("b")], [{"key": "a", "operator": "Exists", "tolerationSeconds": 30}], 0),
    ],
)
def test_patience(taints: Any, tolerations: Any, patience: float | None) -> None:
    node = scheme().from_dict(core_v1.NodeSpec, {"taints": taints})
    pod = scheme().from_dict(core_v1.PodSpec, {"tolerations": tolerations})
    assert patience_of(pod.tolerations, node.taints) == patience


def made_pod(name: str = "p", **fields: Any) -> Any:
    meta = {"name": name, **fields.pop("metadata", {})}
    return scheme().from_dict(core_v1.Pod, {"metadata": meta, **fields})


GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
OUT = [("node.kubernetes.io/out-of-service", NE)]


@pytest.mark.parametrize(
    ("meta", "on", "node", "abandoned"),
    [
        ({}, "", None, False),
        (GOING, "", None, True),
        (GOING, "n", None, False),
        (GOING, "n", made_node({"Ready": "False"}), False),
        (GOING, "n", made_node({"Ready": "False"}, OUT), True),
        (GOING, "n", made_node({"Ready": "True"}, OUT), False),
        ({}, "n", made_node({"Ready": "False"}, OUT), False),
    ],
)
def test_abandoned_pods(meta: Any, on: str, node: Any, abandoned: bool) -> None:
    nodes = {"n": node} if node is not None else {}
    assert is_abandoned(made_pod(metadata=meta, spec={"nodeName": on}), nodes) is abandoned


def test_missing_nodes_are_remembered_from_the_first_look() -> None:
    pods = [made_pod(spec={"nodeName": name}) for name in ("a", "b", "", "c")]
    assert still_missing(pods, {"c": 1}, {"a": 5.0, "z": 1.0}, 9.0) == {"a": 5.0, "b": 9.0}


def test_too_many_ended_pods() -> None:
    old, new = {"creationTimestamp": "2026-01-01T00:00:00Z"}, {"creationTimestamp": "2026-01-02T00:00:00Z"}
    pods = [
        made_pod("new", metadata=new, status={"phase": "Succeeded"}),
        made_pod("old", metadata=old, status={"phase": "Failed"}),
        made_pod("evicted", metadata=new, status={"phase": "Failed", "reason": "Evicted"}),
        made_pod("runs", metadata=old, status={"phase": "Running"}),
    ]
    assert too_many(pods, 3) == []
    assert [p.metadata.name for p in too_many(pods, 1)] == ["evicted", "old"]


# -- on a cluster ----------------------------------------------------------------------------------------------


async def node(c: Cluster, name: str, ready: str | None = "True", **labels: str) -> None:
    await c.client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    if ready is not None:
        await beat(c, name, ready)


async def beat(c: Cluster, name: str, ready: str = "True") -> None:
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": c.now, "lastTransitionTime": c.now}
    body = {"status": {"conditions": [condition]}}
    await c.client.patch(core_v1.Node, name, "", body, "strategic", subresource="status")


async def keep(c: Cluster, seconds: float, *names: str) -> None:
    """These nodes renew their leases every 10 seconds."""
    for _ in range(int(seconds / 10)):
        for name in names:
            await renew(c, name)
        await c.later(10)


async def renew(c: Cluster, name: str) -> None:
    spec = {"renewTime": c.now.replace("Z", ".000000Z"), "holderIdentity": name}
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": spec,
    }
    try:
        await c.client.patch(coordination_v1.Lease, name, "kube-node-lease", {"spec": spec})
    except Exception:
        await c.client.create(body)


async def conditions(c: Cluster, name: str) -> dict[str, tuple[str, str]]:
    found = await c.client.get(core_v1.Node, name)
    return {c.type: (c.status, c.reason) for c in found.status.conditions}


async def taints(c: Cluster, name: str) -> list[tuple[str, str]]:
    return [(t.key, t.effect) for t in (await c.client.get(core_v1.Node, name)).spec.taints]


async def pod(c: Cluster, name: str, on: str, **spec: Any) -> None:
    meta = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    body = {"nodeName": on, "containers": [{"name": "c", "image": "i"}], **spec}
    await c.client.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body})


def test_a_silent_node_is_unknown_its_pods_unready_and_later_evicted(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "a")
        await node(c, "b")
        await c.settle()
        assert await taints(c, "a") == []
        await pod(c, "p", "a")
        await pod(c, "stays", "a", tolerations=[{"operator": "Exists"}])
        await c.run()
        await keep(c, 30, "a", "b")
        await keep(c, 40, "b")
        assert await conditions(c, "a") == {"Ready": ("True", "")}
        await keep(c, 20, "b")
        assert await conditions(c, "a") == {
            type_: ("Unknown", "NodeStatusUnknown" if type_ == "Ready" else "NodeStatusNeverUpdated")
            for type_ in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
        }
        assert await taints(c, "a") == [(UNREACHABLE, NS), (UNREACHABLE, NE)]
        assert await taints(c, "b") == []
        found = await c.get(core_v1.Pod, "p")
        assert {x.type: x.status for x in found.status.conditions}["Ready"] == "False"
        assert await c.told("NodeNotReady") == [
            "Node a status is now: NodeNotReady",
            "Node is not ready",
            "Node is not ready",
        ]
        await keep(c, 270, "b")
        assert not (await c.get(core_v1.Pod, "p")).metadata.deletionTimestamp
        await keep(c, 40, "b")
        gone = await c.get(core_v1.Pod, "p")
        assert gone.metadata.deletionTimestamp
        (why,) = [x for x in gone.status.conditions if x.type == "DisruptionTarget"]
        assert (why.status, why.reason, why.message) == (
            "True",
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
        )
        assert await c.told("TaintManagerEviction") == ["Marking for deletion Pod default/p"]
        assert not (await c.get(core_v1.Pod, "stays")).metadata.deletionTimestamp
        assert await c.told("RegisteredNode") == [
            "Node a event: Registered Node a in Controller",
            "Node b event: Registered Node b in Controller",
        ]

    play(story, NODES, TAINTS)


def test_a_node_that_comes_back_calls_it_off(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "a")
        await node(c, "b")
        await pod(c, "p", "a")
        await keep(c, 70, "b")
        assert (UNREACHABLE, NE) in await taints(c, "a")
        await beat(c, "a")
        await c.settle()
        assert await taints(c, "a") == []
        assert await c.told("TaintManagerEviction") == ["Cancelling deletion of Pod default/p"]
        await keep(c, 600, "a", "b")
        assert not (await c.get(core_v1.Pod, "p")).metadata.deletionTimestamp

    play(story, NODES, TAINTS)


def test_a_node_that_says_it_is_not_ready(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "a", "False")
        await node(c, "b")
        await keep(c, 10, "a", "b")
        assert await taints(c, "a") == [(NOT_READY, NS), (NOT_READY, NE)]
        await keep(c, 60, "b")
        assert await taints(c, "a") == [(UNREACHABLE, NS), (UNREACHABLE, NE)]

    play(story, NODES)


def test_a_node_that_never_reports(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "a", None)
        await node(c, "b")
        await c.settle()
        assert await taints(c, "a") == [], "nothing is known of it"
        await keep(c, 50, "b")
        assert await conditions(c, "a") == {}
        await keep(c, 30, "b")
        assert await conditions(c, "a") == dict.fromkeys(
            ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"), ("Unknown", "NodeStatusNeverUpdated")
        )

    play(story, NODES)


def test_nobody_is_evicted_when_all_nodes_fall_silent(play: Any) -> None:
    async def story(c: Cluster) -> None:
        for name in "abc":
            await node(c, name)
        await pod(c, "p", "a")
        await c.later(900)
        for name in "abc":
            assert (UNREACHABLE, NS) in await taints(c, name)
            assert (UNREACHABLE, NE) not in await taints(c, name)
        assert not (await c.get(core_v1.Pod, "p")).metadata.deletionTimestamp
        await beat(c, "b")
        await keep(c, 70, "b")
        assert (UNREACHABLE, NE) in await taints(c, "a")

    play(story, NODES, TAINTS)


def test_nodes_of_a_zone_are_given_up_one_in_ten_seconds(play: Any) -> None:
    async def story(c: Cluster) -> None:
        names = [f"n{i}" for i in range(10)]
        for name in names:
            await node(c, name)
        await keep(c, 60, *names[:5])
        counts = []
        for _ in range(6):
            counts.append(sum([(UNREACHABLE, NE) in await taints(c, name) for name in names]))
            await keep(c, 10, *names[:5])
        assert counts == sorted(counts) and counts[-1] == 5, counts
        assert all(b - a <= 1 for a, b in zip(counts, counts[1:], strict=False)), counts

    play(story, NODES)


def test_cordon_and_a_pod_that_comes_to_a_silent_node(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "a")
        await c.client.patch(core_v1.Node, "a", body={"spec": {"unschedulable": True}})
        await c.settle()
        assert await taints(c, "a") == [("node.kubernetes.io/unschedulable", NS)]
        await c.client.patch(core_v1.Node, "a", body={"spec": {"unschedulable": None}})
        await c.settle()
        assert await taints(c, "a") == []
        await c.client.delete(core_v1.Node, "a")
        await c.settle()
        assert await c.told("RemovingNode") == ["Node a event: Removing Node a from Controller"]

    play(story, NODES)


def test_pods_of_a_node_that_is_gone_are_deleted(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "a")
        await pod(c, "p", "a")
        await pod(c, "q", "ghost")
        await c.later(30)
        await node(c, "ghost")
        await c.client.delete(core_v1.Node, "a")
        await c.later(30)
        assert await c.exists(core_v1.Pod, "p")
        await c.later(60)
        assert not await c.exists(core_v1.Pod, "p")
        assert await c.exists(core_v1.Pod, "q")

    play(story, PODGC)
