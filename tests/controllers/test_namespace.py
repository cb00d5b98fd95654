"""Namespaces: what appears in a new one, and how one that is deleted is emptied."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.scheme import scheme
from knarr.api.types import core_v1
from knarr.client.client import is_not_found
from knarr.controllers.namespace import GOOD, Sweep, conditions_after, grace_left, problems
from knarr.controllers.rootca import DESCRIPTION, DESCRIPTION_KEY
from knarr.meta.errors import StatusError

from .conftest import Cluster

NAMESPACES = "namespace-controller"
ACCOUNTS = "serviceaccount-controller"
ROOT_CA = "root-ca-certificate-publisher-controller"


def obj(kind: str, name: str, namespace: str = "", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


async def gone(c: Cluster, cls: Any, name: str, namespace: str = "") -> bool:
    try:
        await c.client.get(cls, name, namespace)
    except StatusError as error:
        assert is_not_found(error), error
        return True
    return False


# -- deciding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pods", "since", "left"),
    [
        ([], 0, 0),
        ([("Running", 30), ("Running", 60)], 0, 60),
        ([("Running", 30)], 10, 20),
        ([("Running", 30)], 31, 0),
        ([("Succeeded", 30), ("Failed", 60), ("Pending", 5)], 0, 5),
        ([("Running", None)], 0, 0),
    ],
)
def test_how_long_pods_may_still_take(pods: list[tuple[str, int | None]], since: float, left: int) -> None:
    made = [
        scheme().from_dict(
            core_v1.Pod, {"spec": {"terminationGracePeriodSeconds": grace}, "status": {"phase": phase}}
        )
        for phase, grace in pods
    ]
    assert grace_left(made, since) == left


def test_what_remains_is_said_in_order() -> None:
    sweep = Sweep(
        {("apps", "deployments"): 2, ("", "configmaps"): 1}, undiscovered={"x/v1": "no"}, failures=["b", "a"]
    )
    sweep.finalizers.update({"example.com/b": 1, "example.com/a": 2})
    found = problems(sweep)
    assert found["NamespaceContentRemaining"] == (
        "SomeResourcesRemain",
        "Some resources are remaining: configmaps. has 1 resource instances, deployments.apps has 2 resource instances",
    )
    assert found["NamespaceFinalizersRemaining"][1] == (
        "Some content in the namespace has finalizers remaining:"
        " example.com/a in 2 resource instances, example.com/b in 1 resource instances"
    )
    assert found["NamespaceDeletionContentFailure"] == (
        "ContentDeletionFailed",
        "Failed to delete all resource types, 2 remaining: a, b",
    )
    assert found["NamespaceDeletionDiscoveryFailure"][0] == "DiscoveryFailed"
    assert "NamespaceDeletionGroupVersionParsingFailure" not in found


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    first = conditions_after((), {}, "t1")
    assert [(c.type, c.status, c.reason, c.message) for c in first] == [
        (type_, "False", *good) for type_, good in GOOD.items()
    ]
    assert conditions_after(first, {}, "t2") == first
    second = conditions_after(first, {"NamespaceContentRemaining": ("Some", "1")}, "t2")
    third = conditions_after(second, {"NamespaceContentRemaining": ("Some", "2")}, "t3")
    assert [c.lastTransitionTime for c in third] == ["t1", "t1", "t1", "t2", "t1"]
    assert third[3].message == "2"


# -- a new namespace -------------------------------------------------------------------------------------------


def test_a_new_namespace_gets_its_account_and_the_root_certificate(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(obj("Namespace", "a"))
        assert (await c.client.get(core_v1.ServiceAccount, "default", "a")).metadata.ownerReferences == ()
        found = await c.client.get(core_v1.ConfigMap, "kube-root-ca.crt", "a")
        assert found.data == {"ca.crt": "PEM"}
        assert found.metadata.annotations == {DESCRIPTION_KEY: DESCRIPTION}
        await c.client.get(core_v1.ConfigMap, "kube-root-ca.crt", "kube-system")

    play(story, ACCOUNTS, ROOT_CA, root_ca="PEM")


def test_both_come_back(play: Any) -> None:
    async def story(c: Cluster) -> None:
        uid = (await c.get(core_v1.ServiceAccount, "default")).metadata.uid
        await c.delete(core_v1.ServiceAccount, "default")
        assert (await c.get(core_v1.ServiceAccount, "default")).metadata.uid != uid
        await c.delete(core_v1.ConfigMap, "kube-root-ca.crt")
        await c.client.patch(
            core_v1.ConfigMap, "kube-root-ca.crt", "default", {"data": {"ca.crt": "x", "y": "z"}}
        )
        await c.settle()
        assert (await c.get(core_v1.ConfigMap, "kube-root-ca.crt")).data == {"ca.crt": "PEM"}

    play(story, ACCOUNTS, ROOT_CA, root_ca="PEM")


# -- deletion --------------------------------------------------------------------------------------------------


def test_everything_in_a_deleted_namespace_goes_and_nothing_else(play: Any) -> None:
    async def story(c: Cluster) -> None:
        for namespace in ("a", "b"):
            await c.client.create(obj("Namespace", namespace))
            await c.client.create(obj("ConfigMap", "c", namespace))
            await c.client.create(obj("Secret", "s", namespace))
        await c.settle()
        await c.client.delete(core_v1.Namespace, "a")
        await c.settle()
        assert await gone(c, core_v1.Namespace, "a")
        for cls in (core_v1.ConfigMap, core_v1.Secret):
            left = (await c.client.list(cls)).items
            assert [o.metadata.namespace for o in left if o.metadata.name in "cs"] == ["b"]
        assert not await gone(c, core_v1.Namespace, "b")
        assert not await gone(c, core_v1.ServiceAccount, "default", "b")

    play(story, NAMESPACES, ACCOUNTS, ROOT_CA)


def test_finalizers_hold_it_and_are_told_of(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.client.create(obj("Namespace", "a"))
        await c.client.create(obj("ConfigMap", "c", "a"))
        await c.client.create(obj("ConfigMap", "h", "a", metadata={"finalizers": ["example.com/hold"]}))
        await c.client.delete(core_v1.Namespace, "a")
        await c.settle()
        assert await gone(c, core_v1.ConfigMap, "c", "a")
        conditions = {c.type: c for c in (await c.client.get(core_v1.Namespace, "a")).status.conditions}
        assert len(conditions) == 5
        remaining = conditions["NamespaceContentRemaining"]
        assert (remaining.status, remaining.message) == (
            "True",
            "Some resources are remaining: configmaps. has 1 resource instances",
        )
        assert conditions["NamespaceFinalizersRemaining"].message == (
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
        )
        await c.client.patch(core_v1.ConfigMap, "h", "a", {"metadata": {"finalizers": None}})
        await c.later(9)
        assert await gone(c, core_v1.Namespace, "a")

    play(story, NAMESPACES)


def test_pods_go_before_everything_else(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.client.create(obj("Namespace", "a"))
        await c.client.create(obj("ServiceAccount", "default", "a"))
        await c.client.create(obj("ConfigMap", "c", "a"))
        await c.client.create(obj("Node", "n"))
        pod = obj("Pod", "p", "a", spec={"nodeName": "n", "containers": [{"name": "c", "image": "i"}]})
        await c.client.create(pod)
        await c.client.delete(core_v1.Namespace, "a")
        await c.later(20)
        assert (await c.client.get(core_v1.Pod, "p", "a")).metadata.deletionTimestamp
        assert not await gone(c, core_v1.ConfigMap, "c", "a")
        await c.client.delete(core_v1.Pod, "p", "a", grace=0)
        await c.settle()
        assert await gone(c, core_v1.Namespace, "a")

    play(story, NAMESPACES)


def test_others_finalizers_of_the_namespace_are_left_alone(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.client.create(obj("Namespace", "a", spec={"finalizers": ["kubernetes", "example.com/x"]}))
        await c.client.delete(core_v1.Namespace, "a")
        await c.settle()
        namespace = await c.client.get(core_v1.Namespace, "a")
        assert namespace.spec.finalizers == ("example.com/x",)
        assert {c.status for c in namespace.status.conditions} == {"False"}

    play(story, NAMESPACES)
