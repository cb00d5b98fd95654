"""Endpoint slices and Endpoints: which pods are in, how they are spread over slices, what is written when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1, discovery_v1
from knarr.client.objects import Key
from knarr.controllers.endpoints import truncate
from knarr.controllers.endpointslice.desired import hints, identity
from knarr.controllers.endpointslice.reconcile import Plan, plan
from knarr.controllers.endpointslice.tracker import SliceTracker
from knarr.controllers.servicepods import TriggerTimes, facts

from .conftest import Cluster

SLICES, ENDPOINTS = "endpointslice-controller", "endpoints-controller"
MIRROR = "endpointslice-mirroring-controller"
LABELS = {"kubernetes.io/service-name": "web"}
PORTS = (discovery_v1.EndpointPort(name="", port=80, protocol="TCP"),)
OTHER_PORTS = (discovery_v1.EndpointPort(name="", port=81, protocol="TCP"),)


# -- how endpoints are spread over slices ------------------------------------------------------------------------


def ep(number: int, ready: bool = True) -> Any:
    return scheme().from_dict(
        discovery_v1.Endpoint, {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": ready}}
    )


def piece(name: str, *numbers: int, ports: Any = PORTS, labels: Any = LABELS) -> Any:
    bare = {"metadata": {"name": name, "uid": name, "labels": labels}, "addressType": "IPv4"}
    made = scheme().from_dict(discovery_v1.EndpointSlice, bare)

    return evolve(made, endpoints=tuple(ep(n) for n in numbers), ports=tuple(ports))


def wanted(*numbers: int, ports: Any = PORTS, unready: tuple[int, ...] = ()) -> dict[Any, Any]:
    found = [ep(n, n not in unready) for n in numbers]
    return {ports: {identity(e): e for e in found}} if found else {}


def described(result: Plan) -> dict[str, Any]:
    def numbers(draft: Any) -> list[int]:
        return [int(e.addresses[0].rsplit(".")[-1]) for e in draft.endpoints]

    return {
        "create": [numbers(draft) for draft in result.create],
        "update": {draft.old.metadata.name: numbers(draft) for draft in result.update},
        "delete": [s.metadata.name for s in result.delete],
    }


#: (what, slices, endpoints wanted, create, update, delete), three endpoints to a slice
PLANS = [
    ("new service", [], wanted(), [[]], {}, []),
    ("placeholder stays", [piece("a", ports=())], wanted(), [], {}, []),
    ("placeholder is used", [piece("a", ports=())], wanted(1), [], {"a": [1]}, []),
    ("nothing to do", [piece("a", 1, 2)], wanted(2, 1), [], {}, []),
    ("one more", [piece("a", 1, 2)], wanted(1, 2, 3), [], {"a": [1, 2, 3]}, []),
    ("one less", [piece("a", 1, 2)], wanted(2), [], {"a": [2]}, []),
    ("all gone", [piece("a", 1, 2)], wanted(), [], {"a": []}, []),
    ("not ready", [piece("a", 1), piece("b", 2, 3, 4)], wanted(1, 2, 3, 4, unready=(3,)), [], {"b": [2, 3, 4]}, []),
    ("full: a new one", [piece("a", 1, 2, 3)], wanted(1, 2, 3, 4), [[4]], {}, []),
    ("fill the fullest that fits", [piece("a", 1), piece("b", 2, 3)], wanted(1, 2, 3, 4), [], {"b": [2, 3, 4]}, []),
    ("fill what changes anyway", [piece("a", 1), piece("b", 2, 3)], wanted(2, 3, 4), [], {"b": [2, 3, 4]}, ["a"]),
    ("an emptied slice is used again", [piece("a", 1)], wanted(2), [], {"a": [2]}, []),
    ("several", [], wanted(1, 2, 3, 4, 5, 6, 7), [[1, 2, 3], [4, 5, 6], [7]], {}, []),
    ("other ports", [piece("a", 1)], wanted(1, ports=OTHER_PORTS), [], {"a": [1]}, []),
    ("two slices, other ports", [piece("a", 1), piece("b", 2)], wanted(1, 2, ports=OTHER_PORTS), [], {"a": [1, 2]}, ["b"]),
    ("new labels", [piece("a", 1, labels={"x": "y"})], wanted(1), [], {"a": [1]}, []),
    ("new labels of the placeholder", [piece("a", ports=(), labels={})], wanted(), [], {"a": []}, []),
]  # fmt: skip


@pytest.mark.parametrize("case", PLANS, ids=[case[0] for case in PLANS])
def test_plans(case: Any) -> None:
    _, slices, groups, create, update, delete = case
    result = described(plan(slices, {"IPv4": groups}, LABELS, 3))
    assert result == {"create": create, "update": update, "delete": delete}


def test_a_family_that_is_no_longer_served_goes() -> None:
    result = plan([piece("a", 1)], {"IPv6": {}}, LABELS)
    assert described(result) == {"create": [[]], "update": {}, "delete": ["a"]}
    assert result.create[0].family == "IPv6"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sets(st.integers(1, 60), max_size=5), max_size=6),
    st.sets(st.integers(1, 60), max_size=40),
    st.sets(st.integers(1, 60)),
)
def test_every_endpoint_is_in_one_slice_and_a_second_pass_changes_nothing(
    before: list[set[int]], after: set[int], unready: set[int]
) -> None:
    taken: set[int] = set()
    slices = []
    for number, content in enumerate(before):
        slices.append(piece(f"s{number}", *sorted(content - taken), ports=PORTS if content - taken else ()))
        taken |= content
    groups = {"IPv4": wanted(*sorted(after), unready=tuple(unready))}
    result = plan(slices, groups, LABELS, 5)
    touched = {d.old.metadata.name for d in result.update} | {s.metadata.name for s in result.delete}
    assert len(touched) == len(result.update) + len(result.delete)

    now = [s for s in slices if s.metadata.name not in touched]
    now += [evolve(d.old, endpoints=tuple(d.endpoints), ports=d.ports) for d in result.update]
    now += [
        evolve(piece(f"n{i}"), endpoints=tuple(d.endpoints), ports=d.ports)
        for i, d in enumerate(result.create)
    ]
    found = [e for s in now for e in s.endpoints]
    assert {identity(e): e for e in found} == groups["IPv4"].get(PORTS, {})
    assert len(found) == len(after)
    assert all(len(s.endpoints) <= 5 for s in now)
    assert now, "there is always a slice"
    assert plan(now, groups, LABELS, 5).empty


# -- facts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "node", "zone", "zones", "nodes"),
    [
        (None, "n", "z", None, None),
        ("PreferClose", "n", "z", ["z"], []),
        ("PreferSameZone", "n", "z", ["z"], []),
        ("PreferSameNode", "n", "z", ["z"], ["n"]),
        ("PreferClose", "n", "", None, None),
    ],
)
def test_hints(distribution: Any, node: str, zone: str, zones: Any, nodes: Any) -> None:
    found = hints(distribution, node, zone)
    if zones is None:
        assert found is None
    else:
        assert [z.name for z in found.forZones] == zones
        assert [n.name for n in found.forNodes] == nodes


def test_trigger_times() -> None:
    def service(created: str) -> Any:
        return scheme().from_dict(
            core_v1.Service, {"metadata": {"name": "s", "namespace": "n", "creationTimestamp": created}}
        )

    def pod(name: str, since: str) -> Any:
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": since}
        return scheme().from_dict(
            core_v1.Pod, {"metadata": {"name": name}, "status": {"conditions": [ready]}}
        )

    times = TriggerTimes()
    t = [f"2026-01-01T00:00:0{i}Z" for i in range(6)]
    assert times.of(service(t[1]), []) == t[1]
    assert times.of(service(t[1]), []) == ""
    assert times.of(service(t[1]), [pod("a", t[3]), pod("b", t[2])]) == t[2]
    assert times.of(service(t[1]), [pod("a", t[3]), pod("b", t[4])]) == t[4]
    assert times.of(service(t[1]), []) == ""
    assert times.of(service(t[5]), []) == t[5]


def test_heartbeats_of_a_pod_are_no_news() -> None:
    def pod(**status: Any) -> Any:
        return scheme().from_dict(core_v1.Pod, {"status": {"podIP": "1.2.3.4", **status}})

    assert facts(pod()) == facts(pod(message="x", startTime="2026-01-01T00:00:00Z"))
    assert facts(pod()) != facts(pod(phase="Failed"))
    assert facts(pod()) != facts(pod(podIP="1.2.3.5"))


@pytest.mark.parametrize(
    ("subsets", "kept"),
    [
        ([(3, 2)], [(3, 2)]),
        ([(6, 6)], [(6, 4)]),
        ([(12, 3)], [(10, 0)]),
        ([(12, 0), (8, 4)], [(6, 0), (4, 0)]),
        ([(2, 10), (3, 10)], [(2, 3), (3, 2)]),
    ],
)
def test_truncation_keeps_ready_addresses_first_and_shares_the_room(subsets: Any, kept: Any) -> None:
    def subset(ready: int, waiting: int) -> Any:
        addresses = [core_v1.EndpointAddress(ip=f"10.0.0.{i}") for i in range(ready + waiting)]
        return core_v1.EndpointSubset(
            addresses=tuple(addresses[:ready]), notReadyAddresses=tuple(addresses[ready:])
        )

    result, cut = truncate(tuple(subset(*s) for s in subsets), limit=10)
    assert [(len(s.addresses), len(s.notReadyAddresses)) for s in result] == kept
    assert cut is (subsets != kept)


def test_tracker() -> None:
    tracker, key = SliceTracker(), Key("n", "s")

    def state(generation: int) -> Any:
        return scheme().from_dict(
            discovery_v1.EndpointSlice, {"metadata": {"uid": "u", "generation": generation}}
        )

    assert tracker.is_news(key, state(1)), "somebody else made it"
    tracker.wrote(key, state(2))
    assert tracker.is_stale(key, []) and tracker.is_stale(key, [state(1)])
    assert not tracker.is_stale(key, [state(2)]) and not tracker.is_stale(key, [state(3)])
    assert not tracker.is_news(key, state(2)) and tracker.is_news(key, state(3))
    assert tracker.gone(key, state(2)), "somebody else deleted it"
    tracker.deleting(key, state(2))
    assert not tracker.gone(key, state(2))
    assert not tracker.is_stale(key, [])


# -- on a cluster ------------------------------------------------------------------------------------------------


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    wanted = {"selector": {"app": name}, "ports": ports, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {key: value for key, value in wanted.items() if value is not None},
    }


async def node(c: Cluster, name: str, zone: str = "") -> None:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    await c.client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})


async def pod(
    c: Cluster, name: str, ip: str = "", ready: bool = True, on: str = "n", port: int = 8080, **spec: Any
) -> None:
    containers = [{"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": port}]}]
    meta = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    body = {"nodeName": on, "containers": containers, "tolerations": [{"operator": "Exists"}], **spec}
    await c.client.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body})
    if ip:
        await status(c, name, ip, ready)


async def status(c: Cluster, name: str, ip: str, ready: bool = True, phase: str = "Running") -> None:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": c.now}]
    ips = [{"ip": one} for one in ip.split(",")]
    body = {"phase": phase, "podIP": ips[0]["ip"], "podIPs": ips, "conditions": conditions}
    await c.client.patch(core_v1.Pod, name, "default", {"status": body}, "strategic", subresource="status")


async def slices(c: Cluster, name: str = "web") -> list[Any]:
    selector = f"kubernetes.io/service-name={name}"
    return (await c.client.list(discovery_v1.EndpointSlice, "default", label_selector=selector)).items


def states(found: list[Any]) -> dict[str, tuple[bool, bool, bool]]:
    return {
        e.addresses[0]: (e.conditions.ready, e.conditions.serving, e.conditions.terminating)
        for s in found
        for e in s.endpoints
    }


def test_a_service_follows_its_pods(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "n", "zone-1")
        await c.create(service())
        (empty,) = await slices(c)
        assert (empty.endpoints, empty.ports, empty.metadata.generateName) == ((), (), "web-")
        assert empty.metadata.annotations == {"endpoints.kubernetes.io/last-change-trigger-time": c.now}
        (owner,) = empty.metadata.ownerReferences
        assert (owner.kind, owner.name, owner.controller) == ("Service", "web", True)
        await pod(c, "a", "10.1.0.1", hostname="a", subdomain="web")
        await pod(c, "b", "10.1.0.2", ready=False)
        await pod(c, "none")
        await c.settle()
        (one,) = await slices(c)
        assert one.metadata.name == empty.metadata.name
        assert states([one]) == {"10.1.0.1": (True, True, False), "10.1.0.2": (False, False, False)}
        first = one.endpoints[0]
        assert (first.hostname, first.nodeName, first.zone, first.targetRef.name) == ("a", "n", "zone-1", "a")
        assert [(p.name, p.port, p.protocol) for p in one.ports] == [("http", 8080, "TCP")]
        ends = await c.get(core_v1.Endpoints)
        (subset,) = ends.subsets
        assert [a.ip for a in subset.addresses] == ["10.1.0.1"]
        assert [a.ip for a in subset.notReadyAddresses] == ["10.1.0.2"]
        assert ends.metadata.labels == {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
        await c.client.delete(core_v1.Pod, "a", "default")
        await status(c, "b", "10.1.0.2")
        await c.settle()
        assert states(await slices(c)) == {"10.1.0.1": (False, True, True), "10.1.0.2": (True, True, False)}
        ends = await c.get(core_v1.Endpoints)
        assert [a.ip for a in ends.subsets[0].addresses] == ["10.1.0.2"]
        assert ends.subsets[0].notReadyAddresses == ()
        await status(c, "b", "10.1.0.2", phase="Succeeded")
        await c.reap()
        (one,) = await slices(c)
        assert (one.metadata.name, one.endpoints) == (empty.metadata.name, ())
        await c.delete(core_v1.Service)
        assert not await c.exists(core_v1.Endpoints)

    play(story, SLICES, ENDPOINTS)


def test_pods_with_other_ports_have_slices_of_their_own(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "n")
        await c.create(service())
        await pod(c, "a", "10.1.0.1")
        await pod(c, "b", "10.1.0.2", port=9090)
        await c.settle()
        assert sorted(s.ports[0].port for s in await slices(c)) == [8080, 9090]
        assert [s.ports[0].port for s in (await c.get(core_v1.Endpoints)).subsets] == [8080, 9090]

    play(story, SLICES, ENDPOINTS)


def test_labels_select(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "n")
        await pod(c, "a", "10.1.0.1")
        await pod(c, "b", "10.1.0.2")
        await c.create(service())
        assert len(states(await slices(c))) == 2
        await c.label(core_v1.Pod, "a", {"app": "other"})
        assert list(states(await slices(c))) == ["10.1.0.2"]
        await c.change(core_v1.Service, selector={"app": "other"})
        assert list(states(await slices(c))) == ["10.1.0.1"]
        await c.label(core_v1.Service, "web", {"tier": "front"})
        (one,) = await slices(c)
        assert one.metadata.labels == {
            "tier": "front",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        assert (await c.get(core_v1.Endpoints)).metadata.labels["tier"] == "front"

    play(story, SLICES, ENDPOINTS)


def test_headless_and_unready_addresses(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "n")
        await pod(c, "a", "10.1.0.1", ready=False)
        await c.create(service(clusterIP="None", ports=None, publishNotReadyAddresses=True))
        (one,) = await slices(c)
        assert "service.kubernetes.io/headless" in one.metadata.labels
        assert one.ports == ()
        assert states([one]) == {"10.1.0.1": (True, False, False)}
        ends = await c.get(core_v1.Endpoints)
        assert [a.ip for a in ends.subsets[0].addresses] == ["10.1.0.1"]
        assert "service.kubernetes.io/headless" in ends.metadata.labels

    play(story, SLICES, ENDPOINTS)


def test_a_slice_that_somebody_deletes_or_changes_comes_back(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "n")
        await pod(c, "a", "10.1.0.1")
        await c.create(service())
        (one,) = await slices(c)
        await c.delete(discovery_v1.EndpointSlice, one.metadata.name)
        (two,) = await slices(c)
        assert two.metadata.uid != one.metadata.uid
        await c.client.patch(discovery_v1.EndpointSlice, two.metadata.name, "default", {"endpoints": []})
        await c.settle()
        assert list(states(await slices(c))) == ["10.1.0.1"]
        await c.delete(core_v1.Endpoints)
        assert await c.exists(core_v1.Endpoints)

    play(story, SLICES, ENDPOINTS)


def test_a_pod_whose_node_is_missing_waits_for_it(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await pod(c, "a", "10.1.0.1")
        await c.create(service())
        assert states(await slices(c)) == {}
        await node(c, "n", "zone-2")
        await c.settle()
        (one,) = await slices(c)
        assert one.endpoints[0].zone == "zone-2"
        await c.client.patch(
            core_v1.Node, "n", body={"metadata": {"labels": {"topology.kubernetes.io/zone": "zone-3"}}}
        )
        await c.settle()
        assert (await slices(c))[0].endpoints[0].zone == "zone-3"

    play(story, SLICES)


def test_two_hundred_and_fifty_pods_are_three_slices_and_one_change_touches_one(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await node(c, "n")
        await c.create(service())
        for i in range(250):
            await pod(c, f"p{i}", f"10.1.{i // 200}.{i % 200 + 1}")
        await c.settle()
        before = await slices(c)
        assert (len(before), len(states(before))) == (3, 250)
        await status(c, "p7", "10.1.0.8", ready=False)
        await c.settle()
        after = await slices(c)
        generations = {s.metadata.name: s.metadata.generation for s in before}
        changed = [s for s in after if s.metadata.generation != generations[s.metadata.name]]
        assert len(changed) == 1

    play(story, SLICES)


def test_hand_written_endpoints_are_mirrored(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(service(selector=None))
        subset = {
            "addresses": [{"ip": "9.8.7.6", "hostname": "h"}, {"ip": "fd00::1"}],
            "notReadyAddresses": [{"ip": "9.8.7.5"}],
            "ports": [{"port": 80}],
        }
        meta = {"name": "web", "namespace": "default", "labels": {"a": "b"}, "annotations": {"c": "d"}}
        ends = {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]}
        await c.create(ends)
        found = {s.addressType: s for s in await slices(c)}
        assert sorted(found) == ["IPv4", "IPv6"]
        assert {e.addresses[0]: e.conditions.ready for e in found["IPv4"].endpoints} == {
            "9.8.7.6": True,
            "9.8.7.5": False,
        }
        assert found["IPv4"].metadata.labels == {
            "a": "b",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        }
        assert found["IPv4"].metadata.annotations == {"c": "d"}
        await c.client.patch(
            core_v1.Endpoints, "web", "default", {"subsets": [{"addresses": [{"ip": "9.8.7.1"}]}]}
        )
        await c.settle()
        (one,) = await slices(c)
        assert [e.addresses[0] for e in one.endpoints] == ["9.8.7.1"]
        await c.delete(core_v1.Endpoints)
        assert await slices(c) == []

    play(story, MIRROR, SLICES)


def test_the_kubernetes_service_is_not_mirrored(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.settle()
        (one,) = await slices(c, "kubernetes")
        assert one.metadata.name == "kubernetes"

    play(story, MIRROR, SLICES, ENDPOINTS)
