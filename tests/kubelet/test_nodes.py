"""Nodes: registration, heartbeats, what they cost."""

from __future__ import annotations

import asyncio
from typing import Any

from knarr.api.types import coordination_v1, core_v1
from knarr.meta import errors, times
from tests.kubelet.conftest import EPOCH, Cluster


def test_a_node_registers_with_all_it_is(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes("n0", labels={"zone": "a"}, addresses=("192.0.2.7",))
        node = await cluster.client.get(core_v1.Node, "n0")
        assert node.metadata.labels["kubernetes.io/hostname"] == "n0"
        assert node.metadata.labels["zone"] == "a"
        assert [(a.type, a.address) for a in node.status.addresses] == [
            ("InternalIP", "192.0.2.7"),
            ("Hostname", "n0"),
        ]
        info = node.status.nodeInfo
        assert info.kubeletVersion == "v1.36.2"
        assert info.containerRuntimeVersion == "knarr-simulated://1.36.2"
        assert {c.type: c.status for c in node.status.conditions} == {
            "MemoryPressure": "False",
            "DiskPressure": "False",
            "PIDPressure": "False",
            "Ready": "True",
        }
        assert node.status.allocatable["pods"] == "110"

    play(story)


def test_a_node_that_exists_is_taken_over_and_keeps_its_taints(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        taint = {"key": "mine", "effect": "NoSchedule"}
        await cluster.client.create(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n0"}, "spec": {"taints": [taint]}}
        )
        await cluster.nodes("n0")
        node = await cluster.client.get(core_v1.Node, "n0")
        assert "mine" in [t.key for t in node.spec.taints]
        assert node.status.nodeInfo.kubeletVersion == "v1.36.2"

    play(story)


def test_leases_are_renewed_every_ten_seconds_and_statuses_every_five_minutes(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes("n0", "n1", "n2")
        renewals: list[float] = []
        leases = cluster.informers.of(coordination_v1.Lease)
        leases.add_handler(None, lambda old, new: renewals.append(cluster.now), None)
        await asyncio.sleep(600.2)
        assert len(renewals) == 3 * 60
        lease = await cluster.client.get(coordination_v1.Lease, "n1", "kube-node-lease")
        assert lease.spec.holderIdentity == "n1"
        assert lease.spec.leaseDurationSeconds == 40
        assert lease.metadata.ownerReferences[0].kind == "Node"
        assert cluster.world.clock.now() - times.parse_micro(lease.spec.renewTime) <= 10
        node = await cluster.client.get(core_v1.Node, "n1")
        beats = {times.parse(c.lastHeartbeatTime) - EPOCH for c in node.status.conditions}
        assert min(beats) > 0
        assert {c.lastTransitionTime for c in node.status.conditions} == {times.format(EPOCH)}

    play(story)


def test_renewals_are_spread_over_the_interval(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes(*(f"n{i}" for i in range(40)))
        at: list[float] = []
        cluster.informers.of(coordination_v1.Lease).add_handler(
            None, lambda old, new: at.append(round(cluster.now, 3)), None
        )
        await asyncio.sleep(10.2)
        assert len(at) == 40
        assert {at.count(moment) for moment in at} == {2}

    play(story)


def test_a_lost_lease_is_made_again(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes("n0")
        await cluster.client.delete(coordination_v1.Lease, "n0", "kube-node-lease")
        await asyncio.sleep(11)
        assert await cluster.client.get(coordination_v1.Lease, "n0", "kube-node-lease")

    play(story)


def test_trouble_with_the_api_passes(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        kubelets = await cluster.nodes("n0", "n1")
        transport = kubelets.client.transport
        real = transport.request
        answers = iter([OSError("no route"), RuntimeError("odd"), errors.unavailable("busy")] * 4)

        async def flaky(verb: str, *args: Any, **more: Any) -> bytes:
            if verb in ("patch", "update") and (error := next(answers, None)) is not None:
                raise error
            return await real(verb, *args, **more)

        transport.request = flaky
        await cluster.create()
        await cluster.until(lambda p: p.status.phase == "Running", seconds=60)
        await asyncio.sleep(60)
        for name in ("n0", "n1"):
            lease = await cluster.client.get(coordination_v1.Lease, name, "kube-node-lease")
            assert cluster.world.clock.now() - times.parse_micro(lease.spec.renewTime) <= 10

    play(story)


def test_a_removed_node_falls_silent(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        kubelets = await cluster.nodes("n0", "n1")
        await cluster.create()
        await cluster.until(lambda p: p.status.phase == "Running")
        kubelets.remove_node("n0")
        before = await cluster.client.get(coordination_v1.Lease, "n0", "kube-node-lease")
        await asyncio.sleep(60)
        after = await cluster.client.get(coordination_v1.Lease, "n0", "kube-node-lease")
        assert after.spec.renewTime == before.spec.renewTime
        assert cluster.plane.nodes.get("n0") is None
        assert (await cluster.pod()).status.phase == "Running"

    play(story)


def test_pod_addresses_come_from_the_nodes_network_once_it_has_one(play: Any) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.nodes("n0", pod_cidr="10.9.8.0/24")
        await cluster.create()
        found = await cluster.until(lambda p: p.status.podIP)
        assert found.status.podIP == "10.9.8.2"

    play(story)
