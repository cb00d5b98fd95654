"""Deployments: sizes by tables, rollouts as stories."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api import schema
from knarr.api.scheme import scheme
from knarr.api.types import apps_v1, core_v1
from knarr.controllers import gotemplate
from knarr.controllers.conditions import find
from knarr.controllers.deployment import revisions, sizes, status
from knarr.controllers.gotemplate import spew
from knarr.controllers.hashing import fnv1a32, safe_encode, template_hash

from .conftest import Cluster, image, workload

NAMES = ("deployment-controller", "replicaset-controller")
NOW = 1_000_000.0


def deployment(
    replicas: int = 10, surge: Any = 0, unavailable: Any = 0, kind: str = "RollingUpdate", **more: Any
) -> Any:
    strategy: dict[str, Any] = {"type": kind}
    if kind == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxSurge": surge, "maxUnavailable": unavailable}
    spec = {
        "replicas": replicas,
        "strategy": strategy,
        "selector": {},
        "template": {},
        **more.pop("spec", {}),
    }
    return scheme().from_dict(apps_v1.Deployment, {"metadata": {"name": "d"}, "spec": spec, **more})


def rs(name: str, replicas: int, available: int = 0, age: int = 0, **annotations: str) -> Any:
    """`age`: the higher the older."""
    created = f"2026-01-01T00:00:{59 - age:02}Z"
    notes = {f"deployment.kubernetes.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata = {"name": name, "uid": name, "creationTimestamp": created, "annotations": notes}
    numbers = {"replicas": replicas, "availableReplicas": available}
    spec = {"replicas": replicas, "selector": {}, "template": {}}
    return scheme().from_dict(apps_v1.ReplicaSet, {"metadata": metadata, "spec": spec, "status": numbers})


def by_name(resizes: list[sizes.Resize]) -> dict[str, int]:
    return {resize.rs.metadata.name: resize.replicas for resize in resizes}


# (replicas, maxSurge, old, new before, new after)
GROW = [
    (10, 0, [10], 0, 0),
    (10, 2, [10], 0, 2),
    (10, "25%", [10], 0, 3),
    (10, 2, [5], 0, 7),
    (10, 2, [], 0, 10),
    (10, 2, [10], 2, 2),
    (10, 0, [], 20, 10),
    (0, 2, [], 3, 0),
]


@pytest.mark.parametrize(("replicas", "surge", "old", "before", "after"), GROW)
def test_the_new_set_grows_into_the_surge(
    replicas: int, surge: Any, old: list[int], before: int, after: int
) -> None:
    d = deployment(replicas, surge, 1)
    sets = [rs(f"o{i}", size) for i, size in enumerate(old)]
    assert sizes.size_of_new(d, before, [*sets, rs("new", before)]) == after


def test_recreate_grows_at_once() -> None:
    assert sizes.size_of_new(deployment(10, kind="Recreate"), 0, []) == 10


# (replicas, maxSurge, maxUnavailable, [(old, available)...oldest first], (new, available), expected)
SHRINK = [
    (10, 0, 0, [(10, 10)], (0, 0), {"o0": 9}),  # both zero: one may be missing after all
    (10, 0, 2, [(10, 10)], (0, 0), {"o0": 8}),
    (10, 0, 2, [(8, 8)], (2, 0), {}),
    (10, 0, 2, [(8, 8)], (2, 1), {"o0": 7}),
    (10, 2, 0, [(10, 10)], (2, 2), {"o0": 8}),
    (10, 2, 2, [(10, 8)], (0, 0), {"o0": 8}),  # those that are not available go first
    (10, 0, 2, [(4, 0), (6, 6)], (0, 0), {"o0": 2}),
    (10, 0, 2, [(3, 3), (7, 7)], (0, 0), {"o0": 1}),
    (10, 0, 5, [(3, 3), (7, 7)], (0, 0), {"o0": 0, "o1": 5}),
    (10, "25%", "25%", [(10, 10)], (3, 0), {"o0": 8}),
]


@pytest.mark.parametrize(("replicas", "surge", "unavailable", "old", "new", "expected"), SHRINK)
def test_old_sets_shrink(
    replicas: int, surge: Any, unavailable: Any, old: Any, new: Any, expected: dict[str, int]
) -> None:
    d = deployment(replicas, surge, unavailable)
    sets = [rs(f"o{i}", *pair, age=50 - i) for i, pair in enumerate(old)]
    assert by_name(sizes.shrink_old(d, rs("new", *new), sets)) == expected


def test_pods_that_are_not_available_go_in_a_step_of_their_own() -> None:
    d, old = deployment(4, 1, 1), [rs("o0", 2, 1, age=9), rs("o1", 1, 1, age=8)]
    steps = sizes.shrink_old(d, rs("new", 2, 2), old)
    assert [(step.rs.metadata.name, step.replicas) for step in steps] == [("o0", 1), ("o0", 0)]


# (replicas before, after, surge, sizes oldest first, expected): as Kubernetes' own examples
PROPORTIONS = [
    (10, 15, 0, [10], [15]),
    (10, 5, 0, [10], [5]),
    (10, 20, 0, [7, 3], [14, 6]),
    (10, 5, 0, [7, 3], [3, 2]),
    (10, 5, 0, [8, 2], [4, 1]),
    (10, 20, 0, [5, 3, 2], [10, 6, 4]),
    (9, 4, 0, [3, 3, 3], [1, 1, 2]),
    (10, 0, 0, [5, 5], [0, 0]),
    (10, 20, 2, [9, 3], [17, 5]),
    (10, 10, 0, [5, 5], [5, 5]),
    (6, 10, 0, [1, 1, 1, 3], [1, 2, 2, 5]),
]


@pytest.mark.parametrize(("before", "after", "surge", "present", "expected"), PROPORTIONS)
def test_scaling_in_the_middle_of_a_rollout_keeps_proportions(
    before: int, after: int, surge: int, present: list[int], expected: list[int]
) -> None:
    d = deployment(after, surge, 1)
    notes = {"desired_replicas": str(before), "max_replicas": str(before + surge)}
    sets = [rs(f"s{i}", size, age=50 - i, **notes) for i, size in enumerate(present)]
    resized = by_name(sizes.rescale(d, None, sets))
    assert sum(resized.values()) == (after + surge if after and len(present) > 1 else after)
    assert [resized[f"s{i}"] for i in range(len(present))] == expected


def test_a_finished_rollout_leaves_nothing_in_old_sets() -> None:
    d = deployment(5, 1, 1)
    new = rs("new", 5, 5, desired_replicas="5")
    assert by_name(sizes.rescale(d, new, [rs("old", 2, 2, age=9)])) == {"old": 0}


@pytest.mark.parametrize(
    ("present", "revision", "expected"),
    [
        ({}, 1, {"revision": "1"}),
        ({"revision": "1"}, 1, {"revision": "1"}),
        ({"revision": "1"}, 3, {"revision": "3", "revision-history": "1"}),
        ({"revision": "9", "revision-history": "1,5"}, 10, {"revision": "10", "revision-history": "1,5,9"}),
        ({"revision": "10"}, 9, {"revision": "10"}),
    ],
)
def test_revisions_only_grow_and_are_remembered(present: Any, revision: int, expected: Any) -> None:
    prefix = "deployment.kubernetes.io/"
    before = {prefix + key: value for key, value in present.items()}
    after = revisions.annotations_of_new(deployment(), before, revision)
    assert after == {prefix + key: value for key, value in expected.items()}


def test_some_annotations_are_the_deployments_own() -> None:
    notes = {
        "team": "a",
        "deployment.kubernetes.io/revision": "7",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    d = deployment(metadata={"name": "d", "annotations": notes})
    assert revisions.annotations_of_new(d, {}, 8) == {"team": "a", "deployment.kubernetes.io/revision": "8"}


def test_history_is_bounded() -> None:
    prefix = "deployment.kubernetes.io/"
    long = ",".join(str(n) for n in range(1000, 1400))
    after = revisions.annotations_of_new(
        deployment(), {prefix + "revision": "9999", prefix + "revision-history": long}, 10000
    )
    history = after[prefix + "revision-history"]
    assert len(history) <= 2000
    assert history.endswith(",1399,9999")


def test_hashes() -> None:
    assert fnv1a32(b"") == 0x811C9DC5
    assert fnv1a32(b"foobar") == 0xBF9CF968
    assert safe_encode("0123456789") == "456789bcdf"


RECORDED = {
    "metadata": {"labels": {"app": "paused"}},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "registry.example/app:1",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "nobody",
    },
}


def test_a_template_has_the_hash_that_kubernetes_gave_it() -> None:
    assert template_hash(RECORDED, None) == "7bf75f6877"
    assert len({template_hash(RECORDED, collisions) for collisions in (None, 0, 1, 2)}) == 4


def wire_names(struct: str) -> set[str]:
    fields = gotemplate._structs()[struct]
    return set().union(*({wire} if wire else wire_names(name) for name, _, wire in fields))


def test_every_field_of_a_template_is_part_of_its_hash() -> None:
    """A field that is missing would let two templates share a name."""
    known = schema.load()
    for struct in gotemplate._structs():
        definition = known.get(f"io.k8s.api.core.v1.{struct}") or known.get(schema.META + struct)
        if definition is not None:  # embedded ones have none
            assert wire_names(struct) == {name.lower() for name in definition.fields}, struct


def test_how_go_prints_the_less_simple_types() -> None:
    container = {
        "name": "c",
        "ports": [{"containerPort": 80}],
        "resources": {"limits": {"memory": "64Mi", "cpu": "1500m"}},
        "livenessProbe": {"httpGet": {"port": "web"}, "periodSeconds": 5},
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}],
    }
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "w", "iscsi": {"lun": 1, "iqn": "q"}}]
    text = spew({"spec": {"containers": [container], "volumes": volumes, "hostNetwork": True}})
    for part in (
        "Ports:([]v1.ContainerPort)[{Name:(string) HostPort:(int32)0 ContainerPort:(int32)80 Protocol:(v1.Protocol) ",
        "Limits:(v1.ResourceList)map[cpu:{i:(resource.int64Amount){value:(int64)1500 scale:(resource.Scale)-3}"
        " d:(resource.infDecAmount){Dec:(*inf.Dec)<nil>} s:(string)1500m Format:(resource.Format)DecimalSI} memory:{i:"
        "(resource.int64Amount){value:(int64)67108864 scale:(resource.Scale)0}",
        "LivenessProbe:(*v1.Probe){ProbeHandler:(v1.ProbeHandler){Exec:(*v1.ExecAction)<nil> HTTPGet:(*v1.HTTPGetAction)"
        "{Path:(string) Port:(intstr.IntOrString){Type:(intstr.Type)1 IntVal:(int32)0 StrVal:(string)web} ",
        "ConfigMapKeyRef:(*v1.ConfigMapKeySelector){LocalObjectReference:(v1.LocalObjectReference){Name:(string)m} Key:(string)k ",
        "{Name:(string)v VolumeSource:(v1.VolumeSource){HostPath:(*v1.HostPathVolumeSource)<nil> "
        "EmptyDir:(*v1.EmptyDirVolumeSource){Medium:(v1.StorageMedium) SizeLimit:(*resource.Quantity)<nil>} ",
        'ISCSI:(*v1.ISCSIVolumeSource){"iqn":"q","lun":1} ',
        "HostNetwork:(bool)true ",
    ):
        assert part in text


def rollout_status(**numbers: int) -> Any:
    return scheme().from_dict(apps_v1.DeploymentStatus, numbers)


@pytest.mark.parametrize(
    ("before", "after", "progress"),
    [
        ({"updatedReplicas": 1, "replicas": 1}, {"updatedReplicas": 1, "replicas": 1}, False),
        ({"updatedReplicas": 1, "replicas": 1}, {"updatedReplicas": 2, "replicas": 2}, True),
        ({"updatedReplicas": 1, "replicas": 4}, {"updatedReplicas": 1, "replicas": 3}, True),
        ({"readyReplicas": 1}, {"readyReplicas": 2}, True),
        ({"availableReplicas": 2}, {"availableReplicas": 1}, False),
    ],
)
def test_progress(before: dict[str, int], after: dict[str, int], progress: bool) -> None:
    assert status.has_progressed(rollout_status(**before), rollout_status(**after)) is progress


async def sets_of(c: Cluster) -> list[Any]:
    """Newest revision first."""
    return sorted(await c.list(apps_v1.ReplicaSet), key=revisions.revision_of, reverse=True)


async def condition(c: Cluster, type_: str) -> tuple[str, str]:
    found = find((await c.get(apps_v1.Deployment)).status.conditions, type_)
    return (found.status, found.reason) if found is not None else ("", "")


def test_from_nothing_to_available(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", replicas=2))
        (rs,) = await sets_of(c)
        hash_ = rs.metadata.labels["pod-template-hash"]
        assert rs.metadata.name == f"web-{hash_}"
        assert rs.spec.selector.matchLabels == {"app": "web", "pod-template-hash": hash_}
        prefix = "deployment.kubernetes.io/"
        assert rs.metadata.annotations == {
            prefix + "desired-replicas": "2",
            prefix + "max-replicas": "3",
            prefix + "revision": "1",
        }
        await c.expect_pods(2, f"pod-template-hash={hash_}")
        d = await c.get(apps_v1.Deployment)
        assert d.metadata.annotations[prefix + "revision"] == "1"
        assert d.metadata.generation == 1
        numbers = (
            d.status.replicas,
            d.status.updatedReplicas,
            d.status.unavailableReplicas,
            d.status.terminatingReplicas,
        )
        assert numbers == (2, 2, 2, 0)
        assert await condition(c, "Available") == ("False", "MinimumReplicasUnavailable")
        assert await condition(c, "Progressing") == ("True", "ReplicaSetUpdated")
        await c.run()
        d = await c.get(apps_v1.Deployment)
        assert (d.status.readyReplicas, d.status.availableReplicas, d.status.unavailableReplicas) == (2, 2, 0)
        assert await condition(c, "Available") == ("True", "MinimumReplicasAvailable")
        progressing = find(d.status.conditions, "Progressing")
        assert progressing.message == f'ReplicaSet "web-{hash_}" has successfully progressed.'
        assert await c.told("ScalingReplicaSet") == [f"Scaled up replica set web-{hash_} from 0 to 2"]

    play(story, *NAMES)


async def finish(c: Cluster, least: int, most: int) -> None:
    """Run pods as they come, until the rollout is complete; never fewer ready ones, never more in all."""
    for _ in range(50):
        pods = await c.active()
        ready = [pod for pod in pods if find(pod.status.conditions, "Ready") is not None]
        assert len(ready) >= least
        assert len(pods) <= most
        d = await c.get(apps_v1.Deployment)
        if status.is_complete(d, d.status):
            return
        waiting = [pod for pod in pods if pod not in ready]
        assert waiting, "nothing to wait for and not complete"
        await c.run(waiting[0])
    raise AssertionError("the rollout does not end")


def test_rolls_forward_and_back(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", replicas=4))
        await c.run()
        await c.change(apps_v1.Deployment, **image("2"))
        new, old = await sets_of(c)
        assert (new.spec.replicas, old.spec.replicas) == (2, 3)
        await finish(c, least=3, most=5)
        new, old = await sets_of(c)
        assert (new.spec.replicas, old.spec.replicas) == (4, 0)
        assert {pod.spec.containers[0].image for pod in await c.expect_pods(4)} == {"registry.example/app:2"}
        await c.change(apps_v1.Deployment, **image("1"))
        await finish(c, least=3, most=5)
        again, _ = await sets_of(c)
        assert again.metadata.uid == old.metadata.uid
        annotations = again.metadata.annotations
        assert annotations["deployment.kubernetes.io/revision"] == "3"
        assert annotations["deployment.kubernetes.io/revision-history"] == "1"
        assert (await c.get(apps_v1.Deployment)).metadata.annotations[
            "deployment.kubernetes.io/revision"
        ] == "3"

    play(story, *NAMES)


def test_recreate_ends_the_old_pods_first(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", replicas=2, strategy={"type": "Recreate"}))
        for pod in await c.active():
            await c.place(pod, "node")
        await c.run()
        await c.change(apps_v1.Deployment, **image("2"))
        assert await c.active() == []
        assert len(await sets_of(c)) == 1
        await c.reap()
        pods = await c.expect_pods(2)
        assert {pod.spec.containers[0].image for pod in pods} == {"registry.example/app:2"}

    play(story, *NAMES)


def test_scaling_in_the_middle(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(
            workload(
                "Deployment", replicas=10, strategy={"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
            )
        )
        await c.run()
        await c.change(apps_v1.Deployment, **image("2"))
        assert [rs.spec.replicas for rs in await sets_of(c)] == [5, 8]
        await c.change(apps_v1.Deployment, replicas=15)
        assert [rs.spec.replicas for rs in await sets_of(c)] == [7, 11]

    play(story, *NAMES)


def test_paused_deployments_scale_but_do_not_roll(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", replicas=1))
        await c.change(apps_v1.Deployment, paused=True)
        assert await condition(c, "Progressing") == ("Unknown", "DeploymentPaused")
        await c.change(apps_v1.Deployment, replicas=3, **image("2"))
        (rs,) = await sets_of(c)
        assert rs.spec.replicas == 3
        await c.change(apps_v1.Deployment, paused=False)
        assert len(await sets_of(c)) == 2
        assert (await condition(c, "Progressing"))[1] in ("ReplicaSetUpdated", "NewReplicaSetCreated")

    play(story, *NAMES)


def test_created_paused(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", paused=True))
        assert await sets_of(c) == []
        d = await c.get(apps_v1.Deployment)
        assert (d.status.observedGeneration, d.status.terminatingReplicas) == (1, 0)
        assert await condition(c, "Available") == ("False", "MinimumReplicasUnavailable")
        assert await condition(c, "Progressing") == ("Unknown", "DeploymentPaused")

    play(story, *NAMES)


def test_a_rollout_that_does_not_get_on_is_said_to_be_stuck(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", progressDeadlineSeconds=100))
        await c.later(95)
        assert await condition(c, "Progressing") == ("True", "ReplicaSetUpdated")
        await c.later(10)
        assert await condition(c, "Progressing") == ("False", "ProgressDeadlineExceeded")
        (rs,) = await sets_of(c)
        progressing = find((await c.get(apps_v1.Deployment)).status.conditions, "Progressing")
        assert progressing.message == f'ReplicaSet "{rs.metadata.name}" has timed out progressing.'
        await c.run()
        assert await condition(c, "Progressing") == ("True", "NewReplicaSetAvailable")

    play(story, *NAMES)


def test_old_revisions_are_forgotten(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", replicas=1, revisionHistoryLimit=1))
        for tag in ("2", "3", "4"):
            await c.run()
            await c.change(apps_v1.Deployment, **image(tag))
        await c.run()
        assert [revisions.revision_of(rs) for rs in await sets_of(c)] == [4, 3]

    play(story, *NAMES)


def test_another_template_of_the_same_hash(play: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "knarr.controllers.deployment.controller.template_hash",
        lambda template, collisions: f"same{collisions or 0}",
    )

    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment"))
        await c.change(apps_v1.Deployment, **image("2"))
        await c.later(5)
        assert sorted(rs.metadata.name for rs in await c.list(apps_v1.ReplicaSet)) == [
            "web-same0",
            "web-same1",
        ]
        assert (await c.get(apps_v1.Deployment)).status.collisionCount == 1

    play(story, *NAMES)


def test_adopts_a_set_that_matches(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", replicas=2))
        (before,) = await sets_of(c)
        await c.delete(apps_v1.Deployment, propagation="Orphan")
        body = [{"op": "remove", "path": "/metadata/ownerReferences"}]
        await c.client.patch(apps_v1.ReplicaSet, before.metadata.name, "default", body, "json")
        finalizers = [{"op": "remove", "path": "/metadata/finalizers"}]
        await c.client.patch(apps_v1.Deployment, "web", "default", finalizers, "json")
        await c.create(workload("Deployment", replicas=2))
        (after,) = await sets_of(c)
        assert after.metadata.uid == before.metadata.uid
        assert after.metadata.ownerReferences[0].uid == (await c.get(apps_v1.Deployment)).metadata.uid

    play(story, *NAMES)


@pytest.mark.parametrize(
    ("to", "reason", "tag"),
    [
        ("1", "DeploymentRollback", "1"),
        ("0", "DeploymentRollback", "1"),
        ("2", "DeploymentRollbackTemplateUnchanged", "2"),
        ("9", "DeploymentRollbackRevisionNotFound", "2"),
    ],
)
def test_the_rollback_annotation_of_old_clients(play: Any, to: str, reason: str, tag: str) -> None:
    async def story(c: Cluster) -> None:
        await c.create(workload("Deployment", replicas=1))
        await c.run()
        await c.change(apps_v1.Deployment, **image("2"))
        note = {"metadata": {"annotations": {"deprecated.deployment.rollback.to": to}}}
        await c.client.patch(apps_v1.Deployment, "web", "default", note)
        await c.settle()
        d = await c.get(apps_v1.Deployment)
        assert len(await c.told(reason)) == 1
        assert d.spec.template.spec.containers[0].image.endswith(":" + tag)
        assert "deprecated.deployment.rollback.to" not in d.metadata.annotations

    play(story, *NAMES)


def test_trouble_of_the_new_set_is_the_deployments(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.limit_pods(1)
        await c.create(workload("Deployment", replicas=2))
        await c.settle()
        assert await condition(c, "ReplicaFailure") == ("True", "FailedCreate")
        await c.client.delete(core_v1.ResourceQuota, "few", "default")
        await c.later(60)
        assert await condition(c, "ReplicaFailure") == ("", "")

    play(story, *NAMES)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("100m", "value:(int64)100 scale:(resource.Scale)-3"),
        ("5e3", "value:(int64)5 scale:(resource.Scale)3"),
        ("1e+300", "value:(int64)1 scale:(resource.Scale)300"),
    ],
)
def test_quantities_in_a_template_that_is_hashed(text, shown):
    resources = {"requests": {"memory": text}}
    template = {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "i", "resources": resources}]}}
    assert shown in spew(template)
    assert template_hash(template, None)
