"""Two candidates, one lease, an API that fails now and then: never two leaders at once."""

from __future__ import annotations

import asyncio
import json

import pytest

from knarr.client.client import Client
from knarr.client.inprocess import InProcess
from knarr.client.leaderelection import LeaderElector
from knarr.meta import errors
from knarr.world import World, chance

from .fakeapi import LEASES


class Stage:
    """Candidates and who was leading when."""

    def __init__(self, api, world):
        self.api, self.world = api, world
        self.leading: list[str] = []
        self.story: list[tuple[float, str]] = []
        self.violations: list[str] = []

    def candidate(self, name, seed=1, **options):
        loop = asyncio.get_running_loop()

        async def lead():
            self.leading.append(name)
            if len(self.leading) > 1:
                self.violations.append(f"two leaders at {loop.time()}: {self.leading}")
            self.story.append((round(loop.time(), 1), f"+{name}"))
            try:
                await loop.create_future()
            finally:
                self.leading.remove(name)
                self.story.append((round(loop.time(), 1), f"-{name}"))

        client = Client(InProcess(self.api, name), world=World(self.world.clock, chance(seed)))
        return LeaderElector(client, "knarr-controllers", name, lead, **options)

    def lease(self):
        return json.loads(self.api.objects[LEASES.name]["kube-system", "knarr-controllers"].body)["spec"]


@pytest.fixture
def stage(api, world):
    stage = Stage(api, world)
    yield stage
    assert stage.violations == []


async def cancelled(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_one_leads_and_hands_over_when_it_stops(run, stage):
    async def main():
        heard = []
        a = asyncio.create_task(stage.candidate("a", on_new_leader=heard.append).run())
        await asyncio.sleep(0.1)
        b = asyncio.create_task(stage.candidate("b", 2, on_new_leader=heard.append).run())
        await asyncio.sleep(60)
        assert stage.leading == ["a"]
        assert stage.lease() == {
            "holderIdentity": "a",
            "leaseDurationSeconds": 15,
            "acquireTime": "2027-01-15T08:00:00.000000Z",
            "renewTime": "2027-01-15T08:01:00.000000Z",
            "leaseTransitions": 0,
        }
        await cancelled(a)
        assert stage.lease()["holderIdentity"] == ""
        await asyncio.sleep(5)  # released: nobody has to wait for the lease to run out
        assert stage.leading == ["b"]
        assert stage.lease()["leaseTransitions"] == 1
        assert heard == ["a", "a", "b"]
        await cancelled(b)

    run(main())


def test_a_leader_that_vanishes_is_succeeded_after_its_lease(run, stage, loop):
    async def main():
        a = asyncio.create_task(stage.candidate("a", release_on_cancel=False).run())
        await asyncio.sleep(20)
        asyncio.create_task(stage.candidate("b", 2).run())
        await asyncio.sleep(10)
        await cancelled(a)
        await asyncio.sleep(13)
        assert stage.leading == []
        await asyncio.sleep(7)
        assert stage.leading == ["b"]

    run(main())


def test_a_leader_without_api_stops_before_another_begins(run, stage, api):
    async def main():
        api.failing = lambda call: errors.unavailable("cut off") if cut and call.user == "a" else None
        cut = False
        a = asyncio.create_task(stage.candidate("a").run())
        await asyncio.sleep(1)
        asyncio.create_task(stage.candidate("b", 2).run())
        await asyncio.sleep(30)
        cut = True
        await asyncio.sleep(60)
        (_, began), (stopped, ended), (took_over, next_) = stage.story
        assert (began, ended, next_) == ("+a", "-a", "+b")
        assert stopped < took_over
        assert a.done()

    run(main())


def test_an_outage_shorter_than_the_deadline_is_survived(run, stage, api, loop):
    async def main():
        asyncio.create_task(stage.candidate("a").run())
        asyncio.create_task(stage.candidate("b", 2).run())
        await asyncio.sleep(30)
        until = loop.time() + 8
        api.failing = lambda call: errors.unavailable("away") if loop.time() < until else None
        await asyncio.sleep(60)
        assert [what for _, what in stage.story] == ["+a"]

    run(main())


def test_an_api_that_hangs_is_as_bad_as_none(run, stage, api, loop):
    async def main():
        a = asyncio.create_task(stage.candidate("a").run())
        await asyncio.sleep(30)
        api.latency = lambda call: 3600.0
        await asyncio.sleep(40)
        assert stage.leading == []
        assert stage.story[1][0] <= 42.5
        assert a.done()

    run(main())


def test_a_candidate_trusts_its_own_clock_only(run, stage, api):
    """The record says it was renewed years ago (the holder's clock is wrong), yet it changes: the holder lives."""

    async def main():
        asyncio.create_task(stage.candidate("a").run())
        await asyncio.sleep(0.1)
        b = stage.candidate("b", 2)
        b._client = Client(InProcess(api, "b"), world=World(FarAhead(), chance(2)))
        asyncio.create_task(b.run())
        await asyncio.sleep(120)
        assert stage.leading == ["a"]

    run(main())


class FarAhead:
    """A clock that is years ahead of everybody else's."""

    def now(self):
        return 2_000_000_000.0

    def monotonic(self):
        return 0.0


@pytest.mark.parametrize("seed", range(8))
def test_never_two_leaders_whatever_the_api_does(run, api, stage, loop, seed):
    async def main():
        dice = chance(seed)
        bad: dict[str, tuple[float, float]] = {}

        def failing(call):
            begin, end = bad.get(call.user, (0, 0))
            return errors.unavailable("away") if begin <= loop.time() < end else None

        api.failing = failing
        api.latency = lambda call: dice.random() * 4 if dice.random() < 0.2 else 0.01
        running = {}
        for _ in range(40):
            for number, name in enumerate(("a", "b", "c")):
                if name not in running or running[name].done():
                    elector = stage.candidate(name, seed * 10 + number, release_on_cancel=dice.random() < 0.5)
                    running[name] = asyncio.create_task(elector.run())
            await asyncio.sleep(dice.random() * 30)
            victim = dice.choice(["a", "b", "c"])
            if dice.random() < 0.5:
                bad[victim] = (loop.time(), loop.time() + dice.random() * 40)
            else:
                await cancelled(running[victim])
        leaders = {what for _, what in stage.story if what[0] == "+"}
        for task in running.values():
            await cancelled(task)
        assert len(leaders) > 1  # else nothing was tried

    run(main())


def test_a_renewal_that_was_written_but_not_seen_does_not_keep_the_lease(run, stage, api):
    async def main():
        a = asyncio.create_task(stage.candidate("a").run())
        await asyncio.sleep(1)
        api.answer_latency = 1.0
        await asyncio.sleep(1.5)  # the renewal of second 2 is written, its answer is under way
        await cancelled(a)
        assert stage.lease()["holderIdentity"] == ""

    run(main())


def test_what_the_work_raises_is_raised(run, api, world):
    async def lead():
        raise RuntimeError("the work failed")

    elector = LeaderElector(Client(InProcess(api), world=world), "x", "a", lead)
    with pytest.raises(RuntimeError, match="the work failed"):
        run(elector.run())


@pytest.mark.parametrize("durations", [{"lease_seconds": 10}, {"renew_deadline": 2.4}])
def test_durations_that_allow_two_leaders(client, durations):
    with pytest.raises(ValueError, match="greater"):
        LeaderElector(client, "x", "a", lambda: asyncio.sleep(0), **durations)
