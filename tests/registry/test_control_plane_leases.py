"""The leases of the parts of a control plane: who holds them, and that they are renewed in time."""

from __future__ import annotations

import asyncio

import pytest

from knarr.cluster import leases
from knarr.cluster.config import Config
from knarr.cluster.controlplane import ControlPlane
from knarr.meta import times
from knarr.store.memory import MemoryStore
from knarr.world import LoopClock, World, chance
from knarr.world.loop import VirtualLoop

from .conftest import EPOCH


@pytest.fixture
def play():
    """Runs a story with the client of a control plane, in virtual time."""
    loop = VirtualLoop()

    def run(story):
        async def main():
            world = World(LoopClock(loop, EPOCH), chance(1))
            plane = ControlPlane(Config(serve=False, admin_token="T"), world, MemoryStore(world))
            await plane.start()
            await story(plane, world)
            await plane.stop()

        loop.run_until_complete(main())

    yield run
    loop.close()


def test_leases_are_held_and_renewed(play):
    async def story(plane, world):
        holders = list(leases.holders(world, controllers=True, scheduler=True))
        task = asyncio.create_task(leases.keep(plane.client(), holders))
        await asyncio.sleep(1)
        names = [lease["metadata"]["name"] for lease in (await plane.client().list(leases.LEASES)).items]
        assert sorted(names)[1:] == ["kube-controller-manager", "kube-scheduler"]
        identity = holders[0]
        assert names[0] == identity.lease and identity.identity.startswith(f"{identity.lease}_")
        first = await plane.client().get(leases.LEASES, "kube-scheduler", "kube-system")
        assert first["spec"]["leaseTransitions"] == 0
        assert [entry["manager"] for entry in first["metadata"]["managedFields"]] == ["kube-scheduler"]
        await asyncio.sleep(100)
        for name in names:
            spec = (await plane.client().get(leases.LEASES, name, "kube-system"))["spec"]
            renewed = times.parse_micro(spec["renewTime"])
            assert world.clock.now() - renewed <= leases.RENEW_SECONDS < spec["leaseDurationSeconds"]
        assert spec["acquireTime"] == first["spec"]["acquireTime"]
        await plane.client().delete(leases.LEASES, "kube-scheduler", "kube-system")
        await asyncio.sleep(11)
        assert await plane.client().get(leases.LEASES, "kube-scheduler", "kube-system")
        task.cancel()

    play(story)


def test_a_leader_after_another_says_so(play):
    async def story(plane, world):
        for _ in range(2):
            (_, manager) = leases.holders(world, controllers=True, scheduler=False)
            await leases.renew(plane.client().named(manager.manager), manager)
            await leases.renew(plane.client().named(manager.manager), manager)
            await asyncio.sleep(1)
        lease = await plane.client().get(leases.LEASES, "kube-controller-manager", "kube-system")
        assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == (manager.identity, 1)
        told = [event for event in plane.registry.list("", "events") if event["reason"] == "LeaderElection"]
        assert len(told) == 2
        assert f"{manager.identity} became leader" in {event["message"] for event in told}

    play(story)
