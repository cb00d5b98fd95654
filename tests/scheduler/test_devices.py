"""Pods with claims of devices: which devices they get, how that is written, and what is said where they get none."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.scheme import scheme
from knarr.api.types import core_v1, resource_v1
from knarr.scheduler.devices import extended
from knarr.scheduler.devices.pools import Pools

from .clusters import HOST, SchedulingCluster, scheduling
from .clusters import pod as pod_of

DRIVER, GROUP = "gpu.example.com", "resource.k8s.io/v1"
TAIL = ", preemption: 0/{n} nodes are available: {n} Preemption is not helpful for scheduling."


async def device_class(c: SchedulingCluster, name: str = "gpu", **spec: Any) -> None:
    await c.client.create(
        {"apiVersion": GROUP, "kind": "DeviceClass", "metadata": {"name": name}, "spec": spec}
    )


def device(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, **fields}


async def devices(c: SchedulingCluster, *found: dict[str, Any], node: str = "n1", **fields: Any) -> None:
    """One slice, of a pool that is called as the node."""
    count = fields.pop("slices", 1)
    pool = fields.pop("pool", {"name": node or "shared", "generation": 1, "resourceSliceCount": count})
    spec = {"driver": DRIVER, "pool": pool, **({"nodeName": node} if node else {}), **fields}
    if found:
        spec["devices"] = list(found)
    name = f"{pool['name']}-{pool['generation']}-{len(found)}"
    await c.client.create(
        {"apiVersion": GROUP, "kind": "ResourceSlice", "metadata": {"name": name}, "spec": spec}
    )


def exactly(name: str = "r", **fields: Any) -> dict[str, Any]:
    return {"name": name, "exactly": {"deviceClassName": "gpu", **fields}}


def cel(text: str) -> dict[str, Any]:
    return {"selectors": [{"cel": {"expression": text}}]}


async def claim(c: SchedulingCluster, *requests: dict[str, Any], name: str = "c", **more: Any) -> None:
    meta = {"name": name, "namespace": "default"}
    spec = {"devices": {"requests": list(requests or [exactly()]), **more}}
    await c.client.create({"apiVersion": GROUP, "kind": "ResourceClaim", "metadata": meta, "spec": spec})


async def pod(c: SchedulingCluster, name: str = "p", *claims: str) -> None:
    wanted = [{"name": f"x{i}", "resourceClaimName": claim} for i, claim in enumerate(claims or ("c",))]
    await c.pod(name, resourceClaims=wanted)
    await c.settle()


async def status(c: SchedulingCluster, name: str = "c") -> Any:
    return (await c.client.get(resource_v1.ResourceClaim, name, "default")).status


async def chosen(c: SchedulingCluster, name: str = "c") -> list[tuple[str, str]]:
    """(request, device) of an allocation."""
    found = await status(c, name)
    return [(r.request, r.device) for r in found.allocation.devices.results] if found.allocation else []


def test_a_claim_is_allocated_and_reserved(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await c.node("n2")
            await device_class(c, config=[{"opaque": {"driver": DRIVER, "parameters": {"a": 1}}}])
            await devices(c, device("d0"), node="n2")
            await claim(c, config=[{"requests": ["r"], "opaque": {"driver": DRIVER, "parameters": {"b": 2}}}])
            await pod(c)
            assert await c.where("p") == "n2"
            found = await c.client.get(resource_v1.ResourceClaim, "c", "default")
            assert found.metadata.finalizers == ("resource.kubernetes.io/delete-protection",)
            result = found.status.allocation.devices.results[0]
            assert (result.request, result.driver, result.pool, result.device) == ("r", DRIVER, "n2", "d0")
            configs = found.status.allocation.devices.config
            assert [(x.source, x.requests) for x in configs] == [("FromClass", ()), ("FromClaim", ())]
            (term,) = found.status.allocation.nodeSelector.nodeSelectorTerms
            (field,) = term.matchFields
            assert (field.key, field.operator, field.values) == ("metadata.name", "In", ("n2",))
            (who,) = found.status.reservedFor
            assert (who.resource, who.name, who.uid) == ("pods", "p", (await c.get("p")).metadata.uid)

    run(main())


A, B = {"kind": {"string": "a"}}, {"kind": {"string": "b"}}
NEEDS_B = f'device.attributes["{DRIVER}"].kind == "b"'
#: (what, requests, more of the claim, devices, what is chosen)
CHOICES: list[tuple[str, list[Any], dict[str, Any], list[Any], list[tuple[str, str]]]] = [
    ("first", [exactly()], {}, [device("a"), device("b")], [("r", "a")]),
    ("two", [exactly(count=2)], {}, [device("a"), device("b"), device("c")], [("r", "a"), ("r", "b")]),
    ("too few", [exactly(count=2)], {}, [device("a")], []),
    ("all", [exactly(allocationMode="All")], {}, [device("a"), device("b")], [("r", "a"), ("r", "b")]),
    ("all of none", [exactly(allocationMode="All")], {}, [], []),
    (
        "selector",
        [exactly(**cel(NEEDS_B))],
        {},
        [device("a", attributes=A), device("b", attributes=B)],
        [("r", "b")],
    ),
    (
        "another domain is empty",
        [exactly(**cel('!has(device.attributes["x.example"].kind) && device.driver.startsWith("gpu")'))],
        {},
        [device("a", attributes=A)],
        [("r", "a")],
    ),
    (
        "capacity in CEL",
        [exactly(**cel(f'device.capacity["{DRIVER}"].memory.compareTo(quantity("2Gi")) >= 0'))],
        {},
        [
            device("a", capacity={"memory": {"value": "1Gi"}}),
            device("b", capacity={"memory": {"value": "2Gi"}}),
        ],
        [("r", "b")],
    ),
    (
        "versions in CEL",
        [exactly(**cel(f'device.attributes["{DRIVER}"].v.isGreaterThan(semver("1.0.0"))'))],
        {},
        [
            device("a", attributes={"v": {"version": "1.0.0"}}),
            device("b", attributes={"v": {"version": "1.0.1"}}),
        ],
        [("r", "b")],
    ),
    (
        "back where it does not go on",
        [exactly("any"), exactly("b", **cel(NEEDS_B))],
        {},
        [device("b", attributes=B), device("a", attributes=A)],
        [("any", "a"), ("b", "b")],
    ),
    (
        "the same value",
        [exactly(count=2)],
        {"constraints": [{"matchAttribute": f"{DRIVER}/kind"}]},
        [device("a", attributes=A), device("b1", attributes=B), device("b2", attributes=B)],
        [("r", "b1"), ("r", "b2")],
    ),
    (
        "different values",
        [exactly(count=2)],
        {"constraints": [{"distinctAttribute": f"{DRIVER}/kind"}]},
        [device("a1", attributes=A), device("a2", attributes=A), device("b", attributes=B)],
        [("r", "a1"), ("r", "b")],
    ),
    (
        "the first alternative that there is",
        [
            {
                "name": "r",
                "firstAvailable": [
                    {"name": "b", "deviceClassName": "gpu", **cel(NEEDS_B)},
                    {"name": "any", "deviceClassName": "gpu"},
                ],
            }
        ],
        {},
        [device("a", attributes=A)],
        [("r/any", "a")],
    ),
    (
        "tainted",
        [exactly()],
        {},
        [device("a", taints=[{"key": "k", "effect": "NoSchedule"}]), device("b")],
        [("r", "b")],
    ),
    (
        "tolerated",
        [exactly(tolerations=[{"key": "k", "operator": "Exists"}])],
        {},
        [device("a", taints=[{"key": "k", "effect": "NoSchedule"}])],
        [("r", "a")],
    ),
    (
        "too little capacity",
        [exactly(capacity={"requests": {"memory": "2Gi"}})],
        {},
        [
            device("a", capacity={"memory": {"value": "1Gi"}}),
            device("b", capacity={"memory": {"value": "4Gi"}}),
        ],
        [("r", "b")],
    ),
]


@pytest.mark.parametrize(
    ("what", "requests", "more", "found", "expected"), CHOICES, ids=[c[0] for c in CHOICES]
)
def test_choices(run: Any, what: str, requests: Any, more: Any, found: Any, expected: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await device_class(c)
            await devices(c, *found)
            await claim(c, *requests, **more)
            await pod(c)
            assert await chosen(c) == expected
            if not expected:
                assert (await c.condition("p")).message == (
                    "0/1 nodes are available: 1 cannot allocate all claims. still not schedulable"
                    + TAIL.format(n=1)
                )

    run(main())


def test_nodes_with_the_preferred_alternative_are_preferred(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            for name in ("n1", "n2", "n3"):
                await c.node(name)
            await device_class(c)
            await devices(c, device("a", attributes=A), node="n1")
            await devices(c, device("b", attributes=B), node="n2")
            await devices(c, device("c", attributes=A), node="n3")
            # n2 is the fullest: only the device speaks for it
            await c.pod("there", cpu="1", memory="1Gi", nodeSelector={HOST: "n2"})
            await c.settle()
            alternatives = [
                {"name": "b", "deviceClassName": "gpu", **cel(NEEDS_B)},
                {"name": "any", "deviceClassName": "gpu"},
            ]
            await claim(c, {"name": "r", "firstAvailable": alternatives})
            await pod(c)
            assert await c.where("p") == "n2"
            assert await chosen(c) == [("r/b", "b")]

    run(main())


def test_a_device_is_given_once_and_again_when_it_is_free(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await device_class(c)
            await devices(c, device("d"))
            for name in ("c", "d"):
                await claim(c, name=name)
            await pod(c, "p", "c")
            await pod(c, "q", "d")
            assert await c.where("p") == "n1" and not await c.where("q")
            # as the controller does when the pod is gone
            await c.client.delete(core_v1.Pod, "p", "default", grace=0)
            freed = {"status": {"allocation": None, "reservedFor": None}}
            await c.client.patch(resource_v1.ResourceClaim, "c", "default", freed, subresource="status")
            await c.settle(15)
            assert await c.where("q") == "n1" and await chosen(c, "d") == [("r", "d")]

    run(main())


def test_administrators_see_what_is_in_use(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            label = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
            await c.client.patch(core_v1.Namespace, "default", body=label)
            await device_class(c)
            await devices(c, device("d"))
            await claim(c, name="c")
            await claim(c, exactly(adminAccess=True, allocationMode="All"), name="admin")
            await pod(c, "p", "c")
            await pod(c, "q", "admin")
            assert await chosen(c, "c") == await chosen(c, "admin") == [("r", "d")]
            assert (await status(c, "admin")).allocation.devices.results[0].adminAccess

    run(main())


def test_pods_share_a_claim_where_its_devices_are(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await c.node("n2")
            await device_class(c)
            await devices(c, device("d"), node="n1")
            await claim(c)
            await pod(c, "p")
            await pod(c, "q")
            assert await c.where("p") == await c.where("q") == "n1"
            assert [who.name for who in (await status(c)).reservedFor] == ["p", "q"]
            await c.pod(
                "r", nodeSelector={HOST: "n2"}, resourceClaims=[{"name": "x", "resourceClaimName": "c"}]
            )
            await c.settle()
            assert (await c.condition("r")).message == (
                "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector,"
                " 1 resourceclaim not available on the node. still not schedulable" + TAIL.format(n=2)
            )

    run(main())


def test_an_unused_allocation_gives_way(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            for name in ("n1", "n2"):
                await c.node(name)
                await devices(c, device("d"), node=name)
            await device_class(c)
            await claim(c)
            await pod(c, "p")
            here = await c.where("p")
            await c.client.delete(core_v1.Pod, "p", "default", grace=0)
            patch = {"status": {"reservedFor": None}}
            await c.client.patch(resource_v1.ResourceClaim, "c", "default", patch, subresource="status")
            other = "n1" if here == "n2" else "n2"
            await c.pod(
                "q", nodeSelector={HOST: other}, resourceClaims=[{"name": "x", "resourceClaimName": "c"}]
            )
            await c.settle(15)
            assert await c.where("q") == other

    run(main())


def test_what_is_missing_is_said(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await pod(c)
            assert await c.condition("p") is None  # it waits for its claim
            await claim(c)
            await c.settle()
            assert (await c.condition("p")).message == (
                "0/1 nodes are available: request r: device class gpu does not exist."
                " no new claims to deallocate" + TAIL.format(n=1)
            )
            await device_class(c)
            await c.settle(5)
            assert (await c.condition("p")).message.startswith(
                "0/1 nodes are available: 1 cannot allocate all"
            )
            await devices(c, device("d"))
            await c.settle(5)
            assert await c.where("p") == "n1"

    run(main())


def test_a_selector_that_fails(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await device_class(c)
            await devices(c, device("d"))
            await claim(c, exactly(**cel(NEEDS_B)))
            await pod(c)
            condition = await c.condition("p")
            assert condition.reason == "SchedulerError" and condition.message == (
                'running "DynamicResources" filter plugin: claim default/c: selector #0 on device'
                f" {DRIVER}/n1/d: CEL runtime error: no such key: kind"
            )

    run(main())


def test_old_generations_and_incomplete_pools_do_not_count(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await device_class(c)
            pool = {"name": "n1", "generation": 1, "resourceSliceCount": 1}
            await devices(c, device("old"), pool=pool)
            await devices(c, device("new"), pool={**pool, "generation": 2, "resourceSliceCount": 2})
            await claim(c)
            await pod(c)
            assert await chosen(c) == []
            await devices(
                c, device("a"), device("b"), pool={**pool, "generation": 2, "resourceSliceCount": 2}
            )
            await c.settle(5)
            assert [device for _, device in await chosen(c)] != []

    run(main())


def test_partitions_draw_on_counters(run: Any) -> None:
    def part(name: str, memory: str) -> dict[str, Any]:
        counters = {"memory": {"value": memory}}
        return device(name, consumesCounters=[{"counterSet": "card", "counters": counters}])

    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await device_class(c)
            pool = {"name": "n1", "generation": 1, "resourceSliceCount": 2}
            card = {"name": "card", "counters": {"memory": {"value": "8Gi"}}}
            await devices(c, pool=pool, sharedCounters=[card])
            await devices(c, part("half", "4Gi"), part("whole", "8Gi"), part("other", "4Gi"), pool=pool)
            for name in ("a", "b", "d"):
                await claim(c, name=name)
                await pod(c, f"p{name}", name)
            assert await chosen(c, "a") == [("r", "half")]
            assert await chosen(c, "b") == [("r", "other")]
            assert await chosen(c, "d") == []

    run(main())


def test_shared_devices_are_consumed(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await device_class(c)
            policy = {"default": "1Gi", "validRange": {"min": "1Gi", "step": "1Gi"}}
            capacity = {"memory": {"value": "4Gi", "requestPolicy": policy}}
            await devices(c, device("d", allowMultipleAllocations=True, capacity=capacity))
            for name, memory in (("a", "1500Mi"), ("b", "2Gi"), ("d", "1Gi")):
                await claim(c, exactly(capacity={"requests": {"memory": memory}}), name=name)
                await pod(c, f"p{name}", name)
            consumed = [
                r.consumedCapacity["memory"]
                for name in ("a", "b")
                for r in (await status(c, name)).allocation.devices.results
            ]
            assert consumed == ["2Gi", "2Gi"]
            shares = {(await status(c, name)).allocation.devices.results[0].shareID for name in ("a", "b")}
            assert len(shares) == 2 and await chosen(c, "d") == []

    run(main())


def test_devices_that_have_to_be_prepared(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await device_class(c)
            binding = {
                "bindsToNode": True,
                "bindingConditions": ["ready"],
                "bindingFailureConditions": ["broken"],
            }
            await devices(c, device("d", **binding), node="", allNodes=True)
            await claim(c)
            await pod(c)
            found = (await status(c)).allocation
            assert not await c.where("p") and found.allocationTimestamp is not None
            assert found.nodeSelector.nodeSelectorTerms[0].matchFields[0].values == ("n1",)
            now = {"lastTransitionTime": "2027-01-15T08:00:00Z", "reason": "x", "message": ""}
            told = {"driver": DRIVER, "pool": "shared", "device": "d"}
            told["conditions"] = [{"type": "ready", "status": "True", **now}]
            patch = {"status": {"devices": [told]}}
            await c.client.patch(resource_v1.ResourceClaim, "c", "default", patch, subresource="status")
            await c.settle(2)
            assert await c.where("p") == "n1"

    run(main())


CARD = "example.com/card"


@pytest.mark.parametrize(
    ("spec", "name"),
    [({"extendedResourceName": CARD}, CARD), ({}, "deviceclass.resource.kubernetes.io/gpu")],
)
def test_extended_resources_that_are_devices(run: Any, spec: dict[str, Any], name: str) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1")
            await device_class(c, **spec)
            await devices(c, device("d0"), device("d1"), device("d2"))
            await c.pod("p", extended={name: "2"})
            await c.settle()
            assert await c.where("p") == "n1"
            (made,) = (await c.client.list(resource_v1.ResourceClaim, "default")).items
            assert made.metadata.name.startswith("p-extended-resources-")
            assert made.metadata.annotations == {"resource.kubernetes.io/extended-resource-claim": "true"}
            (request,) = made.spec.devices.requests
            assert (request.name, request.exactly.deviceClassName, request.exactly.count) == (
                "container-0-request-0",
                "gpu",
                2,
            )
            assert [r.device for r in made.status.allocation.devices.results] == ["d0", "d1"]
            told = (await c.get("p")).status.extendedResourceClaimStatus
            (mapping,) = told.requestMappings
            assert told.resourceClaimName == made.metadata.name
            assert (mapping.containerName, mapping.resourceName, mapping.requestName) == (
                "c",
                name,
                "container-0-request-0",
            )
            await c.pod("q", extended={name: "2"})
            await c.settle()
            assert (await c.condition("q")).message == (
                "0/1 nodes are available: 1 cannot allocate all claims. still not schedulable"
                + TAIL.format(n=1)
            )

    run(main())


def test_nodes_that_have_the_resource_themselves_need_no_devices(run: Any) -> None:
    async def main() -> None:
        async with scheduling() as c:
            await c.node("n1", extended={CARD: "1"})
            await device_class(c, extendedResourceName=CARD)
            await c.pod("p", extended={CARD: "1"})
            await c.pod("q", extended={CARD: "1"})
            await c.settle()
            assert await c.where("p") == "n1"
            assert (await c.client.list(resource_v1.ResourceClaim, "default")).items == []
            assert (await c.condition("q")).message.startswith(
                f"0/1 nodes are available: 1 Insufficient {CARD}. still not schedulable"
            )

    run(main())


def container(name: str, count: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", "resources": {"requests": {CARD: str(count), "cpu": "1"}}, **more}


#: (init containers, containers, requests, mappings)
REQUESTS: list[tuple[list[Any], list[Any], dict[str, int], list[tuple[str, str]]]] = [
    (
        [],
        [container("a", 1), container("b", 2)],
        {"container-0-request-1": 1, "container-1-request-1": 2},
        [("a", "container-0-request-1"), ("b", "container-1-request-1")],
    ),
    (
        [container("i", 1)],
        [container("a", 2)],
        {"container-1-request-1": 2},
        [("a", "container-1-request-1"), ("i", "container-1-request-1")],
    ),
    (
        [container("i", 3), container("j", 4)],
        [container("a", 1)],
        {"container-1-request-1": 3, "container-2-request-1": 1},
        [
            ("a", "container-2-request-1"),
            ("i", "container-2-request-1"),
            ("i", "container-1-request-1"),
            ("j", "container-2-request-1"),
            ("j", "container-1-request-1"),
        ],
    ),
]


@pytest.mark.parametrize(("first", "main", "requests", "mappings"), REQUESTS)
def test_requests_of_containers(first: Any, main: Any, requests: Any, mappings: Any) -> None:
    made = extended.make(pod_of("p", initContainers=first, containers=main), [CARD], {CARD: "gpu"})
    assert {r.name: r.exactly.count for r in made.claim.spec.devices.requests} == requests
    assert [(m["containerName"], m["requestName"]) for m in made.mappings] == mappings


def test_the_newest_class_provides_a_resource() -> None:
    def kind(name: str, created: str) -> Any:
        wire = {
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"extendedResourceName": CARD},
        }
        return scheme().from_dict(resource_v1.DeviceClass, wire)

    old, new = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    found = extended.classes_by_resource([kind("c", new), kind("a", old), kind("b", new)])
    assert found[CARD] == "b" and found["deviceclass.resource.kubernetes.io/a"] == "a"


def test_each_node_looks_at_pools_that_it_may_reach() -> None:
    def made(pool: str, node: str = "", generation: int = 1) -> Any:
        place = {"nodeName": node} if node else {"allNodes": True}
        whole = {"name": pool, "generation": generation, "resourceSliceCount": 1}
        spec = {"driver": DRIVER, "pool": whole, "devices": [device("d")], **place}
        return scheme().from_dict(resource_v1.ResourceSlice, {"metadata": {"name": pool}, "spec": spec})

    slices = [made("c", "n1"), made("b"), made("a", "n1"), made("d", "n2"), made("a", "n2", generation=2)]
    pools = Pools(slices)
    assert [pool.name for pool in pools.near("n1")] == ["b", "c"]
    assert [pool.name for pool in pools.near("n2")] == ["a", "b", "d"]
    assert [pool.name for pool in pools.near("n3")] == ["b"]
