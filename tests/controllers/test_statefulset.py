"""Stateful sets: passes by tables, order and identity as stories."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.scheme import scheme
from knarr.api.types import apps_v1, core_v1
from knarr.controllers import history
from knarr.controllers.hashing import fnv32, safe_encode
from knarr.controllers.statefulset import retention
from knarr.controllers.statefulset.planning import Revisions, plan, revision_for

from .conftest import Cluster, image, workload

SS = "statefulset-controller"
NOW = 1_000_000.0
NAMES = Revisions("old", "new")


def stateful(replicas: int = 3, *, parallel: bool = False, first: int = 0, **spec: Any) -> Any:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    wire = {
        "replicas": replicas,
        "podManagementPolicy": "Parallel" if parallel else "OrderedReady",
        "updateStrategy": strategy,
        "ordinals": {"start": first},
        "selector": {},
        "template": {},
        **spec,
    }
    return scheme().from_dict(apps_v1.StatefulSet, {"metadata": {"name": "web", "uid": "ss"}, "spec": wire})


def pods(*states: str) -> dict[int, Any]:
    """One word per ordinal: up, pending, unready, failed, going, absent; "old-" before it for the old revision."""
    result = {}
    for ordinal, state in enumerate(states):
        old, state = state.startswith("old-"), state.removeprefix("old-")
        if state == "absent":
            continue
        phase = {"pending": "Pending", "failed": "Failed"}.get(state, "Running")
        ready = "True" if state in ("up", "going") else "False"
        labels = {
            "controller-revision-hash": "old" if old else "new",
            "statefulset.kubernetes.io/pod-name": f"web-{ordinal}",
            "apps.kubernetes.io/pod-index": str(ordinal),
        }
        meta = {"name": f"web-{ordinal}", "labels": labels}
        if state == "going":
            meta["deletionTimestamp"] = "1970-01-01T00:00:00Z"
        status = {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "1970-01-01T00:00:00Z"}],
        }
        result[ordinal] = scheme().from_dict(core_v1.Pod, {"metadata": meta, "status": status})
    return result


IN_ORDER: list[tuple[str, list[int], list[int]]] = [
    # pods; ordinals to create; ordinals to delete (3 replicas)
    ("", [0], []),
    ("pending", [], []),
    ("up", [1], []),
    ("up absent up", [1], []),
    ("up unready", [], []),
    ("up failed up", [], [1]),
    ("up going up", [], []),
    ("up up up", [], []),
    ("up up up up up", [], [4]),
    ("up up up up going", [], []),
    ("up up up unready up", [], [4]),
    ("up up up unready unready", [], []),
    ("up up up up unready", [], [4]),
    ("up unready up up", [], []),
    ("old-up old-up old-up", [], [2]),
    ("old-up old-up up", [], [1]),
    ("old-up old-up unready", [], []),
    ("old-up old-up going", [], []),
    ("old-up old-up old-up old-up", [], [3]),
]


@pytest.mark.parametrize(("states", "create", "delete"), IN_ORDER)
def test_a_pass_in_order(states: str, create: list[int], delete: list[int]) -> None:
    present = pods(*states.split())
    todo = plan(stateful(), present, NAMES, NOW)
    assert (todo.create, [p.metadata.name for p in todo.delete]) == (create, [f"web-{o}" for o in delete])


PARALLEL: list[tuple[str, int | None, list[int], list[int]]] = [
    # pods; maxUnavailable; create; delete (3 replicas)
    ("", None, [0, 1, 2], []),
    ("pending absent pending", None, [1], []),
    ("failed up failed", None, [], [0, 2]),
    ("up up up up unready going", None, [], [4, 3]),
    ("old-up old-up old-up", None, [], [2]),
    ("old-up old-up unready", None, [], []),
    ("old-up old-up old-up", 2, [], [2, 1]),
    ("old-up old-up unready", 2, [], [1]),
    ("old-up old-up unready", 1, [], []),
    ("old-unready old-up old-up", 1, [], [0]),
    ("old-unready old-up old-up", 2, [], [0, 2]),
]


@pytest.mark.parametrize(("states", "unavailable", "create", "delete"), PARALLEL)
def test_a_pass_in_parallel(
    states: str, unavailable: int | None, create: list[int], delete: list[int]
) -> None:
    rolling = {"partition": 0} | ({"maxUnavailable": unavailable} if unavailable else {})
    ss = stateful(parallel=True, updateStrategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    todo = plan(ss, pods(*states.split()), NAMES, NOW)
    assert (todo.create, [p.metadata.name for p in todo.delete]) == (create, [f"web-{o}" for o in delete])


@pytest.mark.parametrize(
    ("strategy", "states", "delete"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, "old-up old-up old-up", [2]),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, "old-up old-up up", []),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 9}}, "old-up old-up old-up", []),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 2}},
            "old-up old-up old-up",
            [2, 1],
        ),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": "34%"}},
            "old-up old-up old-up",
            [2],
        ),
        ({"type": "OnDelete"}, "old-up old-up old-up", []),
    ],
)
def test_how_far_an_update_goes(strategy: dict[str, Any], states: str, delete: list[int]) -> None:
    todo = plan(stateful(updateStrategy=strategy), pods(*states.split()), NAMES, NOW)
    assert [p.metadata.name for p in todo.delete] == [f"web-{o}" for o in delete]


@pytest.mark.parametrize(
    ("strategy", "revisions"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}, ["new", "new", "new"]),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, ["old", "old", "new"]),
        ({"type": "OnDelete"}, ["new", "new", "new"]),
    ],
)
def test_what_new_pods_are_made_from(strategy: dict[str, Any], revisions: list[str]) -> None:
    ss = stateful(updateStrategy=strategy, first=5)
    assert [revision_for(ss, ordinal, NAMES) for ordinal in (5, 6, 7)] == revisions


POD = pods("up")[0]


@pytest.mark.parametrize(
    ("deleted", "scaled", "scaled_away", "owner"),
    [
        ("Retain", "Retain", False, None),
        ("Retain", "Retain", True, None),
        ("Delete", "Retain", False, "StatefulSet"),
        ("Delete", "Retain", True, "StatefulSet"),
        ("Retain", "Delete", False, None),
        ("Retain", "Delete", True, "Pod"),
        ("Delete", "Delete", False, "StatefulSet"),
        ("Delete", "Delete", True, "Pod"),
    ],
)
def test_whom_a_claim_goes_with(deleted: str, scaled: str, scaled_away: bool, owner: str | None) -> None:
    ss = stateful(persistentVolumeClaimRetentionPolicy={"whenDeleted": deleted, "whenScaled": scaled})
    wanted = retention.owner_wanted(ss, POD, scaled_away)
    assert (wanted["kind"] if wanted is not None else None) == owner


CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def web(**spec: Any) -> dict[str, Any]:
    return workload("StatefulSet", **{"serviceName": "svc", "replicas": 3, **spec})


async def names(c: Cluster) -> list[str]:
    return [pod.metadata.name for pod in await c.active()]


async def images(c: Cluster) -> str:
    return "".join(pod.spec.containers[0].image[-1] for pod in await c.active())


def test_pods_come_one_after_the_other_with_their_claims(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(volumeClaimTemplates=[CLAIM]))
        assert await names(c) == ["web-0"]
        (pod,) = await c.active()
        assert pod.metadata.generateName == "web-"
        assert (pod.spec.hostname, pod.spec.subdomain) == ("web-0", "svc")
        assert pod.spec.volumes[0].persistentVolumeClaim.claimName == "data-web-0"
        (revision,) = await c.list(apps_v1.ControllerRevision)
        assert pod.metadata.labels == {
            "app": "web",
            "apps.kubernetes.io/pod-index": "0",
            "controller-revision-hash": revision.metadata.name,
            "statefulset.kubernetes.io/pod-name": "web-0",
        }
        assert revision.metadata.labels.keys() == {"app", "controller.kubernetes.io/hash"}
        assert revision.data["spec"]["template"]["$patch"] == "replace"
        (made,) = await c.list(core_v1.PersistentVolumeClaim)
        assert (made.metadata.name, made.metadata.labels, made.metadata.ownerReferences) == (
            "data-web-0",
            {"app": "web"},
            (),
        )
        status = (await c.get(apps_v1.StatefulSet)).status
        assert (
            status.replicas,
            status.currentReplicas,
            status.updatedReplicas,
            status.availableReplicas,
        ) == (1, 1, 1, 0)
        assert (status.currentRevision, status.updateRevision) == (revision.metadata.name,) * 2
        assert status.collisionCount == 0
        for count in (2, 3):
            await c.run()
            assert len(await names(c)) == count
        await c.run()
        status = (await c.get(apps_v1.StatefulSet)).status
        assert (status.readyReplicas, status.availableReplicas) == (3, 3)
        assert "create Pod web-0 in StatefulSet web successful" in await c.told("SuccessfulCreate")
        assert "create Claim data-web-0 Pod web-0 in StatefulSet web success" in await c.told(
            "SuccessfulCreate"
        )

    play(story, SS)


async def up(c: Cluster, count: int) -> None:
    while len(await c.active()) < count:
        await c.run()
    await c.run()


def test_an_update_goes_from_the_last_to_the_first(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web())
        await up(c, 3)
        before = (await c.get(apps_v1.StatefulSet)).status.currentRevision
        await c.change(apps_v1.StatefulSet, **image("2"))
        assert await images(c) == "112"
        status = (await c.get(apps_v1.StatefulSet)).status
        assert (status.currentReplicas, status.updatedReplicas, status.readyReplicas) == (2, 1, 2)
        assert status.currentRevision == before != status.updateRevision
        await c.run()
        assert await images(c) == "122"
        await c.run()
        assert await images(c) == "222"
        await c.run()
        status = (await c.get(apps_v1.StatefulSet)).status
        assert status.currentRevision == status.updateRevision
        assert sorted(r.revision for r in await c.list(apps_v1.ControllerRevision)) == [1, 2]
        await c.change(apps_v1.StatefulSet, **image("1"))
        assert sorted(r.revision for r in await c.list(apps_v1.ControllerRevision)) == [2, 3]

    play(story, SS)


def test_a_partition_holds_the_others_back(play: Any) -> None:
    async def story(c: Cluster) -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        await c.create(web(updateStrategy=strategy))
        await up(c, 3)
        await c.change(apps_v1.StatefulSet, **image("2"))
        await c.run()
        assert await images(c) == "112"
        await c.delete(core_v1.Pod, "web-0")
        assert await images(c) == "112"

    play(story, SS)


def test_on_delete_updates_what_somebody_deletes(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(updateStrategy={"type": "OnDelete"}))
        await up(c, 3)
        await c.change(apps_v1.StatefulSet, **image("2"))
        assert await images(c) == "111"
        await c.delete(core_v1.Pod, "web-1")
        assert await images(c) == "121"

    play(story, SS)


def test_scaling_down_waits_for_each_pod_and_keeps_claims(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(volumeClaimTemplates=[CLAIM]))
        await up(c, 3)
        for pod in await c.active():
            await c.place(pod, "node")
        await c.change(apps_v1.StatefulSet, replicas=1)
        assert await names(c) == ["web-0", "web-1"]
        await c.reap()
        assert await names(c) == ["web-0"]
        await c.reap()
        assert [pod.metadata.name for pod in await c.pods()] == ["web-0"]
        assert len(await c.list(core_v1.PersistentVolumeClaim)) == 3

    play(story, SS)


def test_claims_can_go_with_the_pod_or_with_the_set(play: Any) -> None:
    async def story(c: Cluster) -> None:
        policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
        await c.create(
            web(replicas=2, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
        )
        await up(c, 2)
        gone = (await c.active())[1].metadata.uid
        await c.change(apps_v1.StatefulSet, replicas=1)
        owners = [claim.metadata.ownerReferences[0] for claim in await c.list(core_v1.PersistentVolumeClaim)]
        assert [(ref.kind, ref.controller) for ref in owners] == [("StatefulSet", True), ("Pod", True)]
        assert owners[1].uid == gone
        # the name is wanted again, but its claim still belongs to the pod that went
        await c.change(apps_v1.StatefulSet, replicas=2)
        assert await names(c) == ["web-0"]
        body = {"metadata": {"finalizers": None}}
        await c.client.patch(core_v1.PersistentVolumeClaim, "data-web-1", "default", body)
        await c.client.delete(core_v1.PersistentVolumeClaim, "data-web-1", "default")
        await c.later(2)
        assert await names(c) == ["web-0", "web-1"]

    play(story, SS)


def test_a_pod_needs_its_claims(play: Any) -> None:
    async def story(c: Cluster) -> None:
        quota = {"hard": {"persistentvolumeclaims": "0"}}
        metadata = {"name": "none", "namespace": "default"}
        body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": quota}
        await c.client.create(body)
        used = {"status": {**quota, "used": {"persistentvolumeclaims": "0"}}}
        await c.client.patch(core_v1.ResourceQuota, "none", "default", used, subresource="status")
        await c.create(web(replicas=1, volumeClaimTemplates=[CLAIM]))
        told = sorted(set(await c.told("FailedCreate")))
        why = (
            'persistentvolumeclaims "data-web-0" is forbidden: exceeded quota: none, requested:'
            " persistentvolumeclaims=1, used: persistentvolumeclaims=0, limited: persistentvolumeclaims=0"
        )
        assert told == [
            f"create Claim data-web-0 for Pod web-0 in StatefulSet web failed error: {why}",
            f"create Pod web-0 in StatefulSet web failed error: failed to create PVC data-web-0: {why}",
        ]
        assert await names(c) == []

    play(story, SS)


def test_a_claim_that_goes_is_no_claim_for_a_new_pod(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(replicas=1, volumeClaimTemplates=[CLAIM]))
        await c.client.delete(core_v1.PersistentVolumeClaim, "data-web-0", "default")
        await c.delete(core_v1.Pod, "web-0")
        assert await names(c) == []
        message = "create Pod web-0 in StatefulSet web failed error: pvc data-web-0 is being deleted"
        assert message in await c.told("FailedCreate")
        body = {"metadata": {"finalizers": None}}
        await c.client.patch(core_v1.PersistentVolumeClaim, "data-web-0", "default", body)
        await c.later(5)
        assert await names(c) == ["web-0"]

    play(story, SS)


def test_parallel_sets_start_everywhere_at_once(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(podManagementPolicy="Parallel", ordinals={"start": 5}))
        assert await names(c) == ["web-5", "web-6", "web-7"]
        await c.change(apps_v1.StatefulSet, replicas=1)
        assert await names(c) == ["web-5"]

    play(story, SS)


def test_a_pod_that_finished_comes_back_under_its_name(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(replicas=1))
        (pod,) = await c.active()
        await c.fail(pod)
        (again,) = await c.expect_pods(1)
        assert again.metadata.name == "web-0"
        assert again.metadata.uid != pod.metadata.uid

    play(story, SS)


def test_min_ready_seconds_slow_it_down(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(replicas=2, minReadySeconds=30))
        await c.run()
        await c.later(25)
        assert await names(c) == ["web-0"]
        await c.later(6)
        assert await names(c) == ["web-0", "web-1"]

    play(story, SS)


def test_lost_labels_are_put_back(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(replicas=1))
        await c.run()
        await c.label(core_v1.Pod, "web-0", {"statefulset.kubernetes.io/pod-name": None})
        assert (await c.get(core_v1.Pod, "web-0")).metadata.labels[
            "statefulset.kubernetes.io/pod-name"
        ] == "web-0"

    play(story, SS)


def test_old_revisions_are_forgotten(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(replicas=1, revisionHistoryLimit=1))
        for tag in ("2", "3", "4"):
            await c.run()
            await c.change(apps_v1.StatefulSet, **image(tag))
        await c.run()
        assert sorted(r.revision for r in await c.list(apps_v1.ControllerRevision)) == [3, 4]

    play(story, SS)


def test_nothing_happens_while_it_is_being_deleted(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(web(replicas=1))
        await c.client.delete(apps_v1.StatefulSet, "web", "default", propagation="Foreground")
        await c.delete(core_v1.Pod, "web-0")
        assert await c.pods() == []

    play(story, SS)


def test_a_revision_is_named_as_kubernetes_names_it() -> None:
    """By the data that its own tests hold."""
    container = {
        "image": "test",
        "imagePullPolicy": "Always",
        "name": "test",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    spec = {
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    metadata = {"labels": {"app": "foo"}, "annotations": {"test": "value"}}
    data = {"spec": {"template": {"spec": spec, "metadata": metadata, "$patch": "replace"}}}
    assert history.data_hash(data, 0) == "776999688b"
    escaped = safe_encode(str(fnv32(rb'{"a":"\u003c\u0026\u003e"}7')))
    assert history.data_hash({"a": "<&>"}, 7) == escaped
