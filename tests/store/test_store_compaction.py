"""History, compaction, quota."""

from __future__ import annotations

import asyncio

import pytest

from knarr.store.base import Compacted, FutureRevision, NoSpace, Put
from knarr.store.compactor import AutoCompactor, parse_retention
from knarr.store.local import COMPACT_SLICE


def test_reads_at_revisions_before_and_after_compaction(run, open_store):
    async def main():
        store = open_store()
        await store.put(b"a", b"1")  # 2
        await store.put(b"b", b"1")  # 3
        await store.put(b"a", b"2")  # 4
        await store.delete(b"b")  # 5
        await store.put(b"b", b"2")  # 6
        await store.delete(b"a")  # 7
        states = {
            2: {b"a": b"1"},
            3: {b"a": b"1", b"b": b"1"},
            4: {b"a": b"2", b"b": b"1"},
            5: {b"a": b"2"},
            6: {b"a": b"2", b"b": b"2"},
            7: {b"b": b"2"},
        }

        async def check(revision):
            found = await store.range(b"", b"", revision)
            assert {kv.key: kv.value for kv in found.kvs} == states[revision]
            assert found.count == len(states[revision])
            for key in (b"a", b"b"):
                kv = await store.get(key, revision)
                assert (kv.value if kv else None) == states[revision].get(key)

        for revision in states:
            await check(revision)
        await store.compact(5)
        for revision in (2, 3, 4):
            with pytest.raises(Compacted, match="^etcdserver: mvcc: required revision has been compacted$"):
                await store.range(b"", b"", revision)
            with pytest.raises(Compacted):
                await store.get(b"a", revision)
        for revision in (5, 6, 7):
            await check(revision)
        await store.compact(7)
        await check(7)
        assert store._index.history == {}
        assert store._index.log == []
        assert store._index.graves.ordered() == []
        with pytest.raises(Compacted):
            await store.compact(7)
        with pytest.raises(
            FutureRevision, match="^etcdserver: mvcc: required revision is a future revision$"
        ):
            await store.compact(8)
        with pytest.raises(FutureRevision):
            await store.get(b"a", 8)
        await store.close()

    run(main())


def test_pages_at_an_old_revision(run, open_store):
    async def main():
        store = open_store()
        for i in range(6):
            await store.put(b"/%d" % i, b"old")
        at = store.revision
        for i in range(0, 6, 2):
            await store.delete(b"/%d" % i)
        await store.put(b"/3", b"new")
        page = await store.range(b"/2", b"\0", at, limit=3)
        assert [(kv.key, kv.value) for kv in page.kvs] == [(b"/2", b"old"), (b"/3", b"old"), (b"/4", b"old")]
        assert (page.more, page.count) == (True, 4)
        await store.close()

    run(main())


def test_compaction_lets_others_run_between_its_slices(run, open_store):
    async def main():
        store = open_store()
        n = COMPACT_SLICE * 3
        await asyncio.gather(*[store.put(b"%d" % (i % 10), b"v") for i in range(n)])
        task = asyncio.ensure_future(store.compact(store.revision - 5))
        turns = 0
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 3
        assert store.bytes_in_use < 20 * 100
        assert (await store.range(b"", b"", store.revision - 5)).count == 10
        await store.close()

    run(main())


def test_quota(run, open_store):
    async def main():
        store = open_store(quota_bytes=10_000)
        kvs = [await store.put(b"a", bytes(2000)) for _ in range(4)]
        with pytest.raises(NoSpace, match="^etcdserver: mvcc: database space exceeded$"):
            await store.put(b"a", bytes(2000))
        with pytest.raises(NoSpace):
            await store.txn([], [Put(b"b", bytes(2000))])
        assert store.alarm
        assert store.revision == kvs[-1].mod_revision
        await store.delete(b"a")
        assert (await store.txn([], [])).succeeded
        await store.compact(store.revision)
        assert not store.alarm
        await store.put(b"a", bytes(2000))
        await store.close()

    run(main())


@pytest.mark.parametrize(
    ("mode", "text", "retention"),
    [
        ("revision", "1000", 1000),
        ("periodic", "5m", 300),
        ("periodic", "1h30m", 5400),
        ("periodic", "2", 7200),
        ("periodic", "0", 0),
    ],
)
def test_retention(mode, text, retention):
    assert parse_retention(mode, text) == retention


@pytest.mark.parametrize(
    ("mode", "text"), [("revision", "1m"), ("periodic", "x"), ("weekly", "1"), ("periodic", "-1")]
)
def test_bad_retention(mode, text):
    with pytest.raises(ValueError, match=r"."):
        parse_retention(mode, text)


def test_periodic_compaction_keeps_the_retention(run, open_store):
    async def main():
        store = open_store()
        compactor = AutoCompactor(store, "periodic", 300)
        compactor.start()
        at = {}
        for minute in range(12):
            await store.put(b"k", b"%d" % minute)
            at[minute] = store.revision
            await asyncio.sleep(60)
        assert at[4] <= store.compact_revision <= at[7]
        assert (await store.get(b"k", at[7])).value == b"7"
        await asyncio.sleep(900)
        assert store.compact_revision == store.revision
        await compactor.stop()
        await store.close()

    run(main())


def test_compaction_by_revisions(run, open_store):
    async def main():
        store = open_store()
        compactor = AutoCompactor(store, "revision", 10)
        compactor.start()
        await asyncio.gather(*[store.put(b"k", b"") for _ in range(50)])
        await asyncio.sleep(301)
        assert store.compact_revision == store.revision - 10
        await asyncio.sleep(3000)
        assert store.compact_revision == store.revision - 10
        await compactor.stop()
        await store.close()

    run(main())
