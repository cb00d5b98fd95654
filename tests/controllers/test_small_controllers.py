"""Controllers of one idea each: protection of volumes and claims, node addresses, node annotation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.catalog import BY_GVR
from knarr.api.scheme import scheme
from knarr.api.types import core_v1
from knarr.cluster.parts import create_accounts
from knarr.controllers import CONTROLLERS, ControllerManager, _load
from knarr.controllers.nodeipam import CIDRs, RangeFull
from knarr.controllers.pvcprotection import in_use
from knarr.controllers.ttl import STEPS, next_step

from .conftest import Cluster

PVC, PV = "persistentvolumeclaim-protection-controller", "persistentvolume-protection-controller"


def claim(name: str = "c") -> dict[str, Any]:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "",
    }
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def user(name: str, node: str = "n", claims: tuple[str, ...] = ("c",)) -> dict[str, Any]:
    volumes = [{"name": f"v{i}", "persistentVolumeClaim": {"claimName": c}} for i, c in enumerate(claims)]
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}], "volumes": volumes}
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


# -- claims and volumes ----------------------------------------------------------------------------------------


def test_a_claim_waits_for_its_pods(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(claim())
        await c.client.create(user("p"))
        await c.client.create(user("q"))
        await c.client.create(user("other", claims=("d",)))
        await c.delete(core_v1.PersistentVolumeClaim, "c")
        assert await c.exists(core_v1.PersistentVolumeClaim, "c")
        await c.delete(core_v1.Pod, "p", grace=0)
        assert await c.exists(core_v1.PersistentVolumeClaim, "c")
        await c.delete(core_v1.Pod, "q", grace=0)
        assert not await c.exists(core_v1.PersistentVolumeClaim, "c")

    play(story, PVC)


def test_a_finalizer_that_somebody_removed_comes_back(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(claim())
        await c.client.patch(
            core_v1.PersistentVolumeClaim, "c", "default", {"metadata": {"finalizers": None}}
        )
        await c.settle()
        found = await c.get(core_v1.PersistentVolumeClaim, "c")
        assert found.metadata.finalizers == ("kubernetes.io/pvc-protection",)

    play(story, PVC)


def test_a_pod_that_is_nowhere_does_not_hold_a_claim() -> None:
    def made(body: dict[str, Any], cls: Any) -> Any:
        return scheme().from_dict(cls, body)

    wanted = made(claim(), core_v1.PersistentVolumeClaim)
    assert in_use(wanted, [made(user("p"), core_v1.Pod)])
    assert not in_use(wanted, [made(user("p", node=""), core_v1.Pod)])
    assert not in_use(wanted, [made(user("p", claims=("d",)), core_v1.Pod)])
    ephemeral = user("c") | {"metadata": {"name": "c", "namespace": "default", "uid": "u"}}
    ephemeral["spec"]["volumes"] = [{"name": "x", "ephemeral": {}}]
    own = claim("c-x")
    assert not in_use(made(own, core_v1.PersistentVolumeClaim), [made(ephemeral, core_v1.Pod)])
    ref = {"apiVersion": "v1", "kind": "Pod", "name": "c", "uid": "u", "controller": True}
    own["metadata"]["ownerReferences"] = [ref]
    assert in_use(made(own, core_v1.PersistentVolumeClaim), [made(ephemeral, core_v1.Pod)])


def test_a_volume_goes_unless_it_is_bound(play: Any) -> None:
    async def story(c: Cluster) -> None:
        for name in ("free", "bound"):
            spec = {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/x"},
            }
            await c.create(
                {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
            )
        await c.client.patch(
            core_v1.PersistentVolume, "bound", body={"status": {"phase": "Bound"}}, subresource="status"
        )
        for name in ("free", "bound"):
            await c.client.delete(core_v1.PersistentVolume, name)
        await c.settle()
        left = (await c.client.list(core_v1.PersistentVolume)).items
        assert [v.metadata.name for v in left] == ["bound"]
        await c.client.patch(
            core_v1.PersistentVolume, "bound", body={"status": {"phase": "Released"}}, subresource="status"
        )
        await c.settle()
        assert (await c.client.list(core_v1.PersistentVolume)).items == []

    play(story, PV)


# -- addresses of nodes ----------------------------------------------------------------------------------------


def test_parts_are_handed_out_in_order_and_given_back_last() -> None:
    cidrs = CIDRs("10.0.0.0/22")
    assert [cidrs.take() for _ in range(3)] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
    cidrs.release("10.0.1.0/24")
    assert cidrs.take() == "10.0.3.0/24"
    assert cidrs.take() == "10.0.1.0/24"
    with pytest.raises(RangeFull):
        cidrs.take()


@given(st.lists(st.integers(0, 15), max_size=12), st.lists(st.integers(0, 15), max_size=8))
def test_no_part_is_given_twice(occupied: list[int], released: list[int]) -> None:
    cidrs = CIDRs("fd00:1::/60")
    name = "fd00:1:0:{:x}::/64".format
    for number in occupied:
        cidrs.occupy(name(number))
    for number in released:
        cidrs.release(name(number))
    free = {name(n) for n in range(16) if n not in occupied or n in released}
    taken = [cidrs.take() for _ in range(len(free))]
    assert len(taken) == len(set(taken)) == len(free)
    assert {t.replace("fd00:1::/64", "fd00:1:0:0::/64") for t in taken} == free
    with pytest.raises(RangeFull):
        cidrs.take()


def test_nodes_get_addresses(play: Any) -> None:
    async def story(c: Cluster) -> None:
        for name in ("a", "b"):
            await c.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        found = [(await c.client.get(core_v1.Node, n)).spec for n in "ab"]
        assert [(s.podCIDR, s.podCIDRs) for s in found] == [
            ("10.244.0.0/24", ("10.244.0.0/24", "fd00::/64")),
            ("10.244.1.0/24", ("10.244.1.0/24", "fd00:0:0:1::/64")),
        ]

    play(story, "node-ipam-controller", pod_cidrs=("10.244.0.0/16", "fd00::/48"))


def test_a_full_range_is_told_of(play: Any) -> None:
    async def story(c: Cluster) -> None:
        for name in ("a", "b"):
            await c.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        assert (await c.client.get(core_v1.Node, "b")).spec.podCIDRs == ()
        assert set(await c.told("CIDRNotAvailable")) == {"Node b status is now: CIDRNotAvailable"}
        await c.client.delete(core_v1.Node, "a")
        await c.later(31)
        assert (await c.client.get(core_v1.Node, "b")).spec.podCIDR == "10.244.0.0/24"

    play(story, "node-ipam-controller", pod_cidrs=("10.244.0.0/24",))


# -- ttl -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "nodes", "seconds"),
    [(0, 1, 0), (0, 99, 0), (0, 100, 15), (1, 95, 15), (1, 89, 0), (0, 3000, 300), (4, 1900, 300), (5, 1, 0)],
)
def test_larger_clusters_ask_less_often(step: int, nodes: int, seconds: int) -> None:
    assert STEPS[next_step(step, nodes)][2] == seconds


def test_nodes_are_annotated(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})
        assert (await c.client.get(core_v1.Node, "a")).metadata.annotations == {
            "node.alpha.kubernetes.io/ttl": "0"
        }

    play(story, "ttl-controller")


# -- networks of services --------------------------------------------------------------------------------------

CIDRS = BY_GVR["networking.k8s.io", "v1", "servicecidrs"]
SERVICE_CIDRS = "service-cidr-controller"


def service_cidr(name: str, cidr: str) -> dict[str, Any]:
    meta = {"name": name}
    return {"apiVersion": CIDRS.api_version, "kind": CIDRS.kind, "metadata": meta, "spec": {"cidrs": [cidr]}}


def ready_condition(cidr: dict[str, Any]) -> tuple[str, str]:
    (condition,) = cidr["status"]["conditions"]
    return condition["status"], condition["reason"]


def test_a_service_cidr_is_ready_and_stays_while_services_have_its_addresses(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(service_cidr("extra", "10.200.0.0/24"))
        found = await c.client.get(CIDRS, "extra")
        assert ready_condition(found) == ("True", "")
        assert found["metadata"]["finalizers"] == ["networking.k8s.io/service-cidr-finalizer"]
        spec = {"clusterIP": "10.200.0.7", "ports": [{"port": 80}]}
        meta = {"name": "s", "namespace": "default"}
        await c.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
        await c.client.delete(CIDRS, "extra")
        await c.settle()
        assert ready_condition(await c.client.get(CIDRS, "extra")) == ("False", "Terminating")
        await c.delete(core_v1.Service, "s")
        await c.later(5)
        assert await c.client.get(CIDRS, "extra")
        await c.later(10)
        assert [x["metadata"]["name"] for x in (await c.client.list(CIDRS)).items] == ["kubernetes"]

    play(story, SERVICE_CIDRS)


def test_a_service_cidr_within_another_may_go(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(service_cidr("inner", "10.96.0.0/28"))
        await c.client.delete(CIDRS, "inner")
        await c.later(11)
        await c.client.delete(CIDRS, "kubernetes")
        await c.later(11)
        (left,) = (await c.client.list(CIDRS)).items
        assert left["metadata"]["name"] == "kubernetes"
        assert ready_condition(left) == ("False", "Terminating")

    play(story, SERVICE_CIDRS)


# -- accounts --------------------------------------------------------------------------------------------------


def test_the_accounts_that_the_controllers_act_as() -> None:
    manager = ControllerManager(None)  # type: ignore[arg-type]
    manager.controllers = {name: _load(place) for name, place in CONTROLLERS.items()}
    accounts = manager.accounts
    assert len(accounts) == 35 and len(set(accounts)) == 35
    assert {"attachdetach-controller", "endpoint-controller", "service-cidrs-controller"} <= set(accounts)
    assert not {"tokens-controller", "taint-eviction-controller", "bootstrap-signer"} & set(accounts)


def test_missing_accounts_are_created(play: Any) -> None:
    async def story(c: Cluster) -> None:
        for _ in range(2):
            await create_accounts(
                c.plane.registry, ["a-controller", "b-controller"], "kube-controller-manager"
            )
        made = await c.client.get(core_v1.ServiceAccount, "b-controller", "kube-system")
        assert made.metadata.resourceVersion and made.metadata.uid

    play(story, PVC)
