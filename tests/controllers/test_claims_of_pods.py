"""Claims that are made for pods: of ephemeral volumes, and of devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from knarr.api.resource.claimfacts import FINALIZER
from knarr.api.types import core_v1, resource_v1
from knarr.controllers.resourceclaim import generate_name

from .conftest import NAMESPACE, TEMPLATE, Cluster

VOLUMES, DEVICES = "ephemeral-volume-controller", "resourceclaim-controller"
Play = Callable[..., None]


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": NAMESPACE},
        "spec": {**TEMPLATE["spec"], **spec},
    }


def with_volume(**template: Any) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return pod(volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": spec, **template}}}])


def test_a_claim_is_made_from_the_template_and_made_again(play: Play) -> None:
    async def story(cluster: Cluster) -> None:
        made = await cluster.create(with_volume(metadata={"labels": {"a": "b"}, "annotations": {"c": "d"}}))
        claim = await cluster.get(core_v1.PersistentVolumeClaim, "p-v")
        assert claim.metadata.labels == {"a": "b"} and claim.metadata.annotations == {"c": "d"}
        (owner,) = claim.metadata.ownerReferences
        assert (owner.kind, owner.uid, owner.controller, owner.blockOwnerDeletion) == (
            "Pod",
            made["metadata"]["uid"],
            True,
            True,
        )
        await cluster.delete(core_v1.PersistentVolumeClaim, "p-v")
        again = await cluster.get(core_v1.PersistentVolumeClaim, "p-v")
        assert again.metadata.uid != claim.metadata.uid

    play(story, VOLUMES, "persistentvolumeclaim-protection-controller")


def test_somebody_elses_claim_is_left_alone(play: Play) -> None:
    async def story(cluster: Cluster) -> None:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        meta = {"name": "p-v", "namespace": NAMESPACE}
        await cluster.create(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}
        )
        await cluster.create(with_volume())
        assert await cluster.told("FailedBinding") == [
            "ephemeral volume v: PVC default/p-v was not created for pod default/p (pod is not owner)"
        ]

    play(story, VOLUMES)


def with_device(name: str = "p", **named: str) -> dict[str, Any]:
    wanted = {"name": "gpu", **(named or {"resourceClaimTemplateName": "t"})}
    made = pod(resourceClaims=[wanted])
    made["metadata"]["name"] = name
    return made


DEVICE = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}


def device_template() -> dict[str, Any]:
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "t", "namespace": NAMESPACE},
        "spec": {"metadata": {"labels": {"a": "b"}}, "spec": DEVICE},
    }


def test_a_resource_claim_is_made_and_told_of(play: Play) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create(with_device())
        assert await cluster.told("FailedResourceClaimCreation") == [
            'PodResourceClaim gpu: resource claim template "t":'
            ' resourceclaimtemplate.resource.k8s.io "t" not found'
        ]
        await cluster.create(device_template())
        await cluster.later(10)
        (claim,) = await cluster.list(resource_v1.ResourceClaim)
        assert claim.metadata.name.startswith("p-gpu-") and claim.metadata.generateName == "p-gpu-"
        assert claim.metadata.annotations == {"resource.kubernetes.io/pod-claim-name": "gpu"}
        assert claim.metadata.labels == {"a": "b"}
        found = await cluster.get(core_v1.Pod, "p")
        (status,) = found.status.resourceClaimStatuses
        assert (status.name, status.resourceClaimName) == ("gpu", claim.metadata.name)
        entry = next(e for e in found.metadata.managedFields if e.manager == "ResourceClaimController")
        assert (entry.operation, entry.subresource) == ("Apply", "status")
        await cluster.succeed(found)
        assert await cluster.list(resource_v1.ResourceClaim) == []

    play(story, DEVICES)


@pytest.mark.parametrize("consumers", [1, 2])
def test_the_last_consumer_deallocates(play: Play, consumers: int) -> None:
    async def story(cluster: Cluster) -> None:
        meta = {"name": "shared", "namespace": NAMESPACE, "finalizers": [FINALIZER]}
        await cluster.create(
            {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": meta, "spec": DEVICE}
        )
        pods = [
            await cluster.create(with_device(f"p{i}", resourceClaimName="shared")) for i in range(consumers)
        ]
        result = {"request": "r", "driver": "d.example", "pool": "n", "device": "d"}
        users = [
            {"resource": "pods", "name": p["metadata"]["name"], "uid": p["metadata"]["uid"]} for p in pods
        ]
        status = {"status": {"allocation": {"devices": {"results": [result]}}, "reservedFor": users}}
        await cluster.client.patch(
            resource_v1.ResourceClaim, "shared", NAMESPACE, status, subresource="status"
        )
        for left in reversed(range(consumers)):
            claim = await cluster.get(resource_v1.ResourceClaim, "shared")
            assert claim.status.allocation is not None and FINALIZER in claim.metadata.finalizers
            await cluster.delete(core_v1.Pod, f"p{left}", grace=0)
        claim = await cluster.get(resource_v1.ResourceClaim, "shared")
        assert claim.status.allocation is None and not claim.status.reservedFor
        assert not claim.metadata.finalizers

    play(story, DEVICES)


@pytest.mark.parametrize(("seconds", "after"), [(None, 0), (30, 30)])
def test_a_pod_leaves_a_device_that_is_tainted(play: Play, seconds: int | None, after: int) -> None:
    async def story(cluster: Cluster) -> None:
        meta = {"name": "c", "namespace": NAMESPACE}
        api = "resource.k8s.io/v1"
        await cluster.create({"apiVersion": api, "kind": "ResourceClaim", "metadata": meta, "spec": DEVICE})
        made = await cluster.create(with_device(resourceClaimName="c"))
        result: dict[str, Any] = {"request": "r", "driver": "d.example", "pool": "n", "device": "d"}
        if seconds is not None:
            result["tolerations"] = [{"operator": "Exists", "tolerationSeconds": seconds}]
        user = {"resource": "pods", "name": "p", "uid": made["metadata"]["uid"]}
        status = {"status": {"allocation": {"devices": {"results": [result]}}, "reservedFor": [user]}}
        await cluster.client.patch(resource_v1.ResourceClaim, "c", NAMESPACE, status, subresource="status")
        await cluster.place(await cluster.get(core_v1.Pod, "p"), "n")
        spec = {
            "driver": "d.example",
            "nodeName": "n",
            "pool": {"name": "n", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "d", "taints": [{"key": "k", "effect": "NoExecute"}]}],
        }
        await cluster.create(
            {"apiVersion": api, "kind": "ResourceSlice", "metadata": {"name": "s"}, "spec": spec}
        )
        if after:
            assert (await cluster.get(core_v1.Pod, "p")).metadata.deletionTimestamp is None
            await cluster.later(after + 1)
        assert await cluster.told("DeviceTaintManagerEviction") == ["Marking for deletion"]
        found = await cluster.get(core_v1.Pod, "p")
        (condition,) = (c for c in found.status.conditions if c.type == "DisruptionTarget")
        assert condition.reason == "DeletionByDeviceTaintManager"
        assert found.metadata.deletionTimestamp is not None

    play(story, "device-taint-eviction-controller")


def test_long_names_are_both_shortened() -> None:
    assert generate_name("p", "c") == "p-c-"
    assert generate_name("p" * 63, "c" * 63) == f"{'p' * 28}-{'c' * 28}"
