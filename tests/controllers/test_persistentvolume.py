"""Binding of claims to volumes, by tables and on a cluster; token secrets of the old kind."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from knarr.api.scheme import scheme
from knarr.api.types import core_v1, storage_v1
from knarr.client.client import is_not_found
from knarr.client.codec import built_in
from knarr.controllers.persistentvolume import claims, volumes
from knarr.controllers.persistentvolume.match import best_match, default_class, is_delayed, misfit
from knarr.meta.errors import StatusError

from .conftest import Cluster

BINDER = "persistentvolume-binder-controller"
TOKENS = "serviceaccount-token-controller"
RWO, RWX = "ReadWriteOnce", "ReadWriteMany"


def wire_claim(name: str = "c", size: str = "1Gi", cls: str | None = "fast", **fields: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default", **fields.pop("metadata", {})}
    spec = {"accessModes": [RWO], "resources": {"requests": {"storage": size}}, **fields}
    if cls is not None:
        spec["storageClassName"] = cls
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def wire_volume(name: str = "v", size: str = "1Gi", cls: str = "fast", **fields: Any) -> dict[str, Any]:
    meta = {"name": name, **fields.pop("metadata", {})}
    spec = {"capacity": {"storage": size}, "accessModes": [RWO], "hostPath": {"path": "/x"}, **fields}
    spec["storageClassName"] = cls
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec}


def wire_class(name: str = "fast", provisioner: str = "example.com/p", **fields: Any) -> dict[str, Any]:
    meta = {"name": name, **fields.pop("metadata", {})}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": meta,
        "provisioner": provisioner,
        **fields,
    }


def claim(status: Any = None, **fields: Any) -> Any:
    body = wire_claim(**fields)
    body["metadata"].setdefault("uid", "u")
    return scheme().from_dict(core_v1.PersistentVolumeClaim, {**body, "status": status or {}})


def volume(status: Any = None, **fields: Any) -> Any:
    return scheme().from_dict(
        core_v1.PersistentVolume, {**wire_volume(**fields), "status": status or {"phase": "Available"}}
    )


def storage_class(name: str = "fast", **fields: Any) -> Any:
    return scheme().from_dict(storage_v1.StorageClass, wire_class(name, **fields))


def ref(name: str = "c", uid: str = "u") -> dict[str, str]:
    return {"namespace": "default", "name": name, **({"uid": uid} if uid else {})}


# -- matching --------------------------------------------------------------------------------------------------

#: (what, claim, volumes, delayed, the one that is chosen)
MATCHES: list[tuple[str, dict[str, Any], list[dict[str, Any]], bool, str | None]] = [
    ("none", {}, [], False, None),
    ("the smallest", {}, [{"name": "a", "size": "3Gi"}, {"name": "b", "size": "2Gi"}], False, "b"),
    ("large enough", {"size": "2Gi"}, [{"name": "a"}, {"name": "b", "size": "2Gi"}], False, "b"),
    ("its class", {}, [{"name": "a", "cls": "slow"}, {"name": "b"}], False, "b"),
    ("no class", {"cls": ""}, [{"name": "a"}, {"name": "b", "cls": ""}], False, "b"),
    ("taken", {}, [{"name": "a", "claimRef": ref("other")}], False, None),
    (
        "reserved for it",
        {},
        [{"name": "a"}, {"name": "b", "size": "9Gi", "claimRef": ref(uid="")}],
        False,
        "b",
    ),
    ("reserved for its namesake", {}, [{"name": "a", "claimRef": ref(uid="old")}], False, None),
    ("reserved but too small", {"size": "2Gi"}, [{"name": "a", "claimRef": ref(uid="")}], False, None),
    (
        "fewest modes",
        {},
        [{"name": "a", "accessModes": [RWO, RWX]}, {"name": "b", "size": "5Gi"}],
        False,
        "b",
    ),
    (
        "its modes",
        {"accessModes": [RWX]},
        [{"name": "a"}, {"name": "b", "accessModes": [RWO, RWX]}],
        False,
        "b",
    ),
    (
        "its volume mode",
        {"volumeMode": "Block"},
        [{"name": "a"}, {"name": "b", "volumeMode": "Block"}],
        False,
        "b",
    ),
    (
        "its labels",
        {"selector": {"matchLabels": {"disk": "ssd"}}},
        [{"name": "a"}, {"name": "b", "metadata": {"labels": {"disk": "ssd"}}}],
        False,
        "b",
    ),
    (
        "going away",
        {},
        [{"name": "a", "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}],
        False,
        None,
    ),
    ("waits for a node", {}, [{"name": "a"}], True, None),
    ("reserved, though it waits", {}, [{"name": "a"}, {"name": "b", "claimRef": ref()}], True, "b"),
]


@pytest.mark.parametrize("case", MATCHES, ids=[case[0] for case in MATCHES])
def test_matching(case: Any) -> None:
    _, wanted, offered, delayed, chosen = case
    found = best_match(claim(**wanted), [volume(**v) for v in offered], delayed)
    assert (found.metadata.name if found is not None else None) == chosen


@pytest.mark.parametrize(
    ("wanted", "offered", "why"),
    [
        ({}, {}, ""),
        ({"size": "2Gi"}, {}, "requested PV is too small"),
        ({"cls": "slow"}, {}, "storageClassName does not match"),
        ({"volumeMode": "Block"}, {}, "incompatible volumeMode"),
        ({"accessModes": [RWX]}, {}, "incompatible accessMode"),
    ],
)
def test_why_a_named_volume_does_not_do(wanted: Any, offered: Any, why: str) -> None:
    assert misfit(volume(**offered), claim(**wanted)) == why


def test_waiting_for_a_pod() -> None:
    waits = storage_class(volumeBindingMode="WaitForFirstConsumer")
    assert is_delayed(claim(), waits)
    assert not is_delayed(claim(metadata={"annotations": {"volume.kubernetes.io/selected-node": "n"}}), waits)
    assert not is_delayed(claim(), storage_class(volumeBindingMode="Immediate"))
    assert not is_delayed(claim(), None)


def test_the_newest_default_class() -> None:
    def made(name: str, created: str, default: str = "true") -> Any:
        annotations = {"storageclass.kubernetes.io/is-default-class": default}
        return storage_class(name, metadata={"creationTimestamp": created, "annotations": annotations})

    old, new = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    assert (
        default_class([made("a", old), made("c", new), made("b", new), made("d", new, "false")]).metadata.name
        == "b"
    )
    assert default_class([storage_class()]) is None


# -- claims ----------------------------------------------------------------------------------------------------

BOUND = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
#: (what, claim, volumes, classes, bind, phase, reason of the event)
CLAIMS: list[tuple[str, dict[str, Any], list[dict[str, Any]], list[dict[str, Any]], str | None, str, str]] = [
    ("no class", {"cls": ""}, [], [], None, "Pending", "FailedBinding"),
    ("found", {}, [{}], [], "v", "", ""),
    ("asked for, absent", {"volumeName": "v"}, [], [], None, "Pending", ""),
    ("asked for", {"volumeName": "v"}, [{}], [], "v", "", ""),
    ("asked for, unfit", {"volumeName": "v", "size": "5Gi"}, [{}], [], None, "Pending", "VolumeMismatch"),
    ("asked for, reserved", {"volumeName": "v"}, [{"claimRef": ref(uid="")}], [], "v", "", ""),
    ("asked for, taken", {"volumeName": "v"}, [{"claimRef": ref("x")}], [], None, "Pending", "FailedBinding"),
    (
        "waits",
        {},
        [{}],
        [{"volumeBindingMode": "WaitForFirstConsumer"}],
        None,
        "Pending",
        "WaitForFirstConsumer",
    ),
    ("bound", {"volumeName": "v", "metadata": BOUND}, [{"claimRef": ref()}], [], "v", "", ""),
    ("bound, loose", {"volumeName": "v", "metadata": BOUND}, [{}], [], "v", "", ""),
    ("lost its name", {"metadata": BOUND}, [{}], [], None, "Lost", "ClaimLost"),
    ("lost its volume", {"volumeName": "v", "metadata": BOUND}, [], [], None, "Lost", "ClaimLost"),
    (
        "misbound",
        {"volumeName": "v", "metadata": BOUND},
        [{"claimRef": ref("x", "y")}],
        [],
        None,
        "Lost",
        "ClaimMisbound",
    ),
]


@pytest.mark.parametrize("case", CLAIMS, ids=[case[0] for case in CLAIMS])
def test_what_a_claim_needs(case: Any) -> None:
    _, wanted, offered, classes, bind, phase, reason = case
    known = {v.metadata.name: v for v in (volume(**o) for o in offered)}
    step = claims.next_step(claim(**wanted), known, {"fast": storage_class(**classes[0])} if classes else {})
    assert (step.bind.metadata.name if step.bind is not None else None) == bind
    assert (step.phase, step.tell.reason if step.tell else "") == (phase, reason)
    assert not step.provision


def test_a_claim_with_a_class_and_no_volume_is_to_be_provisioned() -> None:
    assert claims.next_step(claim(), {}, {"fast": storage_class()}).provision


@pytest.mark.parametrize(
    ("pods", "reason", "message"),
    [
        ([], "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
        (["p"], "WaitForPodScheduled", "waiting for pod p to be scheduled"),
        (["p", "q"], "WaitForPodScheduled", "waiting for pods p,q to be scheduled"),
    ],
)
def test_whom_a_claim_waits_for(pods: list[str], reason: str, message: str) -> None:
    classes = {"fast": storage_class(volumeBindingMode="WaitForFirstConsumer")}
    assert claims.next_step(claim(), {}, classes, pods).tell == ("Normal", reason, message)


# -- volumes ---------------------------------------------------------------------------------------------------

PROVISIONED = {"annotations": {"pv.kubernetes.io/provisioned-by": "p"}}
#: (what, volume, its claim, step)
VOLUMES: list[tuple[str, dict[str, Any], dict[str, Any] | None, volumes.Step]] = [
    ("unused", {}, None, volumes.Step(phase="Available")),
    ("reserved", {"claimRef": ref(uid="")}, None, volumes.Step(phase="Available")),
    ("reserved, claim there", {"claimRef": ref(uid="")}, {}, volumes.Step(phase="Available", claim=True)),
    ("claim gone", {"claimRef": ref()}, None, volumes.Step(phase="Released", reclaim=True)),
    (
        "another of its name",
        {"claimRef": ref(uid="old")},
        {},
        volumes.Step(phase="Released", reclaim=True),
    ),
    ("failed", {"claimRef": ref(), "status": {"phase": "Failed"}}, None, volumes.Step(reclaim=True)),
    ("half bound", {"claimRef": ref()}, {}, volumes.Step(claim=True)),
    (
        "bound",
        {"claimRef": ref()},
        {"volumeName": "v", "status": {"phase": "Bound"}},
        volumes.Step(phase="Bound"),
    ),
    ("bound elsewhere", {"claimRef": ref()}, {"volumeName": "w"}, volumes.Step(unbind=True)),
    (
        "made for a claim that found another",
        {"claimRef": ref(), "metadata": PROVISIONED, "persistentVolumeReclaimPolicy": "Delete"},
        {"volumeName": "w"},
        volumes.Step(phase="Released", reclaim=True),
    ),
]


@pytest.mark.parametrize("case", VOLUMES, ids=[case[0] for case in VOLUMES])
def test_what_a_volume_needs(case: Any) -> None:
    _, given, its_claim, step = case
    assert volumes.next_step(volume(**given), claim(**its_claim) if its_claim is not None else None) == step


# -- on a cluster ----------------------------------------------------------------------------------------------


async def phases(c: Cluster) -> dict[str, str]:
    found = [*(await c.client.list(core_v1.PersistentVolume)).items]
    found += (await c.client.list(core_v1.PersistentVolumeClaim)).items
    return {o.metadata.name: o.status.phase for o in found}


async def free(c: Cluster, name: str = "c") -> None:
    await c.client.patch(core_v1.PersistentVolumeClaim, name, "default", {"metadata": {"finalizers": None}})
    await c.client.delete(core_v1.PersistentVolumeClaim, name, "default")
    await c.settle()


@pytest.mark.parametrize("claim_first", [True, False])
def test_a_claim_and_a_volume_find_each_other(play: Any, claim_first: bool) -> None:
    async def story(c: Cluster) -> None:
        things = [wire_claim(), wire_volume(size="2Gi")]
        for thing in things if claim_first else reversed(things):
            await c.create(thing)
        assert await phases(c) == {"c": "Bound", "v": "Bound"}
        made = await c.get(core_v1.PersistentVolumeClaim, "c")
        assert (made.spec.volumeName, dict(made.status.capacity)) == ("v", {"storage": "2Gi"})
        assert sorted(made.metadata.annotations) == [
            "pv.kubernetes.io/bind-completed",
            "pv.kubernetes.io/bound-by-controller",
        ]
        found = await c.client.get(core_v1.PersistentVolume, "v")
        assert (found.spec.claimRef.name, found.spec.claimRef.uid) == ("c", made.metadata.uid)
        await c.create(wire_claim("d"))
        assert (await phases(c))["d"] == "Pending"
        await free(c)
        assert await phases(c) == {"v": "Released", "d": "Pending"}
        await c.client.patch(core_v1.PersistentVolume, "v", body={"spec": {"claimRef": None}})
        await c.settle()
        assert await phases(c) == {"v": "Bound", "d": "Bound"}

    play(story, BINDER)


def test_a_reserved_volume_waits_for_its_claim(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_volume(claimRef=ref("b", "")))
        await c.create(wire_claim("a"))
        assert await phases(c) == {"v": "Available", "a": "Pending"}
        await c.create(wire_claim("b", volumeName="v"))
        assert await phases(c) == {"v": "Bound", "a": "Pending", "b": "Bound"}
        found = await c.get(core_v1.PersistentVolumeClaim, "b")
        assert list(found.metadata.annotations) == ["pv.kubernetes.io/bind-completed"]

    play(story, BINDER)


def test_a_volume_that_is_deleted_loses_its_claim(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_volume())
        await c.create(wire_claim())
        await c.client.patch(core_v1.PersistentVolume, "v", body={"metadata": {"finalizers": None}})
        await c.client.delete(core_v1.PersistentVolume, "v")
        await c.settle()
        assert await phases(c) == {"c": "Lost"}
        assert await c.told("ClaimLost") == [
            "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        ]

    play(story, BINDER)


def test_provisioning_is_asked_for_and_a_default_class_is_given(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_claim("plain", cls=None))
        await c.create(wire_claim("wrong", cls="absent"))
        assert await c.told("FailedBinding") == [
            "no persistent volumes available for this claim and no storage class is set"
        ]
        assert await c.told("ProvisioningFailed") == ['storageclass.storage.k8s.io "absent" not found']
        default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
        await c.create(wire_class(metadata=default))
        found = await c.get(core_v1.PersistentVolumeClaim, "plain")
        assert found.spec.storageClassName == "fast"
        assert found.metadata.annotations["volume.kubernetes.io/storage-provisioner"] == "example.com/p"
        (message,) = set(await c.told("ExternalProvisioning"))
        assert message.startswith(
            "Waiting for a volume to be created either by the external provisioner 'example.com/p'"
        )

    play(story, BINDER)


def test_a_class_that_waits_for_a_consumer(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_class(volumeBindingMode="WaitForFirstConsumer"))
        await c.create(wire_volume())
        await c.create(wire_claim())
        assert await phases(c) == {"v": "Available", "c": "Pending"}
        assert await c.told("WaitForFirstConsumer")
        # the scheduler's part
        uid = (await c.get(core_v1.PersistentVolumeClaim, "c")).metadata.uid
        await c.client.patch(
            core_v1.PersistentVolume,
            "v",
            body={"spec": {"claimRef": {"kind": "PersistentVolumeClaim", **ref("c", uid)}}},
        )
        await c.settle()
        assert await phases(c) == {"v": "Bound", "c": "Bound"}

    play(story, BINDER)


@pytest.mark.parametrize(
    ("policy", "phase", "reason"),
    [("Retain", "Released", ""), ("Delete", "Failed", "VolumeFailedDelete")],
)
def test_reclaiming(play: Any, policy: str, phase: str, reason: str) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_volume(persistentVolumeReclaimPolicy=policy))
        await c.create(wire_claim())
        await free(c)
        assert await phases(c) == {"v": phase}
        if reason:
            assert await c.told(reason) == [
                "host_path deleter only supports /tmp/.+ but received provided /x"
            ]

    play(story, BINDER)


#: (what of the volume, why it is not deleted; None where it is, "" where somebody else does it)
DELETIONS: list[tuple[str, dict[str, Any], str | None]] = [
    ("below tmp", {"hostPath": {"path": "/tmp/x"}}, None),
    (
        "nfs",
        {"nfs": {"server": "s", "path": "/x"}},
        'error getting deleter volume plugin for volume "v": no deletable volume plugin matched',
    ),
    (
        "csi made by hand",
        {"csi": {"driver": "d", "volumeHandle": "h"}},
        'error getting deleter volume plugin for volume "v": no volume plugin matched',
    ),
    ("provisioned", {"csi": {"driver": "d", "volumeHandle": "h"}, "metadata": PROVISIONED}, ""),
]


@pytest.mark.parametrize(("source", "why_not"), [d[1:] for d in DELETIONS], ids=[d[0] for d in DELETIONS])
def test_deleting(play: Any, source: dict[str, Any], why_not: str | None) -> None:
    async def story(c: Cluster) -> None:
        fields = {"hostPath": None, "persistentVolumeReclaimPolicy": "Delete", **source}
        await c.create(wire_volume(**fields))
        await c.create(wire_claim())
        await free(c)
        if why_not is None:
            assert await phases(c) == {}
            return
        assert await phases(c) == {"v": "Failed" if why_not else "Released"}
        assert (await c.client.get(core_v1.PersistentVolume, "v")).status.message == why_not
        assert await c.told("VolumeFailedDelete") == ([why_not] if why_not else [])

    play(story, BINDER, "persistentvolume-protection-controller")


@pytest.mark.parametrize(
    ("provisioner", "why_not"),
    [
        ("kubernetes.io/no-provisioner", "no volume plugin matched name: kubernetes.io/no-provisioner"),
        ("kubernetes.io/nfs", "no provisionable volume plugin matched"),
        (
            "kubernetes.io/host-path",
            'Failed to create provisioner: provisioning in volume plugin "kubernetes.io/host-path" is disabled',
        ),
    ],
)
def test_what_is_not_provisioned(play: Any, provisioner: str, why_not: str) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_class(provisioner=provisioner))
        await c.create(wire_claim())
        assert await c.told("ProvisioningFailed") == [why_not]
        made = await c.get(core_v1.PersistentVolumeClaim, "c")
        assert bool(made.metadata.annotations) == provisioner.endswith("host-path")

    play(story, BINDER)


def test_a_claim_that_waits_is_told_again(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_claim(cls=None))
        await c.later(31)
        events = await c.client.list(built_in("v1", "Event"), "default")
        (found,) = [event for event in events.items if event["reason"] == "FailedBinding"]
        assert found["count"] == 3

    play(story, BINDER)


def test_a_class_of_attributes_stays_while_it_is_used(play: Any) -> None:
    async def story(c: Cluster) -> None:
        kind = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttributesClass", "driverName": "d"}
        for name in ("used", "unused"):
            await c.create({**kind, "metadata": {"name": name}, "parameters": {"a": "b"}})
        await c.create(wire_claim(volumeAttributesClassName="used"))
        for name in ("used", "unused"):
            await c.client.delete(storage_v1.VolumeAttributesClass, name)
        await c.settle()
        left = (await c.client.list(storage_v1.VolumeAttributesClass)).items
        assert [found.metadata.name for found in left] == ["used"]
        await free(c)
        assert (await c.client.list(storage_v1.VolumeAttributesClass)).items == []

    play(story, "volumeattributesclass-protection-controller")


def test_growing_is_left_to_the_driver(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_class(allowVolumeExpansion=True))
        await c.create(wire_volume(hostPath=None, csi={"driver": "d", "volumeHandle": "h"}))
        await c.create(wire_claim())
        more = {"resources": {"requests": {"storage": "2Gi"}}}
        await c.client.patch(core_v1.PersistentVolumeClaim, "c", "default", {"spec": more})
        await c.settle()
        assert await c.told("ExternalExpanding") == ["waiting for an external controller to expand this PVC"]

    play(story, BINDER, "persistentvolume-expander-controller")


def test_recycling(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_volume(persistentVolumeReclaimPolicy="Recycle"))
        await c.create(wire_claim())
        await free(c)
        assert await phases(c) == {"v": "Released"}
        (pod,) = await c.pods()
        assert (pod.metadata.name, pod.spec.activeDeadlineSeconds) == ("recycler-for-v", 60)
        await c.succeed(pod)
        assert await phases(c) == {"v": "Available"}
        assert await c.told("VolumeRecycled") == ["Volume recycled"]
        assert (await c.client.get(core_v1.PersistentVolume, "v")).spec.claimRef is None

    play(story, BINDER)


# -- token secrets ---------------------------------------------------------------------------------------------


def token_secret(name: str, account: str) -> dict[str, Any]:
    annotations = {"kubernetes.io/service-account.name": account}
    meta = {"name": name, "namespace": "default", "annotations": annotations}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta,
        "type": "kubernetes.io/service-account-token",
    }


async def issue(account: dict[str, Any], secret: dict[str, Any]) -> str:
    return f"{account['metadata']['name']} {secret['metadata']['name']}"


def test_token_secrets_are_filled_and_go_with_their_account(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.client.create(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "robot", "namespace": "default"},
            }
        )
        await c.create(token_secret("t", "robot"))
        found = await c.get(core_v1.Secret, "t")
        plain = {key: base64.b64decode(value).decode() for key, value in found.data.items()}
        assert plain == {"token": "robot t", "namespace": "default", "ca.crt": "PEM"}
        uid = (await c.get(core_v1.ServiceAccount, "robot")).metadata.uid
        assert found.metadata.annotations["kubernetes.io/service-account.uid"] == uid
        await c.client.patch(core_v1.Secret, "t", "default", {"data": {"token": None}})
        await c.settle()
        assert (await c.get(core_v1.Secret, "t")).data["token"] == found.data["token"]
        await c.create(token_secret("stray", "nobody"))
        await c.delete(core_v1.ServiceAccount, "robot")
        for name in ("t", "stray"):
            with pytest.raises(StatusError) as caught:
                await c.get(core_v1.Secret, name)
            assert is_not_found(caught.value)

    play(story, TOKENS, root_ca="PEM", legacy_token=issue)


def test_an_account_forgets_a_secret_that_is_gone(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(token_secret("t", "default"))
        await c.client.patch(
            core_v1.ServiceAccount, "default", "default", {"secrets": [{"name": "t"}, {"name": "other"}]}
        )
        await c.delete(core_v1.Secret, "t")
        account = await c.get(core_v1.ServiceAccount, "default")
        assert [ref.name for ref in account.secrets] == ["other"]

    play(story, TOKENS, root_ca="PEM", legacy_token=issue)
