"""Replica sets and replication controllers: counting, choosing, adopting, reporting."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.scheme import scheme
from knarr.api.types import apps_v1, core_v1
from knarr.controllers.pods import deletion_cost, worth_keeping

from .conftest import TEMPLATE, Cluster, workload

RS = "replicaset-controller"
RC = "replicationcontroller-controller"
NOW = 1_000_000.0


def pod(name: str = "p", **fields: Any) -> Any:
    metadata = {"name": name, "uid": name, **fields.pop("metadata", {})}
    return scheme().from_dict(core_v1.Pod, {"metadata": metadata, **fields})


def ready(since: str = "1970-01-12T13:00:00Z", **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    return {"phase": "Running", "conditions": conditions, **status}


BASE = {"spec": {"nodeName": "n", "containers": []}, "status": ready()}
#: (what differs, the pod that goes first, the pod that stays)
CHEAPER = [
    ("not scheduled", {**BASE, "spec": {"containers": []}}, BASE),
    ("pending", {**BASE, "status": ready(phase="Pending")}, BASE),
    ("unknown", {**BASE, "status": ready(phase="Unknown")}, BASE),
    ("not ready", {**BASE, "status": {"phase": "Running"}}, BASE),
    ("costs less", {**BASE, "metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}}}, BASE),
    ("ready for less", {**BASE, "status": ready("1970-01-12T13:40:00Z")}, BASE),
    (
        "restarted",
        {**BASE, "status": ready(containerStatuses=[{"name": "c", "image": "", "imageID": "", "ready": True, "restartCount": 2}])},
        BASE,
    ),
    ("younger", {**BASE, "metadata": {"creationTimestamp": "1970-01-12T13:46:00Z"}}, {**BASE, "metadata": {"creationTimestamp": "1970-01-01T00:00:00Z"}}),
]  # fmt: skip


@pytest.mark.parametrize(("goes", "stays"), [case[1:] for case in CHEAPER], ids=[case[0] for case in CHEAPER])
def test_which_pod_goes_first(goes: dict[str, Any], stays: dict[str, Any]) -> None:
    # the names are such that uids alone would decide the other way
    assert worth_keeping(pod("z", **goes), 0, NOW) < worth_keeping(pod("a", **stays), 0, NOW)


def test_a_crowded_node_gives_up_pods_first() -> None:
    assert worth_keeping(pod("z", **BASE), 2, NOW) < worth_keeping(pod("a", **BASE), 1, NOW)


def test_ages_that_are_about_the_same_are_decided_by_lot() -> None:
    young, old = ready("1970-01-12T13:10:00Z"), ready("1970-01-12T13:05:00Z")
    assert worth_keeping(pod("a", **{**BASE, "status": old}), 0, NOW) < worth_keeping(
        pod("b", **{**BASE, "status": young}), 0, NOW
    )


@pytest.mark.parametrize(
    ("text", "cost"),
    [("10", 10), ("-5", -5), ("0", 0), ("+1", 0), ("05", 0), ("x", 0), ("", 0), ("2147483648", 0)],
)
def test_deletion_cost(text: str, cost: int) -> None:
    annotations = {"controller.kubernetes.io/pod-deletion-cost": text}
    assert deletion_cost(pod(metadata={"annotations": annotations})) == cost


def test_creates_what_is_missing_and_reports(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("ReplicaSet", replicas=3))
        pods = await c.expect_pods(3)
        (ref,) = pods[0].metadata.ownerReferences
        assert (ref.kind, ref.name, ref.controller, ref.blockOwnerDeletion) == (
            "ReplicaSet",
            "web",
            True,
            True,
        )
        assert pods[0].metadata.generateName == "web-"
        assert pods[0].metadata.managedFields[0].manager == "kube-controller-manager"
        status = (await c.get(apps_v1.ReplicaSet)).status
        assert (status.replicas, status.fullyLabeledReplicas, status.readyReplicas) == (3, 3, 0)
        assert (status.terminatingReplicas, status.observedGeneration) == (0, 1)
        await c.run()
        status = (await c.get(apps_v1.ReplicaSet)).status
        assert (status.readyReplicas, status.availableReplicas) == (3, 3)
        assert sorted(await c.told("SuccessfulCreate")) == sorted(
            f"Created pod: {p.metadata.name}" for p in pods
        )

    play(story, RS)


def test_min_ready_seconds_delay_availability(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("ReplicaSet", replicas=1, minReadySeconds=30))
        await c.run()
        await c.later(20)
        assert (await c.get(apps_v1.ReplicaSet)).status.availableReplicas == 0
        await c.later(11)
        assert (await c.get(apps_v1.ReplicaSet)).status.availableReplicas == 1

    play(story, RS)


def test_scaling_down_keeps_the_ready_pods(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("ReplicaSet", replicas=4))
        kept = (await c.active())[1:3]
        await c.run(*kept)
        await c.change(apps_v1.ReplicaSet, replicas=2)
        assert [p.metadata.uid for p in await c.expect_pods(2)] == [p.metadata.uid for p in kept]
        assert len(await c.told("SuccessfulDelete")) == 2

    play(story, RS)


def test_replaces_pods_that_fail_or_go(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("ReplicaSet", replicas=2))
        one, two = await c.expect_pods(2)
        await c.fail(one)
        await c.delete(core_v1.Pod, two.metadata.name)
        now = {p.metadata.uid for p in await c.expect_pods(2)}
        assert not now & {one.metadata.uid, two.metadata.uid}

    play(story, RS)


def test_counts_terminating_pods_and_does_not_wait_for_them(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("ReplicaSet", replicas=1))
        (pod,) = await c.expect_pods(1)
        await c.place(pod, "node")
        await c.delete(core_v1.Pod, pod.metadata.name)
        await c.expect_pods(1)
        assert (await c.get(apps_v1.ReplicaSet)).status.terminatingReplicas == 1
        await c.reap()
        assert (await c.get(apps_v1.ReplicaSet)).status.terminatingReplicas == 0

    play(story, RS)


def test_adopts_matching_orphans_and_releases_what_no_longer_matches(play: Any) -> None:
    async def story(c: Cluster) -> None:
        metadata = {"name": "orphan", "namespace": "default", "labels": {"app": "web"}}
        await c.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": TEMPLATE["spec"]})
        await c.create(workload("ReplicaSet", replicas=2))
        assert [ref.name for ref in (await c.get(core_v1.Pod, "orphan")).metadata.ownerReferences] == ["web"]
        await c.expect_pods(2)
        await c.label(core_v1.Pod, "orphan", {"app": "other"})
        assert (await c.get(core_v1.Pod, "orphan")).metadata.ownerReferences == ()
        await c.expect_pods(2, "app=web")
        await c.label(core_v1.Pod, "orphan", {"app": "web"})
        await c.expect_pods(2, "app=web")

    play(story, RS)


def test_a_refusal_is_a_condition_until_it_is_over(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.limit_pods(1)
        await c.create(workload("ReplicaSet", replicas=3))
        await c.expect_pods(1)
        (condition,) = (await c.get(apps_v1.ReplicaSet)).status.conditions
        assert (condition.type, condition.status, condition.reason) == (
            "ReplicaFailure",
            "True",
            "FailedCreate",
        )
        assert "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1" in condition.message
        assert (await c.told("FailedCreate"))[0].startswith('Error creating: pods "web-')
        await c.client.delete(core_v1.ResourceQuota, "few", "default")
        await c.later(60)
        await c.expect_pods(3)
        assert (await c.get(apps_v1.ReplicaSet)).status.conditions == ()

    play(story, RS)


def test_large_sets_grow_and_shrink_in_bursts(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("ReplicaSet", replicas=1200))
        await c.expect_pods(1200)
        await c.run()
        assert (await c.get(apps_v1.ReplicaSet)).status.readyReplicas == 1200
        await c.change(apps_v1.ReplicaSet, replicas=10)
        await c.expect_pods(10)

    play(story, RS)


def test_replication_controllers_are_kept_alike(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("ReplicationController", api="v1", replicas=2, selector={"app": "web"}))
        (ref,) = (await c.expect_pods(2))[0].metadata.ownerReferences
        assert (ref.apiVersion, ref.kind) == ("v1", "ReplicationController")
        status = (await c.get(core_v1.ReplicationController)).status
        assert (status.replicas, status.fullyLabeledReplicas, status.observedGeneration) == (2, 2, 1)
        events = (await c.client.list(core_v1.Event, "default")).items
        assert {event.source.component for event in events} == {"replication-controller"}
        await c.change(core_v1.ReplicationController, replicas=1)
        await c.expect_pods(1)

    play(story, RS, RC)
