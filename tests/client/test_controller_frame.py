"""The frame of controllers: queue and retry, expectations, slow start, claims."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from knarr.api.scheme import evolve
from knarr.api.types import apps_v1, core_v1, meta_v1
from knarr.client.batches import all_of, slow_start
from knarr.client.claim import OwnerGone, claim
from knarr.client.controller import Controller, Requeue
from knarr.client.expectations import Expectations
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controller_ref
from knarr.meta import errors

from .fakeapi import PODS, pod


class Scripted(Controller):
    """Answers each turn with the next of `script`: an error, a Requeue or nothing."""

    name = "scripted"

    def __init__(self, client, informers, script=()):
        super().__init__(client, informers)
        self.script = list(script)
        self.turns = []
        self.watch_primary(apps_v1.ReplicaSet)
        self.watch_owned(core_v1.Pod, apps_v1.ReplicaSet)

    async def reconcile(self, key):
        self.turns.append((round(asyncio.get_running_loop().time(), 3), str(key)))
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
def informers(client):
    return SharedInformers(client)


def replica_set(name="web", **metadata):
    return apps_v1.ReplicaSet(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default", **metadata),
        spec=apps_v1.ReplicaSetSpec(
            replicas=2,
            selector=meta_v1.LabelSelector(matchLabels={"app": name}),
            template=core_v1.PodTemplateSpec(),
        ),
    )


def typed_pod(name, owner=None, app="web", **metadata):
    refs = (meta_v1.OwnerReference(**controller_ref(owner)),) if owner is not None else ()
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            name=name, namespace="default", labels={"app": app}, ownerReferences=refs, **metadata
        )
    )


def test_what_makes_a_key_be_reconciled(run, client, informers):
    async def main():
        await client.create(replica_set())
        controller = Scripted(client, informers)
        await controller.start()
        await asyncio.sleep(1)
        owner = await client.get(apps_v1.ReplicaSet, "web", "default")
        stray = await client.create(typed_pod("stray"))
        mine = await client.create(typed_pod("mine", owner))
        await asyncio.sleep(1)
        await client.update(evolve(mine, metadata={"labels": {"app": "other"}}))
        await asyncio.sleep(1)
        await client.delete(stray)
        await client.delete(mine)
        await asyncio.sleep(1)
        await controller.stop()
        return controller.turns

    assert run(main()) == [(0, "default/web"), (1, "default/web"), (2, "default/web"), (3, "default/web")]


def test_both_owners_hear_of_an_object_that_changes_hands(run, client, informers):
    async def main():
        first, second = [await client.create(replica_set(name)) for name in ("first", "second")]
        mine = await client.create(typed_pod("p", first))
        controller = Scripted(client, informers)
        await controller.start()
        await asyncio.sleep(1)
        controller.turns.clear()
        refs = (meta_v1.OwnerReference(**controller_ref(second)),)
        await client.update(evolve(mine, metadata={"ownerReferences": refs}))
        await asyncio.sleep(1)
        return sorted(key for _, key in controller.turns)

    assert run(main()) == ["default/first", "default/second"]


def test_failures_come_back_later_and_later_and_success_forgets_them(run, client, informers):
    async def main():
        controller = Scripted(
            client, informers, [ValueError("x"), ValueError("x"), Requeue(60), ValueError("x")]
        )
        await controller.start()
        controller.queue.add(Key("default", "web"))
        await asyncio.sleep(200)
        return [when for when, _ in controller.turns]

    assert run(main()) == pytest.approx([0, 0.005, 0.015, 60.015, 60.02])


@pytest.mark.parametrize(
    ("error", "levels"),
    [
        (errors.conflict("", "pods", "p", "stale"), [logging.DEBUG] * 2),
        (errors.not_found("", "pods", "p"), [logging.DEBUG] * 2),
        (OwnerGone("gone"), [logging.DEBUG] * 2),
        (errors.forbidden("", "pods", "p", "exceeded quota"), [logging.WARNING] * 2),
        (ValueError("a bug"), [logging.ERROR] * 2),
    ],
)
def test_what_the_log_says(run, client, informers, caplog, error, levels):
    async def main():
        controller = Scripted(client, informers, [error, error])
        await controller.start()
        controller.queue.add(Key("default", "web"))
        await asyncio.sleep(1)

    with caplog.at_level(logging.DEBUG, logger="knarr.client.controller"):
        run(main())
    assert [record.levelno for record in caplog.records] == levels
    assert all("scripted: default/web" in record.getMessage() for record in caplog.records)
    stories = [record.exc_info is not None for record in caplog.records]
    assert stories == [isinstance(error, ValueError), False]  # a bug's traceback, once


def test_reconciling_waits_for_everything_it_reads(run, client, api, informers):
    async def main():
        api.failing = lambda call: errors.unavailable("starting") if call.verb == "watch" else None
        controller = Scripted(client, informers)
        starting = asyncio.create_task(controller.start())
        controller.queue.add(Key("default", "web"))
        await asyncio.sleep(10)
        assert controller.turns == []
        api.failing = lambda call: None
        await asyncio.sleep(60)
        assert starting.done()
        assert len(controller.turns) == 1
        await controller.stop()

    run(main())


def test_run_ends_with_cancellation(run, client, informers):
    async def main():
        controller = Scripted(client, informers)
        task = asyncio.create_task(controller.run())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        controller.queue.add(Key("default", "late"))
        await asyncio.sleep(1)
        return controller.turns

    assert run(main()) == []


# -- expectations -----------------------------------------------------------------------------------------------


def test_expectations(run):
    async def main():
        expectations, key = Expectations(), Key("n", "web")
        assert expectations.met(key)
        expectations.expect(key, creates=2, deletes=["u1", "u2"])
        for settle in (
            lambda: expectations.created(key),
            lambda: expectations.deleted(key, "u1"),
            lambda: expectations.deleted(key, "u1"),  # told twice, counted once
            lambda: expectations.created(key),
        ):
            settle()
            assert not expectations.met(key)
        expectations.deleted(key, "u2")
        assert expectations.met(key)
        expectations.raise_by(key, 1)
        assert not expectations.met(key)
        await asyncio.sleep(299)
        assert not expectations.met(key)
        await asyncio.sleep(2)  # an event that never came must not stop a controller for ever
        assert expectations.met(key)
        expectations.expect(key, 1)
        expectations.forget(key)
        assert expectations.met(key)
        assert expectations.of(key) is None

    run(main())


# -- slow start --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "refused", "batches", "lost"),
    [
        (0, None, [], []),
        (1, None, [1], []),
        (10, None, [1, 2, 4, 3], []),
        (10, 0, [1], list(range(10))),
        (10, 4, [1, 2, 4], [4, 7, 8, 9]),
        (10, 9, [1, 2, 4, 3], [9]),
    ],
)
def test_slow_start(run, count, refused, batches, lost):
    begun, told = [], []

    async def call(item):
        now = asyncio.get_running_loop().time()
        begun.append(now)
        await asyncio.sleep(1)
        if item == refused:
            raise errors.forbidden("", "pods", "", "exceeded quota")

    async def main():
        return await slow_start(call, range(count), told.append)

    if refused is None:
        assert run(main()) == count
    else:
        with pytest.raises(errors.StatusError, match="quota"):
            run(main())
    assert [begun.count(moment) for moment in sorted(set(begun))] == batches
    assert told == lost


def test_all_of_awaits_all_and_raises_the_first(run):
    done, lost = [], []

    async def call(item):
        await asyncio.sleep(item)
        if item % 2:
            raise ValueError(item)
        done.append(item)

    async def main():
        await all_of(call, [3, 2, 1, 4], lost.append)

    with pytest.raises(ValueError, match="3"):
        run(main())
    assert (done, lost) == ([2, 4], [3, 1])


# -- claims ------------------------------------------------------------------------------------------------------


def patches(api):
    return [
        (call.name, json.loads(call.body)["metadata"].get("ownerReferences"))
        for call in api.calls
        if call.verb == "patch"
    ]


def test_who_is_kept_adopted_released_or_left_alone(run, client, api):
    async def main():
        owner = await client.create(replica_set(uid="u-web"))
        other = replica_set("other", uid="u-other")
        mine = await client.create(typed_pod("mine", owner))
        left = await client.create(typed_pod("left", owner, app="else"))
        theirs = await client.create(typed_pod("theirs", other))
        orphan = await client.create(typed_pod("orphan"))
        going = await client.create(typed_pod("going", deletionTimestamp="2027-01-01T00:00:00Z"))
        stranger = await client.create(typed_pod("stranger", app="else"))
        api.calls.clear()
        kept = await claim(client, owner, [mine, left, theirs, orphan, going, stranger])
        assert [p.metadata.name for p in kept] == ["mine", "orphan"]
        assert patches(api) == [
            ("left", [{"$patch": "delete", "uid": "u-web"}]),
            ("orphan", [controller_ref(owner)]),
        ]
        assert all(call.content_type.startswith("application/strategic") for call in api.calls if call.body)
        assert all(json.loads(call.body)["metadata"]["uid"] for call in api.calls if call.verb == "patch")

    run(main())


def test_an_owner_on_its_way_out_neither_adopts_nor_releases(run, client, api):
    async def main():
        owner = await client.create(replica_set(uid="u", deletionTimestamp="2027-01-01T00:00:00Z"))
        mine, left = typed_pod("mine", owner), typed_pod("left", owner, app="else")
        kept = await claim(client, owner, [mine, left, typed_pod("orphan")])
        assert [p.metadata.name for p in kept] == ["mine"]
        assert patches(api) == []

    run(main())


def gone(client, owner):
    return client.delete(owner)


async def replaced(client, owner):
    await client.delete(owner)
    await client.create(replica_set(uid="u-2"))


def deleting(client, owner):
    return client.patch(
        apps_v1.ReplicaSet, "web", "default", {"metadata": {"deletionTimestamp": "2027-01-01T00:00:00Z"}}
    )


@pytest.mark.parametrize("happens", [gone, replaced, deleting])
def test_adoption_asks_the_server_whether_the_owner_still_lives(run, client, api, happens):
    async def main():
        owner = await client.create(replica_set(uid="u-1"))
        await happens(client, owner)
        api.calls.clear()
        with pytest.raises(OwnerGone):
            await claim(client, owner, [typed_pod("orphan")])
        assert patches(api) == []

    run(main())


def test_the_owner_is_asked_for_once(run, client, api):
    async def main():
        owner = await client.create(replica_set(uid="u-1"))
        orphans = [await client.create(typed_pod(f"p{n}")) for n in range(3)]
        await claim(client, owner, orphans)
        assert len([call for call in api.calls if call.verb == "get"]) == 1

    run(main())


def test_an_orphan_that_is_gone_is_not_kept_and_no_error(run, client):
    async def main():
        owner = await client.create(replica_set(uid="u-1"))
        assert await claim(client, owner, [typed_pod("gone"), typed_pod("released", owner, app="else")]) == []

    run(main())


def test_an_orphan_may_be_refused(run, client):
    async def main():
        owner = await client.create(replica_set(uid="u-1"))
        orphan = await client.create(typed_pod("web-x"))
        assert await claim(client, owner, [orphan], adoptable=lambda p: p.metadata.name == "web-0") == []

    run(main())


def test_structs_travel(run, client):
    """What is written and read back as a Struct, and by its row as a dict."""

    async def main():
        made = await client.create(typed_pod("a"))
        assert type(made) is core_v1.Pod
        assert made.metadata.resourceVersion == "1"
        plain = await client.get(PODS, "a", "default")
        assert plain["metadata"]["labels"] == {"app": "web"}
        listed = await client.list(core_v1.Pod)
        assert listed.items == [made]
        await client.create(pod("b"), PODS)
        assert [p.metadata.name for p in (await client.list(core_v1.Pod, "default")).items] == ["a", "b"]

    run(main())
