"""Pods with claims, on a real API server in memory."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.types import core_v1

from .clusters import HOST, SchedulingCluster, priorities, scheduling

TAIL = "no new claims to deallocate, preemption: 0/{n} nodes are available: {n} Preemption is not helpful for scheduling."


def mounts(claim: str) -> list[dict[str, Any]]:
    return [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]


async def storage_class(
    c: SchedulingCluster, mode: str, provisioner: str = "disk.example.com", **more: Any
) -> None:
    await c.client.create(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "disk"},
            "provisioner": provisioner,
            "volumeBindingMode": mode,
            **more,
        }
    )


async def claim(
    c: SchedulingCluster, name: str = "data", modes: tuple[str, ...] = ("ReadWriteOnce",)
) -> None:
    await c.client.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "storageClassName": "disk",
                "accessModes": list(modes),
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    )


async def volume(c: SchedulingCluster, name: str, node: str = "", size: str = "1Gi", **more: Any) -> None:
    spec: dict[str, Any] = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "disk",
        "csi": {"driver": "disk.example.com", "volumeHandle": name},
    }
    if node:
        expression = {"key": HOST, "operator": "In", "values": [node]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    body = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, **more}, "spec": spec}
    await c.client.create(body)
    # as the volume controller finds it
    status = {"status": {"phase": "Available"}}
    await c.client.patch(core_v1.PersistentVolume, name, body=status, subresource="status")


async def bound(c: SchedulingCluster, claim: str, volume: str) -> None:
    """What the volume controller does."""
    patch = {
        "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": volume},
    }
    await c.client.patch(core_v1.PersistentVolumeClaim, claim, "default", patch)


def test_a_claim_that_is_missing(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await c.pod("a", volumes=mounts("data"))
            await c.settle()
            expected = '0/1 nodes are available: persistentvolumeclaim "data" not found. ' + TAIL.format(n=1)
            assert (await c.condition("a")).message == expected
            await storage_class(c, "Immediate")
            await claim(c)
            await c.settle(3)
            assert (await c.condition("a")).message == (
                "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. "
                + TAIL.format(n=1)
            )
            await volume(c, "v1")
            await bound(c, "data", "v1")
            await c.settle(3)
            assert await c.where("a") == "n1"

    run(main())


def test_an_ephemeral_claim_that_its_controller_has_not_made(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            template = {
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
            }
            await c.pod("a", volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}])
            await c.settle()
            assert (await c.condition("a")).message.startswith(
                "0/1 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim "
                '"a-v". '
            )

    run(main())


def test_a_pod_goes_where_its_volume_is(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            for name in ("n1", "n2", "n3"):
                await c.node(name)
            await storage_class(c, "Immediate")
            await claim(c)
            await volume(c, "v1", node="n2")
            await bound(c, "data", "v1")
            await c.pod("a", volumes=mounts("data"))
            await c.settle()
            assert await c.where("a") == "n2"
            await c.pod("b", volumes=mounts("data"), nodeSelector={HOST: "n1"})
            await c.settle()
            assert (await c.condition("b")).message == (
                "0/3 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, "
                "2 node(s) didn't match Pod's node affinity/selector. " + TAIL.format(n=3)
            )

    run(main())


def test_a_claim_that_waits_learns_the_node_and_the_pod_waits_for_the_volume(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await storage_class(c, "WaitForFirstConsumer")
            await claim(c)
            await c.pod("a", volumes=mounts("data"))
            await c.settle()
            found = await c.client.get(core_v1.PersistentVolumeClaim, "data", "default")
            assert found.metadata.annotations["volume.kubernetes.io/selected-node"] == "n1"
            assert await c.where("a") == ""
            assert (await c.get("a")).status.nominatedNodeName == "n1"
            await volume(c, "v1", node="n1")
            await bound(c, "data", "v1")
            await c.settle(3)
            assert await c.where("a") == "n1"
            assert not (await c.get("a")).status.nominatedNodeName

    run(main())


def test_a_volume_made_by_hand_is_promised_to_one_claim(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            for name in ("n1", "n2"):
                await c.node(name)
            await storage_class(c, "WaitForFirstConsumer", "kubernetes.io/no-provisioner")
            await volume(c, "v1", node="n1")
            for name in ("one", "two"):
                await claim(c, name)
                await c.pod(name, volumes=mounts(name))
            await c.settle()
            found = await c.client.get(core_v1.PersistentVolume, "v1")
            assert found.spec.claimRef.name == "one"
            assert (await c.condition("two")).message == (
                "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. "
                + TAIL.format(n=2)
            )
            await volume(c, "v2", node="n2")
            await c.settle(3)
            assert (await c.client.get(core_v1.PersistentVolume, "v2")).spec.claimRef.name == "two"

    run(main())


@pytest.mark.parametrize(("label", "node"), [("z1", "n1"), ("z2__z3", "n2")])
def test_zones_of_volumes(run: Any, label: str, node: str) -> None:
    zone = "topology.kubernetes.io/zone"

    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1", labels={zone: "z1"})
            await c.node("n2", labels={zone: "z2"})
            await storage_class(c, "Immediate")
            await claim(c)
            await volume(c, "v1", labels={zone: label})
            await bound(c, "data", "v1")
            await c.pod("a", volumes=mounts("data"))
            await c.settle()
            assert await c.where("a") == node

    run(main())


async def rwop(c: SchedulingCluster) -> None:
    for node in ("n1", "n2"):
        await c.node(node)
    await storage_class(c, "Immediate")
    await claim(c, modes=("ReadWriteOncePod",))
    await volume(c, "v1")
    await bound(c, "data", "v1")


def test_read_write_once_pod(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await rwop(c)
            await c.pod("a", volumes=mounts("data"))
            await c.settle()
            await c.pod("b", volumes=mounts("data"))
            await c.settle()
            # on no node of the cluster
            assert (await c.condition("b")).message == (
                "0/2 nodes are available: 2 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod "
                "access mode already in-use by another pod. no new claims to deallocate, preemption: "
                "0/2 nodes are available: 2 No preemption victims found for incoming pod."
            )
            await c.client.delete(core_v1.Pod, "a", "default", grace=0)
            await c.settle(3)
            assert await c.where("b") in ("n1", "n2")

    run(main())


def test_a_pod_takes_a_claim_from_a_less_important_one(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await priorities(c)
            await rwop(c)
            await c.pod("a", volumes=mounts("data"), priorityClassName="low")
            await c.settle()
            node = await c.where("a")
            await c.pod("b", volumes=mounts("data"), priorityClassName="high")
            await c.settle()
            assert (await c.get("b")).status.nominatedNodeName == node
            assert (await c.get("a")).metadata.deletionTimestamp is not None

    run(main())


def gce(name: str, read_only: bool = False) -> dict[str, Any]:
    return {"gcePersistentDisk": {"pdName": name, "readOnly": read_only}}


def aws(name: str) -> dict[str, Any]:
    return {"awsElasticBlockStore": {"volumeID": name, "readOnly": True}}


def iscsi(iqn: str, read_only: bool = False) -> dict[str, Any]:
    return {"iscsi": {"targetPortal": "10.0.0.1", "iqn": iqn, "lun": 0, "readOnly": read_only}}


def rbd(*monitors: str, image: str = "i", read_only: bool = False) -> dict[str, Any]:
    return {"rbd": {"monitors": list(monitors), "image": image, "readOnly": read_only}}


@pytest.mark.parametrize(
    ("there", "wanted", "conflict"),
    [
        (gce("d"), gce("d"), True),
        (gce("d", True), gce("d"), True),
        (gce("d", True), gce("d", True), False),
        (gce("d"), gce("e"), False),
        (gce("d"), aws("d"), False),
        (aws("d"), aws("d"), True),
        (iscsi("iqn.2020-01.x:a"), iscsi("iqn.2020-01.x:a", True), True),
        (iscsi("iqn.2020-01.x:a", True), iscsi("iqn.2020-01.x:a", True), False),
        (rbd("m1", "m2"), rbd("m2", "m3"), True),
        (rbd("m1"), rbd("m2"), False),
        (rbd("m1"), rbd("m1", image="j"), False),
        (rbd("m1", read_only=True), rbd("m1", read_only=True), False),
    ],
)
def test_disks_that_pods_name_themselves(
    run: Any, there: dict[str, Any], wanted: dict[str, Any], conflict: bool
) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await c.pod("a", volumes=[{"name": "v", **there}])
            await c.settle()
            await c.pod("b", volumes=[{"name": "v", **wanted}])
            await c.settle()
            assert await c.where("b") == ("" if conflict else "n1")
            if conflict:
                message = (await c.condition("b")).message
                assert message.startswith("0/1 nodes are available: 1 node(s) had no available disk. ")

    run(main())


def test_limits_of_a_driver(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await storage_class(c, "Immediate")
            driver = {"name": "disk.example.com", "nodeID": "x", "allocatable": {"count": 1}}
            await c.client.create(
                {
                    "apiVersion": "storage.k8s.io/v1",
                    "kind": "CSINode",
                    "metadata": {"name": "n1"},
                    "spec": {"drivers": [driver]},
                }
            )
            for name in ("one", "two"):
                await claim(c, name)
                await volume(c, f"v-{name}")
                await bound(c, name, f"v-{name}")
                await c.pod(name, volumes=mounts(name))
                await c.settle()
            assert await c.where("one") == "n1"
            assert "1 node(s) exceed max volume count." in (await c.condition("two")).message
            # the volume of a less important pod makes room
            await priorities(c)
            await claim(c, "three")
            await volume(c, "v-three")
            await bound(c, "three", "v-three")
            await c.pod("three", volumes=mounts("three"), priorityClassName="high")
            await c.settle()
            assert (await c.get("three")).status.nominatedNodeName == "n1"
            assert (await c.get("one")).metadata.deletionTimestamp is not None

    run(main())


def test_drivers_say_where_there_is_room(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            for name in ("n1", "n2"):
                await c.node(name)
            await storage_class(c, "WaitForFirstConsumer")
            driver = {"metadata": {"name": "disk.example.com"}, "spec": {"storageCapacity": True}}
            await c.client.create({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", **driver})
            await claim(c)
            await c.pod("a", volumes=mounts("data"))
            await c.settle()
            assert (await c.condition("a")).message == (
                "0/2 nodes are available: 2 node(s) did not have enough free storage. " + TAIL.format(n=2)
            )
            for node, capacity, most in (("n1", "2Gi", "512Mi"), ("n2", "1Gi", None)):
                await c.client.create(
                    {
                        "apiVersion": "storage.k8s.io/v1",
                        "kind": "CSIStorageCapacity",
                        "metadata": {"name": node, "namespace": "default"},
                        "storageClassName": "disk",
                        "nodeTopology": {"matchLabels": {HOST: node}},
                        "capacity": capacity,
                        **({"maximumVolumeSize": most} if most else {}),
                    }
                )
            await c.settle(5)
            found = await c.client.get(core_v1.PersistentVolumeClaim, "data", "default")
            assert found.metadata.annotations["volume.kubernetes.io/selected-node"] == "n2"

    run(main())
