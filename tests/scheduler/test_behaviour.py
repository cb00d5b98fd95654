"""A scheduler on a real API server in memory, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.api.types import core_v1
from knarr.meta import errors
from knarr.scheduler.profiles import Profile

from .clusters import HOST, ZONE, priorities, scheduling

TAIL = "no new claims to deallocate, preemption: 0/{n} nodes are available: {n} {why}."
HOPELESS = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
APP = {"app": "web"}


def apart(labels: dict[str, str] = APP, key: str = HOST) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": labels}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def together(labels: dict[str, str] = APP, key: str = ZONE) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": labels}}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def spread(key: str = ZONE, skew: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "maxSkew": skew,
            "topologyKey": key,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": APP},
        }
    ]


def test_a_pod_gets_a_node_an_event_and_a_condition(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await c.pod("a")
            await c.settle()
            assert await c.where("a") == "n1"
            condition = await c.condition("a")
            assert (condition.status, condition.reason, condition.message) == ("True", "", "")
            (event,) = await c.events("a")
            assert (event.type, event.reason, event.action) == ("Normal", "Scheduled", "Binding")
            assert event.message == "Successfully assigned default/a to n1"
            assert event.reportingComponent == "default-scheduler"
            assert event.reportingInstance.startswith("default-scheduler-")

    run(main())


def test_without_nodes_a_pod_waits_for_the_first_one(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.pod("a")
            await c.settle()
            condition = await c.condition("a")
            assert (condition.status, condition.reason) == ("False", "Unschedulable")
            assert condition.message == "no nodes available to schedule pods"
            assert condition.observedGeneration == 1
            (event,) = await c.events("a")
            assert (event.type, event.reason, event.action) == ("Warning", "FailedScheduling", "Scheduling")
            assert event.message == condition.message
            await c.node("n1")
            await c.settle()
            assert await c.where("a") == "n1"

    run(main())


MESSAGES = [
    # name, node, what runs there, the pod, the reason, what preemption says
    ("cpu beyond the node", {"cpu": "1"}, [], {"cpu": "2"}, "Insufficient cpu", HOPELESS),
    ("cpu in use", {"cpu": "1"}, [{"cpu": "800m"}], {"cpu": "500m"}, "Insufficient cpu", NO_VICTIMS),
    ("memory", {"memory": "1Gi"}, [], {"memory": "2Gi"}, "Insufficient memory", HOPELESS),
    (
        "extended",
        {},
        [],
        {"extended": {"example.com/gpu": "1"}},
        "Insufficient example.com/gpu",
        HOPELESS,
    ),
    ("pods", {"pods": "1"}, [{}], {}, "Too many pods", NO_VICTIMS),
    (
        "selector",
        {},
        [],
        {"nodeSelector": {"disk": "ssd"}},
        "node(s) didn't match Pod's node affinity/selector",
        HOPELESS,
    ),
    (
        "taint",
        {"taints": [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]},
        [],
        {},
        "node(s) had untolerated taint(s)",
        HOPELESS,
    ),
    (
        "ports",
        {},
        [{"ports": [80]}],
        {"ports": [80]},
        "node(s) didn't have free ports for the requested pod ports",
        NO_VICTIMS,
    ),
    (
        "spread over a key the node lacks",
        {},
        [],
        {"labels": APP, "topologySpreadConstraints": spread("rack")},
        "node(s) didn't match pod topology spread constraints (missing required label)",
        HOPELESS,
    ),
    (
        "affinity",
        {},
        [],
        {"affinity": together()},
        "node(s) didn't match pod affinity rules",
        HOPELESS,
    ),
    (
        "anti-affinity",
        {},
        [{"labels": APP}],
        {"affinity": apart()},
        "node(s) didn't match pod anti-affinity rules",
        NO_VICTIMS,
    ),
    (
        "anti-affinity of one that runs",
        {},
        [{"affinity": apart()}],
        {"labels": APP},
        "node(s) didn't satisfy existing pods anti-affinity rules",
        NO_VICTIMS,
    ),
]


@pytest.mark.parametrize(
    ("name", "node", "running", "pod", "reason", "preemption"), MESSAGES, ids=[m[0] for m in MESSAGES]
)
def test_messages(
    run: Any, name: str, node: Any, running: Any, pod: Any, reason: str, preemption: str
) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1", **node)
            for index, other in enumerate(running):
                await c.pod(f"running-{index}", **other)
            await c.settle()
            await c.pod("a", **pod)
            await c.settle()
            condition = await c.condition("a")
            tail = TAIL.format(n=1, why=preemption)
            assert condition.message == f"0/1 nodes are available: 1 {reason}. {tail}"

    run(main())


def test_restarts_of_all_containers_need_a_kubelet_that_declares_them(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [7]}}
            init = {"name": "i", "image": "i:1", "restartPolicy": "Never", "restartPolicyRules": [rule]}
            await c.pod("a", initContainers=[init])
            await c.pod("b")
            await c.settle()
            assert await c.where("b") == "n1"
            assert (await c.condition("a")).message == (
                "0/1 nodes are available: 1 node(s) didn't match Pod's required features. "
                + TAIL.format(n=1, why=HOPELESS)
            )
            status = {"status": {"declaredFeatures": ["RestartAllContainersOnContainerExits"]}}
            await c.client.patch(core_v1.Node, "n1", body=status, subresource="status")
            await c.settle(3)
            assert await c.where("a") == "n1"

    run(main())


def test_reasons_are_counted_over_nodes_and_sorted_as_text(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1", cpu="1", memory="1Gi")
            await c.node("n2", cpu="1")
            await c.node("n3", taints=[{"key": "k", "effect": "NoExecute"}])
            await c.pod("a", cpu="2", memory="2Gi")
            await c.settle()
            assert (await c.condition("a")).message == (
                "0/3 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
                + TAIL.format(n=3, why=HOPELESS)
            )
            uid = (await c.get("a")).metadata.uid
            assert c.scheduler.explain(uid) == [
                ("TaintToleration", "node(s) had untolerated taint(s)", ["n3"]),
                ("NodeResourcesFit", "Insufficient cpu", ["n1", "n2"]),
                ("NodeResourcesFit", "Insufficient memory", ["n1"]),
            ]

    run(main())


def test_cordoned_nodes_and_their_return(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1", unschedulable=True)
            await c.pod("a")
            await c.settle()
            assert "1 node(s) were unschedulable." in (await c.condition("a")).message
            await c.client.patch(core_v1.Node, "n1", body={"spec": {"unschedulable": None, "taints": None}})
            await c.settle()
            assert await c.where("a") == "n1"

    run(main())


def test_a_pod_wakes_when_room_is_freed_and_not_before(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1", cpu="1")
            await c.pod("first", cpu="800m")
            await c.settle()
            await c.pod("second", cpu="800m")
            await c.settle(20)
            second = c.scheduler.queue.get((await c.get("second")).metadata.uid)
            assert second is not None and second.attempts == 1
            await c.client.patch(core_v1.Node, "n1", body={"metadata": {"labels": {"x": "y"}}})
            await c.settle()
            assert second.attempts == 1, "a label is no help for cpu"
            await c.client.delete(core_v1.Pod, "first", "default", grace=0)
            await c.settle()
            assert await c.where("second") == "n1"

    run(main())


def test_gates(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await c.pod("a", schedulingGates=[{"name": "example.com/g"}])
            await c.settle()
            assert await c.where("a") == ""
            assert (await c.condition("a")).reason == "SchedulingGated"
            assert c.scheduler.queue.counts()["gated"] == 1
            await c.client.patch(core_v1.Pod, "a", "default", {"spec": {"schedulingGates": None}})
            await c.settle()
            assert await c.where("a") == "n1"

    run(main())


def test_other_schedulers_pods_are_left_alone_but_counted(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1", cpu="1")
            await c.pod("other", cpu="800m", schedulerName="nobody")
            await c.pod("direct", cpu="800m", nodeName="n1")
            await c.settle()
            assert await c.where("other") == ""
            await c.pod("a", cpu="800m")
            await c.settle()
            assert "Insufficient cpu" in (await c.condition("a")).message

    run(main())


def test_where_an_equal_pod_runs_already_binds_nobody(run: Any) -> None:
    """A scheduler that starts anew meets the pods that run before those that wait."""

    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await c.node("n2")
            await c.pod("bound", labels=APP, nodeName="n1")
            await c.settle()
            await c.client.patch(core_v1.Node, "n1", body={"spec": {"unschedulable": True}})
            await c.pod("free", labels=APP)
            await c.settle()
            assert await c.where("free") == "n2"

    run(main())


def test_ended_pods_free_their_room(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1", cpu="1")
            await c.pod("first", cpu="800m")
            await c.settle()
            await c.pod("second", cpu="800m")
            await c.settle()
            await c.client.patch(
                core_v1.Pod, "first", "default", {"status": {"phase": "Succeeded"}}, subresource="status"
            )
            await c.settle()
            assert await c.where("second") == "n1"

    run(main())


def test_spread_over_zones(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            for index in range(6):
                await c.node(f"n{index}", labels={ZONE: f"z{index % 3}"})
            for index in range(9):
                await c.pod(f"p{index}", labels=APP, topologySpreadConstraints=spread())
            await c.settle()
            zones = [int((await c.where(f"p{i}"))[1:]) % 3 for i in range(9)]
            assert sorted(zones) == [0, 0, 0, 1, 1, 1, 2, 2, 2]

    run(main())


def test_services_pods_are_spread_by_default(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.client.create(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": "web", "namespace": "default"},
                    "spec": {"selector": APP, "ports": [{"port": 80}]},
                }
            )
            # the big node would win every time if only resources counted
            await c.node("big", cpu="64", memory="256Gi")
            await c.node("small", cpu="32", memory="128Gi")
            for index in range(4):
                await c.pod(f"p{index}", labels=APP, cpu="100m")
                await c.settle()
            found = [await c.where(f"p{i}") for i in range(4)]
            assert sorted(found) == ["big", "big", "small", "small"]

    run(main())


def test_a_daemon_pod_goes_to_the_node_it_names_or_says_why_not(run: Any) -> None:
    def pinned(name: str) -> dict[str, Any]:
        field = {"key": "metadata.name", "operator": "In", "values": [name]}
        terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}

    async def main() -> None:
        async with scheduling() as c:
            for index in range(3):
                await c.node(f"n{index}", cpu="1")
            await c.pod("d1", affinity=pinned("n1"), cpu="800m")
            await c.settle()
            assert await c.where("d1") == "n1"
            await c.pod("d2", affinity=pinned("n1"), cpu="800m")
            await c.settle()
            assert (await c.condition("d2")).message.startswith(
                "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
            )
            await c.client.delete(core_v1.Pod, "d1", "default", grace=0)
            await c.settle()
            assert await c.where("d2") == "n1"

    run(main())


# -- preemption ----------------------------------------------------------------------------------------------


def test_preemption_removes_the_least_important_and_nominates(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await priorities(c)
            await c.node("n1", cpu="1")
            await c.pod("victim", cpu="600m", priorityClassName="low", terminationGracePeriodSeconds=30)
            await c.pod("bystander", cpu="200m", priorityClassName="low")
            await c.settle()
            await c.pod("important", cpu="700m", priorityClassName="high")
            await c.settle()
            important = await c.get("important")
            assert important.status.nominatedNodeName == "n1"
            assert (await c.condition("important")).message == "0/1 nodes are available: 1 Insufficient cpu."
            victim = await c.get("victim")
            assert victim.metadata.deletionTimestamp is not None
            (target,) = [x for x in victim.status.conditions if x.type == "DisruptionTarget"]
            assert (target.status, target.reason) == ("True", "PreemptionByScheduler")
            assert target.message == "default-scheduler: preempting to accommodate a higher priority pod"
            (event,) = [e for e in await c.events("victim") if e.reason == "Preempted"]
            assert event.message == f"Preempted by pod {important.metadata.uid} on node n1"
            assert event.action == "Preempting"
            # the room is the important one's: no pod of lower priority may slip in while the victim ends
            await c.pod("thief", cpu="300m", priorityClassName="low")
            await c.pod("latecomer", cpu="100m", priorityClassName="low")
            await c.settle(5)
            assert (await c.where("thief"), await c.where("latecomer")) == ("", "")
            await c.client.delete(core_v1.Pod, "victim", "default", grace=0)
            await c.settle(15)
            assert await c.where("important") == "n1"
            assert await c.where("thief") == ""
            assert await c.where("bystander") == await c.where("latecomer") == "n1"

    run(main())


def test_preemption_never(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await priorities(c)
            await c.node("n1", cpu="1")
            await c.pod("low", cpu="600m", priorityClassName="low")
            await c.settle()
            await c.pod("polite", cpu="700m", priorityClassName="polite")
            await c.settle()
            assert (await c.condition("polite")).message == (
                "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, "
                "preemption: not eligible due to preemptionPolicy=Never."
            )
            assert (await c.get("low")).metadata.deletionTimestamp is None

    run(main())


def test_preemption_spares_what_a_budget_protects(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await priorities(c)
            await c.client.create(
                {
                    "apiVersion": "policy/v1",
                    "kind": "PodDisruptionBudget",
                    "metadata": {"name": "web", "namespace": "default"},
                    "spec": {"selector": {"matchLabels": APP}, "minAvailable": 1},
                }
            )
            for name, labels in (("protected", APP), ("free", {})):
                await c.node(f"of-{name}", cpu="1")
                await c.pod(name, cpu="900m", labels=labels, priorityClassName="low")
                await c.settle()
            await c.pod("important", cpu="900m", priorityClassName="high")
            await c.settle()
            assert (await c.get("protected")).metadata.deletionTimestamp is None
            assert (await c.get("important")).status.nominatedNodeName == await c.where(
                "free"
            ) or await c.where("important")

    run(main())


# -- binding -------------------------------------------------------------------------------------------------


def test_a_bind_that_fails_gives_the_room_back_and_is_tried_again(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            bind, tries = c.scheduler.handle.client.bind, []

            async def failing(pod: Any, node: str) -> None:
                tries.append(asyncio.get_running_loop().time())
                if len(tries) < 3:
                    raise errors.internal_error(ValueError("the store is away"))
                await bind(pod, node)

            c.scheduler.handle.client.bind = failing  # type: ignore[method-assign]
            await c.node("n1", cpu="1")
            await c.pod("a", cpu="800m")
            await c.settle(0.5)
            condition = await c.condition("a")
            assert (condition.status, condition.reason) == ("False", "SchedulerError")
            assert condition.message.startswith("binding rejected: ")
            assert c.scheduler.handle.cluster.nodes.requested_at[0][0] == 0
            await c.settle(10)
            assert await c.where("a") == "n1"
            assert [round(b - a) for a, b in zip(tries, tries[1:], strict=False)] == [1, 2]

    run(main())


def test_a_pod_deleted_while_it_is_being_bound_leaves_nothing_behind(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            bind = c.scheduler.handle.client.bind

            async def slow(pod: Any, node: str) -> None:
                await c.client.delete(core_v1.Pod, "a", "default", grace=0)
                await bind(pod, node)

            c.scheduler.handle.client.bind = slow  # type: ignore[method-assign]
            await c.node("n1", cpu="1")
            await c.pod("a", cpu="800m")
            await c.settle()
            assert len(c.scheduler.queue) == 0
            assert len(c.scheduler.handle.pods) == 0
            assert c.scheduler.handle.cluster.nodes.requested_at[0][0] == 0

    run(main())


def test_a_second_profile_with_other_plugins(run: Any) -> None:
    async def main() -> None:
        profiles = (Profile(), Profile("lenient", disabled=("TaintToleration",)))
        async with scheduling(profiles=profiles) as c:
            await c.node("n1", taints=[{"key": "k", "effect": "NoSchedule"}])
            await c.pod("strict")
            await c.pod("lenient", schedulerName="lenient")
            await c.settle()
            assert await c.where("strict") == ""
            assert await c.where("lenient") == "n1"
            (event,) = await c.events("lenient")
            assert event.reportingComponent == "lenient"

    run(main())


def test_many_pods_at_once_fill_the_nodes_and_no_more(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            for index in range(10):
                await c.node(f"n{index}", cpu="1")
            for index in range(55):
                await c.pod(f"p{index}", cpu="200m")
            await c.settle(30)
            pods = (await c.client.list(core_v1.Pod, "default")).items
            per_node: dict[str, int] = {}
            for found in pods:
                per_node[found.spec.nodeName] = per_node.get(found.spec.nodeName, 0) + 1
            assert per_node == {"": 5, **{f"n{i}": 5 for i in range(10)}}

    run(main())
