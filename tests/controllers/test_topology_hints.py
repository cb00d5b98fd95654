"""Topology aware routing: endpoints by zone, in proportion to the zones' cpu."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.api.scheme import scheme
from knarr.api.types import core_v1, discovery_v1
from knarr.controllers.endpointslice import topology
from knarr.controllers.endpointslice.reconcile import Draft

from .conftest import Cluster
from .test_endpointslice import SLICES, pod, service, slices

MODE = "service.kubernetes.io/topology-mode"


def endpoint(number: int, zone: str, ready: bool = True) -> Any:
    body = {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": ready}, "zone": zone}
    return scheme().from_dict(discovery_v1.Endpoint, body)


def draft(*zones: str) -> Draft:
    return Draft("IPv4", (), [endpoint(i, zone) for i, zone in enumerate(zones)])


def hinted(*drafts: Draft) -> Counter[str]:
    return Counter(e.hints.forZones[0].name for d in drafts for e in d.endpoints if e.hints is not None)


#: (zones' cpu ratios, zones of the endpoints, endpoints meant for each zone)
SPREADS = [
    ({"a": 0.5, "b": 0.5}, "aabb", {"a": 2, "b": 2}),
    ({"a": 0.5, "b": 0.5}, "aaaa", {"a": 2, "b": 2}),
    ({"a": 0.5, "b": 0.5}, "aaab", {"a": 2, "b": 2}),
    ({"a": 0.25, "b": 0.75}, "aabb", {"a": 1, "b": 3}),
    ({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, "aabbcc", {"a": 2, "b": 2, "c": 2}),
]


@pytest.mark.parametrize(("ratios", "zones", "want"), SPREADS)
def test_endpoints_are_meant_for_zones_in_proportion(ratios: Any, zones: str, want: Any) -> None:
    one = draft(*zones)
    counts, more = topology.add_hints([one], [], ratios)
    assert (hinted(one), counts, more) == (want, want, [])


#: (ratios, zones of the endpoints, why there are no hints)
IMPOSSIBLE = [
    (None, "ab", topology.NODES_UNKNOWN),
    ({"a": 0.5, "b": 0.5}, "a", "Insufficient number of endpoints (1 endpoints, 2 zones)"),
    ({"a": 0.5, "b": 0.5}, ["a", "a", "a", ""], topology.NO_ZONE),
    (
        {"a": 0.3, "b": 0.3, "c": 0.4},
        "abc",
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
        " (3 endpoints, 3 zones)",
    ),
]


@pytest.mark.parametrize(("ratios", "zones", "why"), IMPOSSIBLE)
def test_no_hints_where_that_would_overload_somebody(ratios: Any, zones: Any, why: str) -> None:
    with pytest.raises(topology.Impossible, match="^" + why.replace("(", r"\(").replace(")", r"\)")):
        topology.add_hints([draft(*zones)], [], ratios)


ZONES = st.lists(st.sampled_from("abc"), min_size=3, max_size=40)
CPU = st.fixed_dictionaries({zone: st.integers(1, 8) for zone in "abc"})


@settings(max_examples=100, deadline=None)
@given(ZONES, CPU)
def test_no_zone_is_overloaded_and_every_endpoint_is_used(zones: list[str], cpu: dict[str, int]) -> None:
    ratios = {zone: amount / sum(cpu.values()) for zone, amount in cpu.items()}
    one = draft(*zones)
    try:
        counts, _ = topology.add_hints([one], [], ratios)
    except topology.Impossible:
        return
    found = hinted(one)
    assert sum(found.values()) == len(zones)
    assert found == Counter({zone: count for zone, count in counts.items() if count})


#: labels, ready, cpu; the ratios
NODES = [
    ([({"z": "a"}, True, "2"), ({"z": "b"}, True, "2")], {"a": 0.5, "b": 0.5}),
    ([({"z": "a"}, True, "1"), ({"z": "a"}, True, "500m"), ({"z": "b"}, True, "500m")], {"a": 0.75, "b": 0.25}),
    ([({"z": "a"}, True, "2"), ({"z": "b"}, False, "2")], None),
    ([({"z": "a"}, True, "2"), ({"z": "b"}, True, "2"), ({}, True, "2")], None),
    ([({"z": "a"}, True, "2"), ({"z": "b"}, True, "2"), ({"z": "c"}, True, None)], None),
    ([({"z": "a"}, True, "2"), ({"z": "b"}, True, "2"), ({"role": ""}, True, "2")], {"a": 0.5, "b": 0.5}),
]  # fmt: skip
LABELS = {"z": topology.ZONE, "role": "node-role.kubernetes.io/control-plane"}


def node_body(name: str, labels: dict[str, str], ready: bool, cpu: str | None) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {LABELS.get(k, k): v for k, v in labels.items()}},
        "status": {"conditions": conditions, "allocatable": {"cpu": cpu} if cpu else {}},
    }


@pytest.mark.parametrize(("nodes", "want"), NODES)
def test_cpu_of_zones(nodes: Any, want: Any) -> None:
    made = [scheme().from_dict(core_v1.Node, node_body("n", *facts)) for facts in nodes]
    assert topology.cpu_ratios(made) == want


def test_hints_come_and_go_with_the_annotation(play: Any) -> None:
    async def story(c: Cluster) -> None:
        for number, zone in enumerate("ab"):
            await c.client.create(node_body(f"n{number}", {"z": zone}, True, "2"))
        for number in range(4):
            await pod(c, f"p{number}", f"10.1.0.{number}", on="n0")
        body = service()
        body["metadata"]["annotations"] = {MODE: "Auto"}
        await c.create(body)

        async def meant() -> Counter[str]:
            return hinted(*(Draft("IPv4", (), list(s.endpoints)) for s in await slices(c)))

        async def ready(said: str) -> None:
            """What node n1 says of itself."""
            body = {"status": {"conditions": [{"type": "Ready", "status": said}]}}
            await c.client.patch(core_v1.Node, "n1", body=body, kind="strategic", subresource="status")

        assert await meant() == {"a": 2, "b": 2}
        assert await c.told("TopologyAwareHintsEnabled") == [
            "Topology Aware Hints has been enabled, addressType: IPv4"
        ]
        revision = (await slices(c))[0].metadata.resourceVersion
        await c.label(core_v1.Service, "web", {"x": "y"})
        await c.label(core_v1.Service, "web", {"x": None})
        assert await meant() == {"a": 2, "b": 2}
        # a zone that is not ready any more takes its hints along
        await ready("False")
        await c.settle()
        assert await meant() == {}
        assert await c.told("TopologyAwareHintsDisabled") == [f"{topology.NODES_UNKNOWN}, addressType: IPv4"]
        assert (await slices(c))[0].metadata.resourceVersion != revision
        await ready("True")
        await c.label(core_v1.Service, "web", {"x": "z"})
        assert await meant() == {"a": 2, "b": 2}
        await c.client.patch(core_v1.Service, "web", "default", {"metadata": {"annotations": {MODE: None}}})
        await c.settle()
        assert await meant() == {}
        assert f"{topology.DISABLED}, addressType: IPv4" in await c.told("TopologyAwareHintsDisabled")

    play(story, SLICES)
