"""Informers over both kinds of transport: handlers must not be able to tell them apart."""

from __future__ import annotations

import asyncio
import logging

import pytest

from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.codec import Partial
from knarr.client.indexer import BY_CONTROLLER, controller_index
from knarr.client.informer import Informer, SharedInformers
from knarr.client.inprocess import InProcess
from knarr.meta import errors

from .fakeapi import EVENTS, PODS, FakeAPI, FakeEntry, OnlyWatches, pod


class Told:
    """A handler that writes down what it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def attach(self, informer):
        return informer.add_handler(self.added, self.updated, self.deleted)

    def added(self, obj):
        self.lines.append(f"+{obj['metadata']['name']}")

    def updated(self, old, new):
        versions = (old["metadata"]["resourceVersion"], new["metadata"]["resourceVersion"])
        self.lines.append(f"~{new['metadata']['name']} {versions[0]}>{versions[1]}")

    def deleted(self, obj):
        self.lines.append(f"-{obj['metadata']['name']}")

    def take(self):
        lines, self.lines = self.lines, []
        return lines


@pytest.fixture(params=["in process", "list and watch", "watch list"])
def way(request, api, world):
    """(client, options): the three ways to follow a resource."""
    transport = InProcess(api) if request.param == "in process" else OnlyWatches(api)
    return Client(transport, "tests", world=world), {"watch_list": request.param == "watch list"}


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


def test_the_life_of_an_object_as_handlers_hear_it(run, way):
    async def main():
        client, options = way
        await client.create(pod("old"), PODS)
        informer = Informer(client, PODS, **options)
        told = Told()
        told.attach(informer)
        assert not informer.has_synced
        informer.start()
        await informer.wait_for_sync()
        assert told.take() == ["+old"]
        new = await client.create(pod("new"), PODS)
        new["spec"] = {"nodeName": "n"}
        await client.update(new, PODS)
        await client.delete(PODS, "old", "default")
        await settle()
        assert told.take() == ["+new", "~new 2>3", "-old"]
        assert informer.store.get(("default", "new"))["spec"] == {"nodeName": "n"}
        assert [o["metadata"]["name"] for o in informer.indexer.list("default")] == ["new"]
        assert informer.indexer.list("other") == []
        await informer.stop()

    run(main())


def test_a_late_handler_hears_of_what_is_there_and_a_removed_one_of_nothing(run, way):
    async def main():
        client, options = way
        await client.create(pod("a"), PODS)
        informer = Informer(client, PODS, **options)
        informer.start()
        await informer.wait_for_sync()
        late = Told()
        handler = late.attach(informer)
        assert late.take() == ["+a"]
        assert handler.has_synced
        handler.remove()
        await client.create(pod("b"), PODS)
        await settle()
        assert late.take() == []
        assert len(informer.indexer) == 2

    run(main())


def test_what_happened_while_the_connection_was_lost(run, way, api):
    async def main():
        client, options = way
        for name in "abc":
            await client.create(pod(name), PODS)
        informer = Informer(client, PODS, **options)
        told = Told()
        told.attach(informer)
        informer.start()
        await informer.wait_for_sync()
        told.take()
        api.failing = lambda call: errors.unavailable("away") if call.verb in ("watch", "list") else None
        api.disconnect(errors.unavailable("going down"))
        await settle()
        await client.delete(PODS, "a", "default")
        await client.patch(PODS, "b", "default", {"spec": {"x": 1}})
        await client.create(pod("d"), PODS)
        api.compacted = api.revision  # the way from where we were is forgotten
        await asyncio.sleep(20)
        assert told.take() == []
        api.failing = lambda call: None
        await asyncio.sleep(120)
        assert sorted(told.take()) == ["+d", "-a", "~b 2>5"]
        assert sorted(key[1] for key in informer.indexer.keys()) == ["b", "c", "d"]  # noqa: SIM118

    run(main())


def test_a_handler_that_raises_disturbs_nobody(run, way, caplog):
    async def main():
        client, options = way
        informer = Informer(client, PODS, **options)
        informer.add_handler(added=lambda obj: 1 / 0)
        told = Told()
        told.attach(informer)
        informer.start()
        await informer.wait_for_sync()
        await client.create(pod("a"), PODS)
        await settle()
        return told.take()

    with caplog.at_level(logging.ERROR):
        assert run(main()) == ["+a"]
    assert "ZeroDivisionError" in caplog.text


def test_resync_hands_everything_out_again(run, way):
    async def main():
        client, options = way
        await client.create(pod("a"), PODS)
        informer = Informer(client, PODS, resync_seconds=10, **options)
        told = Told()
        told.attach(informer)
        informer.start()
        await asyncio.sleep(25)
        return told.take()

    assert run(main()) == ["+a", "~a 1>1", "~a 1>1"]


def test_selectors_and_namespaces(run, way):
    async def main():
        client, options = way
        informer = Informer(client, PODS, namespace="here", **options)
        informer.start()
        await informer.wait_for_sync()
        await client.create(pod("a", "here"), PODS)
        await client.create(pod("b", "there"), PODS)
        await settle()
        return [key[1] for key in informer.indexer.keys()]  # noqa: SIM118

    assert run(main()) == ["a"]


# -- in process -------------------------------------------------------------------------------------------------


def test_all_informers_of_a_process_share_one_decoded_object(run, client):
    async def main():
        await client.create(pod("a"), PODS)
        FakeEntry.decoded = 0
        informers = [Informer(client, PODS, field_selector=str(n)) for n in range(3)]
        for informer in informers:
            informer.start()
            await informer.wait_for_sync()
        first, *others = [informer.store.get(("default", "a")) for informer in informers]
        assert all(other is first for other in others)
        assert FakeEntry.decoded == 1

    run(main())


def test_an_object_that_cannot_be_decoded_is_left_out_and_told(run, client, caplog):
    async def main():
        for name, spec in (("a", {}), ("bad", {"nodeName": 7}), ("c", {})):
            await client.create({**pod(name), "spec": spec}, PODS)
        informer = Informer(client, core_v1.Pod)
        informer.start()
        await informer.wait_for_sync()
        return [key.name for key in informer.indexer.keys()]  # noqa: SIM118

    assert run(main()) == ["a", "c"]
    assert "default/bad cannot be decoded" in caplog.text


def test_metadata_alone_is_kept_for_a_partial_target(run, client):
    async def main():
        await client.create(pod("a", ownerReferences=[{"uid": "u", "controller": True}]), PODS)
        informer = Informer(client, Partial(PODS), indexers={BY_CONTROLLER: controller_index})
        informer.start()
        await informer.wait_for_sync()
        (obj,) = informer.indexer.by_index(BY_CONTROLLER, "u")
        assert (obj.kind, obj.metadata.name, obj.metadata.ownerReferences[0].uid) == ("Pod", "a", "u")
        assert not hasattr(obj, "spec")

    run(main())


def test_an_event_is_seen_before_the_write_that_caused_it_returns(run, client):
    """Controllers rely on it: expectations are set before the call."""

    async def main():
        informer = Informer(client, PODS)
        informer.start()
        await informer.wait_for_sync()
        await client.create(pod("a"), PODS)
        assert ("default", "a") in informer.indexer

    run(main())


def test_shared_informers_are_made_once_per_target(run, client):
    async def main():
        shared = SharedInformers(client)
        pods = shared.of(PODS)
        assert shared.of(PODS) is pods
        assert shared.of(Partial(PODS)) is not pods
        assert shared.of(PODS, namespace="n") is not pods
        shared.start()
        await shared.wait_for_sync()
        late = shared.of(EVENTS)  # asked for by a controller that starts later
        await late.wait_for_sync()
        await shared.forget(EVENTS)
        assert shared.of(EVENTS) is not late
        await shared.stop()

    run(main())


# -- the reflector's ways ------------------------------------------------------------------------------------------


@pytest.fixture
def remote(api: FakeAPI, world):
    transport = OnlyWatches(api)
    return Client(transport, "tests", world=world), transport


def test_the_first_list_may_come_from_a_cache_and_the_watch_goes_on_from_it(run, remote, api):
    async def main():
        client, transport = remote
        await client.create(pod("a"), PODS)
        Informer(client, PODS).start()
        await settle()
        lists = [call.query for call in api.calls if call.verb == "list"]
        assert [query["resourceVersion"] for query in lists] == ["0"]
        assert transport.watches[0]["resourceVersion"] == "1"
        assert transport.watches[0]["allowWatchBookmarks"] == "true"
        assert 300 <= int(transport.watches[0]["timeoutSeconds"]) <= 600

    run(main())


def test_a_watch_that_ends_is_taken_up_where_it_was(run, remote, api):
    async def main():
        client, transport = remote
        informer = Informer(client, PODS)
        informer.start()
        await informer.wait_for_sync()
        for name in "abc":
            await client.create(pod(name), PODS)
        await asyncio.sleep(700)  # the server ends it by timeoutSeconds
        assert [watch["resourceVersion"] for watch in transport.watches][:2] == ["0", "3"]
        assert len([call for call in api.calls if call.verb == "list"]) == 1

    run(main())


def test_an_expired_version_is_listed_anew_from_the_newest_state(run, remote, api):
    async def main():
        client, _ = remote
        informer = Informer(client, PODS)
        informer.start()
        await informer.wait_for_sync()
        await client.create(pod("a"), PODS)
        await settle()
        api.disconnect(errors.expired("too old resource version"))
        await asyncio.sleep(5)
        versions = [call.query.get("resourceVersion") for call in api.calls if call.verb == "list"]
        assert versions == ["0", None]
        assert ("default", "a") in informer.indexer

    run(main())


def test_a_server_that_is_away_is_asked_less_and_less_often(run, remote, api, loop):
    async def main():
        client, _ = remote
        times = []

        def failing(call):
            times.append(loop.time())
            return errors.unavailable("away")

        api.failing = failing
        Informer(client, PODS).start()
        await asyncio.sleep(300)
        gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
        assert 0.8 <= gaps[0] <= 1.6
        assert all(30 <= gap <= 60 for gap in gaps[6:])
        assert len(times) < 20

    run(main())


def test_a_server_without_watch_list_is_listed(run, remote, api):
    async def main():
        client, transport = remote
        inner = transport.watch

        async def refusing(resource, namespace="", query=()):
            if query.get("sendInitialEvents"):
                raise errors.bad_request("sendInitialEvents is forbidden for watch")
            async for batch in inner(resource, namespace, query):
                yield batch

        transport.watch = refusing
        await client.create(pod("a"), PODS)
        informer = Informer(client, PODS, watch_list=True)
        informer.start()
        await informer.wait_for_sync()
        assert ("default", "a") in informer.indexer
        assert [call.verb for call in api.calls if call.verb == "list"] == ["list"]

    run(main())


def test_a_watcher_that_falls_behind_is_told_to_list_again(run, client, api, monkeypatch):
    monkeypatch.setattr("knarr.client.inprocess.WATCH_EVENTS_MAX", 3)

    async def main():
        seen = []
        with pytest.raises(errors.StatusError) as raised:
            async for type_, obj in client.watch(PODS):
                seen.append((type_, obj["metadata"]["name"]))
                for name in ("b", "c", "d", "e", "f") if len(seen) == 1 else ():
                    await client.create(pod(name), PODS)
        assert raised.value.code == 410
        assert not api.subscriptions
        return seen

    async def start():
        await client.create(pod("a"), PODS)
        return await main()

    assert run(start()) == [("ADDED", name) for name in "abcd"]
