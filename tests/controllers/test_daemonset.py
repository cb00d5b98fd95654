"""Daemon sets: which nodes, which pods, one step of an update by tables; lives as stories."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.scheme import scheme
from knarr.api.types import apps_v1, core_v1
from knarr.controllers.daemonset.eligibility import Verdict, compiled
from knarr.controllers.daemonset.newpods import for_node, target_node
from knarr.controllers.daemonset.planning import Look, keep, status_of, update

from .conftest import Cluster, image, workload

DS = "daemonset-controller"
NOW = 1_000_000.0


def daemons(rolling: dict[str, Any] | None = None, **pod: Any) -> Any:
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling or {"maxUnavailable": 1, "maxSurge": 0}}
    template = {"spec": {"containers": [], **pod}}
    spec = {"selector": {}, "template": template, "updateStrategy": strategy}
    return scheme().from_dict(apps_v1.DaemonSet, {"metadata": {"name": "d", "uid": "d"}, "spec": spec})


def node(name: str = "n", labels: dict[str, str] | None = None, *taints: str) -> Any:
    """Taints as key=value:effect."""
    parsed = []
    for taint in taints:
        rest, _, effect = taint.partition(":")
        key, _, value = rest.partition("=")
        parsed.append({"key": key, "value": value, "effect": effect})
    return scheme().from_dict(
        core_v1.Node, {"metadata": {"name": name, "labels": labels or {}}, "spec": {"taints": parsed}}
    )


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


YES, NO, STAY = Verdict(True, True), Verdict(False, False), Verdict(False, True)
NODE = "node.kubernetes.io/"


@pytest.mark.parametrize(
    ("pod", "on", "verdict"),
    [
        ({}, node(), YES),
        ({"nodeName": "n"}, node(), YES),
        ({"nodeName": "other"}, node(), NO),
        ({"nodeSelector": {"disk": "ssd"}}, node(), NO),
        ({"nodeSelector": {"disk": "ssd"}}, node("n", {"disk": "ssd"}), YES),
        ({"affinity": affinity(expression("cpus", "Gt", "4"))}, node("n", {"cpus": "8"}), YES),
        ({"affinity": affinity(expression("cpus", "Gt", "4"))}, node("n", {"cpus": "4"}), NO),
        (
            {"affinity": affinity(expression("a", "Exists"), expression("b", "In", "1"))},
            node("n", {"b": "1"}),
            YES,
        ),
        ({"affinity": affinity({})}, node(), NO),
        (
            {
                "affinity": affinity(
                    {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n"]}]}
                )
            },
            node(),
            NO,
        ),
        ({}, node("n", {}, "a=b:NoSchedule"), STAY),
        ({}, node("n", {}, "a=b:NoExecute"), NO),
        ({}, node("n", {}, "a=b:PreferNoSchedule"), YES),
        ({"tolerations": [{"key": "a", "operator": "Exists"}]}, node("n", {}, "a=b:NoSchedule"), YES),
        ({"tolerations": [{"key": "a", "value": "c"}]}, node("n", {}, "a=b:NoSchedule"), STAY),
        ({"tolerations": [{"operator": "Exists"}]}, node("n", {}, "a=b:NoExecute", "c=d:NoSchedule"), YES),
        ({}, node("n", {}, NODE + "not-ready=:NoExecute", NODE + "unschedulable=:NoSchedule"), YES),
        ({}, node("n", {}, NODE + "not-ready=:NoSchedule"), STAY),
        ({}, node("n", {}, NODE + "network-unavailable=:NoSchedule"), STAY),
        ({"hostNetwork": True}, node("n", {}, NODE + "network-unavailable=:NoSchedule"), YES),
    ],
)
def test_which_nodes(pod: dict[str, Any], on: Any, verdict: Verdict) -> None:
    assert compiled(daemons(**pod))(on) == verdict


@pytest.mark.parametrize(
    ("present", "terms"),
    [
        ({}, [{}]),
        (affinity({"matchFields": []}, expression("a", "Exists")), [{}, expression("a", "Exists")]),
    ],
)
def test_a_pod_is_tied_to_its_node(present: dict[str, Any], terms: list[dict[str, Any]]) -> None:
    pod = for_node({"spec": {"affinity": present, "containers": []}}, "n7")
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    field = {"key": "metadata.name", "operator": "In", "values": ["n7"]}
    assert required["nodeSelectorTerms"] == [{**term, "matchFields": [field]} for term in terms]
    assert target_node(scheme().from_dict(core_v1.Pod, pod)) == "n7"


def pod(name: str, state: str) -> Any:
    """State: up, down, failed, succeeded, going; old- before it for the old template; later ones are younger."""
    old, state = state.startswith("old-"), state.removeprefix("old-")
    phase = {"failed": "Failed", "succeeded": "Succeeded"}.get(state, "Running")
    meta = {"name": name, "uid": name, "labels": {"controller-revision-hash": "old" if old else "new"}}
    meta["creationTimestamp"] = f"1970-01-01T00:00:0{name[-1]}Z"
    if state == "going":
        meta["deletionTimestamp"] = "1970-01-01T00:00:00Z"
    ready = "True" if state in ("up", "going") else "False"
    status = {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "1970-01-01T00:00:00Z"}],
    }
    return scheme().from_dict(
        core_v1.Pod, {"metadata": meta, "spec": {"nodeName": "x", "containers": []}, "status": status}
    )


def look(nodes: str, verdict: Verdict = YES, rolling: dict[str, Any] | None = None) -> Look:
    """Nodes a, b, c ... divided by bars; each with the states of its pods, the oldest first."""
    pods, verdicts = {}, {}
    for letter, states in zip("abcdef", nodes.split("|"), strict=False):
        verdicts[letter] = verdict
        if states.split():
            pods[letter] = [pod(f"{letter}{i}", state) for i, state in enumerate(states.split())]
    return Look(daemons(rolling), "new", pods, verdicts, NOW)


def names(pods: list[Any]) -> list[str]:
    return sorted(pod.metadata.name for pod in pods)


@pytest.mark.parametrize(
    ("nodes", "verdict", "create", "delete"),
    [
        ("| up", YES, ["a"], []),
        ("going", YES, [], []),
        ("up up", YES, [], ["a1"]),
        ("failed", YES, [], ["a0"]),
        ("succeeded up", YES, [], ["a0"]),
        ("| up", STAY, [], []),
        ("up | going", NO, [], ["a0"]),
        ("old-up up", YES, [], ["a1"]),
    ],
)
def test_one_pod_per_node(nodes: str, verdict: Verdict, create: list[str], delete: list[str]) -> None:
    todo = keep(look(nodes, verdict))
    assert (todo.create, names(todo.delete)) == (create, delete)


SURGE = {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize(
    ("nodes", "delete"),
    [("old-up down", []), ("old-up up", ["a0"]), ("old-down down", ["a0"]), ("old-up up up", ["a0", "a2"])],
)
def test_two_pods_per_node_while_surging(nodes: str, delete: list[str]) -> None:
    assert names(keep(look(nodes, YES, SURGE)).delete) == delete


@pytest.mark.parametrize(
    ("nodes", "rolling", "create", "delete"),
    [
        ("old-up | old-up | up", {"maxUnavailable": 1}, [], ["a0"]),
        ("old-up | old-up | down", {"maxUnavailable": 1}, [], []),
        ("old-up | old-up | down", {"maxUnavailable": 2}, [], ["a0"]),
        ("old-up | old-down | up", {"maxUnavailable": 1}, [], ["b0"]),
        ("old-up | old-up | going", {"maxUnavailable": 1}, [], []),
        ("old-up | old-up | old-up | old-up", {"maxUnavailable": "50%"}, [], ["a0", "b0"]),
        ("old-up | old-up | up", SURGE, ["a"], []),
        ("old-up down | old-up", SURGE, [], []),
        ("old-up up | old-up", SURGE, ["b"], ["a0"]),
        ("old-down | old-up", SURGE, ["a", "b"], []),
    ],
)
def test_a_step_of_an_update(
    nodes: str, rolling: dict[str, Any], create: list[str], delete: list[str]
) -> None:
    todo = update(look(nodes, YES, rolling))
    assert (sorted(todo.create), names(todo.delete)) == (create, delete)


@pytest.mark.parametrize(
    ("nodes", "starts", "create", "delete"),
    [
        ("old-down | up", "01", [], ["a0"]),
        ("old-up | up", "01", [], ["a0"]),
        ("old-up | down", "01", [], []),
        ("old-up | old-up | down | up", "0011", [], ["a0"]),
        ("old-up | old-up | up", "001", [], ["a0", "b0"]),
        ("old-up | old-up", "01", ["b"], ["a0"]),
        ("old-up up | up", "01", [], ["a0"]),
    ],
)
def test_a_surge_where_pods_may_only_stay(
    nodes: str, starts: str, create: list[str], delete: list[str]
) -> None:
    there = look(nodes, YES, SURGE)
    there.verdicts.update(  # type: ignore[attr-defined]
        {node: YES if start == "1" else STAY for node, start in zip(there.verdicts, starts, strict=True)}
    )
    todo = update(there)
    assert (todo.create, names(todo.delete)) == (create, delete)


def test_status() -> None:
    status = status_of(look("up | old-down | | going up"), 3)
    wanted = {
        "desiredNumberScheduled": 4,
        "currentNumberScheduled": 3,
        "numberMisscheduled": 0,
        "numberReady": 2,
        "numberAvailable": 2,
        "numberUnavailable": 2,
        "updatedNumberScheduled": 2,
        "observedGeneration": 3,
    }
    assert {key: getattr(status, key) for key in wanted} == wanted
    assert status_of(look("up | ", NO), 1).numberMisscheduled == 1


async def add_nodes(c: Cluster, *names: str, **labels: str) -> None:
    for name in names:
        meta = {"name": name, "labels": labels}
        await c.create({"apiVersion": "v1", "kind": "Node", "metadata": meta})
        await c.client.patch(core_v1.Node, name, body={"spec": {"taints": None}})
    await c.settle()


async def places(c: Cluster) -> list[str]:
    return sorted(target_node(pod) for pod in await c.active())


async def bind(c: Cluster) -> None:
    for pod in await c.active():
        if not pod.spec.nodeName:
            await c.place(pod, target_node(pod))


async def scheduled(c: Cluster) -> tuple[int, int, int, int]:
    status = (await c.get(apps_v1.DaemonSet)).status
    return (
        status.desiredNumberScheduled,
        status.currentNumberScheduled,
        status.numberReady,
        status.numberMisscheduled,
    )


def test_a_pod_on_every_node(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("DaemonSet"))
        assert (await c.get(apps_v1.DaemonSet)).status.observedGeneration == 1
        assert await c.pods() == []
        await add_nodes(c, "a", "b")
        assert await places(c) == ["a", "b"]
        (revision,) = await c.list(apps_v1.ControllerRevision)
        pod = (await c.active())[0]
        assert pod.metadata.labels == {
            "app": "web",
            "controller-revision-hash": revision.metadata.labels["controller-revision-hash"],
            "pod-template-generation": "1",
        }
        assert revision.metadata.annotations == {"deprecated.daemonset.template.generation": "1"}
        assert (NODE + "unschedulable", "Exists", "NoSchedule") in [
            (t.key, t.operator, t.effect) for t in pod.spec.tolerations
        ]
        await bind(c)
        await c.run()
        assert await scheduled(c) == (2, 2, 2, 0)
        await c.client.delete(core_v1.Node, "b")
        await c.settle()
        assert (await scheduled(c))[0] == 1

    play(story, DS)


def test_pods_follow_labels_and_taints(play: Any) -> None:
    async def story(c: Cluster) -> None:
        template = workload("DaemonSet")["spec"]["template"]
        template = {**template, "spec": {**template["spec"], "nodeSelector": {"disk": "ssd"}}}
        await add_nodes(c, "a")
        await c.create(workload("DaemonSet", template=template))
        assert await places(c) == []
        await c.client.patch(core_v1.Node, "a", body={"metadata": {"labels": {"disk": "ssd"}}})
        await c.settle()
        assert await places(c) == ["a"]
        await bind(c)
        await c.run()
        taint = {"key": "busy", "effect": "NoSchedule"}
        await c.client.patch(core_v1.Node, "a", body={"spec": {"taints": [taint]}})
        await c.settle()
        assert await places(c) == ["a"]
        assert await scheduled(c) == (0, 0, 0, 1)
        await c.client.patch(core_v1.Node, "a", body={"metadata": {"labels": {"disk": None}}})
        await c.settle()
        assert await places(c) == []

    play(story, DS)


def test_a_pod_that_fails_comes_back_ever_more_slowly(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await add_nodes(c, "a")
        await c.create(workload("DaemonSet"))
        seen = set()
        for _ in range(3):
            await c.later(5)
            (pod,) = await c.expect_pods(1)
            seen.add(pod.metadata.uid)
            await c.fail(pod)
        assert len(seen) == 3
        assert "Found failed daemon pod default/web-" in (await c.told("FailedDaemonPod"))[0]
        (pod,) = await c.expect_pods(1)
        await c.fail(pod)
        await c.expect_pods(0)
        await c.later(10)
        await c.expect_pods(1)

    play(story, DS)


async def images(c: Cluster) -> str:
    return "".join(sorted(pod.spec.containers[0].image[-1] for pod in await c.active()))


def test_a_rolling_update_goes_node_by_node(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await add_nodes(c, "a", "b", "c")
        await c.create(workload("DaemonSet"))
        await c.run()
        await c.change(apps_v1.DaemonSet, **image("2"))
        assert await images(c) == "112"
        assert (await c.get(apps_v1.DaemonSet)).status.updatedNumberScheduled == 1
        await c.settle()
        assert await images(c) == "112"
        await c.run()
        assert await images(c) == "122"
        await c.run()
        await c.run()
        assert await images(c) == "222"
        assert sorted(r.revision for r in await c.list(apps_v1.ControllerRevision)) == [1, 2]
        await c.change(apps_v1.DaemonSet, **image("1"))
        assert sorted(r.revision for r in await c.list(apps_v1.ControllerRevision)) == [2, 3]

    play(story, DS)


def test_a_surge_has_two_pods_on_a_node_for_a_while(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await add_nodes(c, "a", "b")
        strategy = {"type": "RollingUpdate", "rollingUpdate": SURGE}
        await c.create(workload("DaemonSet", updateStrategy=strategy))
        await c.run()
        await c.change(apps_v1.DaemonSet, **image("2"))
        assert await images(c) == "112"
        await c.run()
        assert await images(c) == "122"
        await c.run()
        assert await images(c) == "22"

    play(story, DS)


def test_on_delete(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await add_nodes(c, "a", "b")
        await c.create(workload("DaemonSet", updateStrategy={"type": "OnDelete"}))
        await c.run()
        await c.change(apps_v1.DaemonSet, **image("2"))
        assert await images(c) == "11"
        await c.delete(core_v1.Pod, (await c.active())[0].metadata.name)
        assert await images(c) == "12"

    play(story, DS)


def test_old_revisions_are_forgotten(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await add_nodes(c, "a")
        await c.create(workload("DaemonSet", revisionHistoryLimit=1))
        for tag in ("2", "3", "4"):
            await c.run()
            await c.change(apps_v1.DaemonSet, **image(tag))
        await c.run()
        assert sorted(r.revision for r in await c.list(apps_v1.ControllerRevision)) == [3, 4]

    play(story, DS)


def test_revisions_of_one_template_become_one(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await add_nodes(c, "a")
        await c.create(workload("DaemonSet"))
        await c.run()
        (first,) = await c.list(apps_v1.ControllerRevision)
        twin = scheme().to_dict(first)
        labels = {k: v for k, v in first.metadata.labels.items() if k != "controller-revision-hash"}
        meta = {"name": "twin", "namespace": first.metadata.namespace, "labels": labels}
        meta["ownerReferences"] = twin["metadata"]["ownerReferences"]
        await c.create({**twin, "metadata": meta, "revision": 7})
        await c.run()
        await c.change(apps_v1.DaemonSet, minReadySeconds=1)
        await c.settle()
        (kept,) = await c.list(apps_v1.ControllerRevision)
        assert (kept.metadata.name, kept.revision) == ("twin", 7)
        assert kept.metadata.labels["controller-revision-hash"] == "twin"
        (only,) = await c.active()
        assert only.metadata.labels["controller-revision-hash"] == "twin"

    play(story, DS)
