"""Garbage collection: background, foreground, orphaning, missing owners, references across namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.types import apps_v1, core_v1
from knarr.client.client import is_not_found
from knarr.client.codec import PartialMeta, PartialOwner, built_in
from knarr.controllers.garbagecollector.decide import (
    KEEP,
    Owner,
    Verdict,
    judge,
    unblocking,
    without_finalizer,
    without_owners,
)
from knarr.controllers.garbagecollector.graph import Graph, Item, unblocked
from knarr.meta.errors import StatusError

from .conftest import Cluster, workload

GC = "garbage-collector-controller"
SOLID, DANGLING, WAITING = Owner.SOLID, Owner.DANGLING, Owner.WAITING


def ref(uid: str, block: bool | None = None) -> PartialOwner:
    return PartialOwner("v1", "ConfigMap", uid, uid, None, block)


def meta(*owners: Owner, finalizers: tuple[str, ...] = ()) -> PartialMeta:
    refs = tuple(ref(str(i)) for i, _ in enumerate(owners))
    return PartialMeta("x", "ns", "u", "7", ownerReferences=refs, finalizers=finalizers)


# -- deciding --------------------------------------------------------------------------------------------------

#: (owners, finalizers, has dependents, its dependents wait, verdict)
VERDICTS = [
    ((), (), False, False, KEEP),
    ((SOLID,), (), False, False, KEEP),
    ((SOLID, SOLID), (), True, False, KEEP),
    ((SOLID, DANGLING), (), False, False, Verdict(drop=("1",))),
    ((WAITING, SOLID, DANGLING), (), False, False, Verdict(drop=("0", "2"))),
    ((DANGLING,), (), False, False, Verdict(policy="Background")),
    ((DANGLING,), (), True, False, Verdict(policy="Background")),
    ((DANGLING,), ("orphan",), True, False, Verdict(policy="Orphan")),
    ((DANGLING,), ("foregroundDeletion",), True, False, Verdict(policy="Foreground")),
    ((WAITING,), (), False, False, Verdict(policy="Background")),
    ((WAITING,), (), True, False, Verdict(policy="Foreground")),
    ((WAITING, DANGLING), (), True, False, Verdict(policy="Foreground")),
    ((WAITING,), (), True, True, Verdict(policy="Foreground", unblock=True)),
]


@pytest.mark.parametrize(("owners", "finalizers", "has", "wait", "verdict"), VERDICTS)
def test_verdicts(
    owners: tuple[Owner, ...], finalizers: tuple[str, ...], has: bool, wait: bool, verdict: Verdict
) -> None:
    assert judge(meta(*owners, finalizers=finalizers), owners, has, wait) == verdict


def test_patches_name_the_state_they_were_made_for() -> None:
    found = meta(SOLID, DANGLING, finalizers=("a", "orphan"))
    base = {"uid": "u", "resourceVersion": "7"}
    left = {"apiVersion": "v1", "kind": "ConfigMap", "name": "0", "uid": "0"}
    assert without_owners(found, ["1"]) == {"metadata": {**base, "ownerReferences": [left]}}
    assert without_owners(found, ["0", "1"]) == {"metadata": {**base, "ownerReferences": None}}
    assert without_finalizer(found, "orphan") == {"metadata": {**base, "finalizers": ["a"]}}
    blocked = PartialMeta("x", uid="u", resourceVersion="7", ownerReferences=(ref("0", True), ref("1")))
    refs = unblocking(blocked)["metadata"]["ownerReferences"]
    assert [r.get("blockOwnerDeletion") for r in refs] == [False, None]


@pytest.mark.parametrize(
    ("before", "after", "freed"),
    [
        ([ref("a", True)], [], ["a"]),
        ([ref("a", True)], [ref("a", False)], ["a"]),
        ([ref("a", True)], [ref("a", True)], []),
        ([ref("a")], [], []),
        ([ref("a", True), ref("b", True)], [ref("b", True)], ["a"]),
    ],
)
def test_owners_that_are_held_no_more(before: Any, after: Any, freed: list[str]) -> None:
    assert unblocked(before, after) == freed


def test_the_graph_forgets_owners_nobody_names() -> None:
    graph, item = Graph(), Item("", "secrets", "ns", "x", "u")
    graph.enter(item, [ref("a"), ref("b")])
    assert graph.dependents("a") == graph.dependents("b") == [item]
    graph.leave(item, [ref("a")])
    assert not graph.has_dependents("a") and graph.has_dependents("b")
    graph.leave(item, [ref("b"), ref("c")])
    assert len(graph) == 0


# -- on a cluster ----------------------------------------------------------------------------------------------


async def make(
    c: Cluster, kind: str, name: str, *owners: Any, namespace: str = "default", **meta: Any
) -> Any:
    refs = [
        {
            "apiVersion": "v1",
            "kind": o["kind"],
            "name": o["metadata"]["name"],
            "uid": o["metadata"]["uid"],
            **extra,
        }
        for o, extra in (owner if isinstance(owner, tuple) else (owner, {}) for owner in owners)
    ]
    metadata = {"name": name, "namespace": namespace, "ownerReferences": refs, **meta}
    return await c.client.create({"apiVersion": "v1", "kind": kind, "metadata": metadata})


async def left(c: Cluster, namespace: str = "default") -> set[str]:
    """The names of the config maps and secrets."""
    names = set()
    for cls in (core_v1.ConfigMap, core_v1.Secret):
        names |= {o.metadata.name for o in (await c.client.list(cls, namespace)).items}
    return names


async def delete(c: Cluster, name: str, cls: Any = None, **options: Any) -> None:
    await c.client.delete(cls or core_v1.ConfigMap, name, "default", **options)
    await c.settle()


BLOCK = {"blockOwnerDeletion": True}


def test_background_takes_a_chain(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        one = await make(c, "ConfigMap", "one")
        two = await make(c, "Secret", "two", one)
        await make(c, "Secret", "three", two)
        await make(c, "Secret", "other")
        await c.settle()
        assert await left(c) == {"one", "two", "three", "other"}
        await delete(c, "one")
        assert await left(c) == {"other"}

    play(story, GC)


def test_what_happened_before_it_began_is_caught_up_with(play: Any) -> None:
    async def story(c: Cluster) -> None:
        one = await make(c, "ConfigMap", "one")
        await make(c, "Secret", "two", one)
        kept = await make(c, "ConfigMap", "kept")
        await make(c, "Secret", "three", kept)
        await make(c, "Secret", "four", kept)
        await delete(c, "one")
        await delete(c, "kept", propagation="Orphan")
        assert await left(c) == {"two", "kept", "three", "four"}
        await c.later(2)
        assert await left(c) == {"three", "four"}

    play(story, GC)


def test_orphans_stay_without_their_owner(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        one = await make(c, "ConfigMap", "one")
        await make(c, "Secret", "two", one)
        await delete(c, "one", propagation="Orphan")
        assert await left(c) == {"two"}
        assert (await c.get(core_v1.Secret, "two")).metadata.ownerReferences == ()

    play(story, GC)


def test_foreground_waits_for_what_blocks(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        one = await make(c, "ConfigMap", "one")
        await make(c, "Secret", "held", (one, BLOCK), finalizers=["example.com/hold"])
        await make(c, "Secret", "free", (one, BLOCK))
        await make(c, "Secret", "loose", one, finalizers=["example.com/hold"])
        await delete(c, "one", propagation="Foreground")
        assert await left(c) == {"one", "held", "loose"}
        await c.client.patch(core_v1.Secret, "held", "default", {"metadata": {"finalizers": None}})
        await c.settle()
        assert await left(c) == {"loose"}, "a dependent that does not block is not waited for"

    play(story, GC)


def test_foreground_is_handed_down(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        one = await make(c, "ConfigMap", "one")
        two = await make(c, "ConfigMap", "two", (one, BLOCK))
        await make(c, "Secret", "three", (two, BLOCK), finalizers=["example.com/hold"])
        await delete(c, "one", propagation="Foreground")
        assert await left(c) == {"one", "two", "three"}
        assert (await c.get(core_v1.ConfigMap, "two")).metadata.finalizers == ("foregroundDeletion",)
        await c.client.patch(core_v1.Secret, "three", "default", {"metadata": {"finalizers": None}})
        await c.settle()
        assert await left(c) == set()

    play(story, GC)


def test_a_circle_is_no_trap(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        one = await make(c, "ConfigMap", "one")
        two = await make(c, "ConfigMap", "two", (one, BLOCK))
        back = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "two",
            "uid": two["metadata"]["uid"],
            **BLOCK,
        }
        await c.client.patch(core_v1.ConfigMap, "one", "default", {"metadata": {"ownerReferences": [back]}})
        await c.settle()
        await delete(c, "one", propagation="Foreground")
        assert await left(c) == set()

    play(story, GC)


def test_one_owner_of_two_is_enough(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        one, two = await make(c, "ConfigMap", "one"), await make(c, "ConfigMap", "two")
        await make(c, "Secret", "x", one, two)
        await delete(c, "one")
        (kept,) = (await c.get(core_v1.Secret, "x")).metadata.ownerReferences
        assert kept.name == "two"
        await delete(c, "two")
        assert await left(c) == set()

    play(story, GC)


def test_owners_that_never_were(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        one = await make(c, "ConfigMap", "one")
        other = {"kind": "ConfigMap", "metadata": {"name": "one", "uid": "somebody-else"}}
        await make(c, "Secret", "namesake", other)
        await make(c, "Secret", "dangling", {"kind": "Secret", "metadata": {"name": "never", "uid": "u"}})
        await make(c, "Secret", "child", one)
        await make(c, "Secret", "unknown", {"kind": "Nonsense", "metadata": {"name": "n", "uid": "v"}})
        await c.settle()
        assert await left(c) == {"one", "child", "unknown"}

    play(story, GC)


def test_an_owner_in_another_namespace_is_none_and_is_told_of(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        await c.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}})
        one = await make(c, "ConfigMap", "one", namespace="b")
        await make(c, "Secret", "x", one)
        await c.settle()
        assert await left(c) == set()
        assert await left(c, "b") == {"one"}
        uid = one["metadata"]["uid"]
        assert await c.told("OwnerRefInvalidNamespace") == [
            f'ownerRef [v1/ConfigMap, namespace: default, name: one, uid: {uid}] does not exist in namespace "default"'
        ]

    play(story, GC)


def test_a_cluster_scoped_object_with_a_namespaced_owner_is_left_alone(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}
        row = built_in("storage.k8s.io/v1", "StorageClass")
        await c.client.create(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "s", "ownerReferences": [ref]},
                "provisioner": "x",
            }
        )
        await c.later(60)
        assert (await c.client.get(row, "s"))["metadata"]["name"] == "s"

    play(story, GC)


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_a_deployment(play: Any, policy: str) -> None:
    async def story(c: Cluster) -> None:
        await c.later(2)
        await c.create(workload("Deployment", replicas=3))
        await c.expect_pods(3)
        await c.delete(apps_v1.Deployment, propagation=policy)
        await c.reap()
        await c.later(5)
        assert not await c.exists(apps_v1.Deployment)
        sets = await c.list(apps_v1.ReplicaSet)
        if policy == "Orphan":
            await c.expect_pods(3)
            assert [s.metadata.ownerReferences for s in sets] == [()]
        else:
            assert (sets, await c.pods()) == ([], [])

    play(story, GC, "deployment-controller", "replicaset-controller")


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


def test_custom_resources_own_and_are_owned(play: Any) -> None:
    from knarr.controllers.served import CRD as ROW
    from knarr.controllers.served import custom_row

    async def story(c: Cluster) -> None:
        await c.later(2)
        await c.client.create(CRD, ROW)
        await c.settle()
        found = await c.client.get(ROW, "boats.example.com")
        row = custom_row(found)
        if row is None:
            pytest.skip("nobody establishes custom resources in this control plane")
        boat = {
            "apiVersion": "example.com/v1",
            "kind": "Boat",
            "metadata": {"name": "b", "namespace": "default"},
        }
        boat = await c.client.create(boat, row)
        owner = {"apiVersion": "example.com/v1", "kind": "Boat", "name": "b", "uid": boat["metadata"]["uid"]}
        await c.client.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "s", "namespace": "default", "ownerReferences": [owner]},
            }
        )
        await c.settle()
        assert await left(c) == {"s"}
        await c.client.delete(row, "b", "default", resource=row)
        await c.settle()
        assert await left(c) == set()
        one = await make(c, "ConfigMap", "one")
        ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": one["metadata"]["uid"]}
        meta = {"name": "c", "namespace": "default", "ownerReferences": [ref]}
        await c.client.create({"apiVersion": "example.com/v1", "kind": "Boat", "metadata": meta}, row)
        await delete(c, "one")
        with pytest.raises(StatusError) as caught:
            await c.client.get(row, "c", "default")
        assert is_not_found(caught.value)

    play(story, GC)
