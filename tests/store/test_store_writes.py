"""Puts, deletes and compares, on both stores."""

from __future__ import annotations

import asyncio

import pytest

from knarr.store.base import CompareFailed, RequestTooLarge, StoreClosed


def test_revisions_start_at_one_and_versions_count(run, open_store):
    async def main():
        store = open_store()
        assert (store.revision, store.compact_revision) == (1, 0)
        first = await store.put(b"/a", b"1")
        second = await store.put(b"/a", b"2")
        gone = await store.delete(b"/a")
        again = await store.put(b"/a", b"3")
        found = [(kv.create_revision, kv.mod_revision, kv.version) for kv in (first, second, gone, again)]
        assert found == [(2, 2, 1), (2, 3, 2), (0, 4, 0), (5, 5, 1)]
        assert gone.value is None
        assert store.revision == 5
        await store.close()

    run(main())


@pytest.mark.parametrize(
    ("there", "expect", "wins"),
    [
        (False, None, True),
        (False, 0, True),
        (False, 2, False),
        (True, None, True),
        (True, 0, False),
        (True, 2, True),
        (True, 3, False),
    ],
)
def test_expect(run, open_store, there, expect, wins):
    async def main():
        store = open_store()
        if there:
            await store.put(b"k", b"old")
        if wins:
            assert (await store.put(b"k", b"new", expect)).value == b"new"
        else:
            with pytest.raises(CompareFailed) as failed:
                await store.put(b"k", b"new", expect)
            current = failed.value.current
            assert (current.value if current else None) == (b"old" if there else None)
            assert (await store.get(b"k")) == current
        await store.close()

    run(main())


def test_delete_with_expect(run, open_store):
    async def main():
        store = open_store()
        assert await store.delete(b"k") is None
        with pytest.raises(CompareFailed):
            await store.delete(b"k", 2)
        kv = await store.put(b"k", b"v")
        with pytest.raises(CompareFailed) as failed:
            await store.delete(b"k", kv.mod_revision + 1)
        assert failed.value.current == kv
        assert (await store.delete(b"k", kv.mod_revision)).mod_revision == 3
        assert store.revision == 3
        await store.close()

    run(main())


def test_one_of_many_compares_wins_and_losers_learn_after_the_winner_is_visible(run, open_store):
    async def main():
        store = open_store()
        base = await store.put(b"k", b"0", 0)
        seen_by_losers = []

        async def write(i):
            try:
                return await store.put(b"k", b"%d" % i, base.mod_revision)
            except CompareFailed as failed:
                seen_by_losers.append((failed.current, await store.get(b"k")))
                return None

        answers = await asyncio.gather(*[write(i) for i in range(6)])
        winners = [kv for kv in answers if kv]
        assert [kv.value for kv in winners] == [b"0"]
        assert seen_by_losers == [(winners[0], winners[0])] * 5
        await store.close()

    run(main())


def test_reads_see_only_what_was_committed(run, open_store):
    async def main():
        store = open_store()
        future = store.put(b"k", b"v")
        assert await store.get(b"k") is None
        assert (await store.range(b"", b"")).count == 0
        assert store.revision == 1
        await future
        assert (await store.get(b"k")).value == b"v"
        await store.close()

    run(main())


def test_all_writes_of_a_tick_are_one_batch(run, open_store):
    async def main():
        store = open_store()
        batches = []
        store.watch(0, lambda events, revision: batches.append(([e.kv.key for e in events], revision)))
        await asyncio.gather(store.put(b"a", b""), store.put(b"b", b""), store.delete(b"a"))
        assert batches == [([b"a", b"b", b"a"], 4)]
        await store.close()

    run(main())


def test_ranges(run, open_store):
    async def main():
        store = open_store()
        for key in (b"/b/2", b"/a/1", b"/b/1", b"/c", b"/b"):
            await store.put(key, key)
        cases = [
            ((b"", b""), [b"/a/1", b"/b", b"/b/1", b"/b/2", b"/c"]),
            ((b"/b", b""), [b"/b"]),
            ((b"/x", b""), []),
            ((b"/b/", b"/b0"), [b"/b/1", b"/b/2"]),
            ((b"/b", b"\0"), [b"/b", b"/b/1", b"/b/2", b"/c"]),
            ((b"/b", b"/b"), []),
        ]
        for (start, end), keys in cases:
            found = await store.range(start, end)
            assert ([kv.key for kv in found.kvs], found.count, found.more) == (keys, len(keys), False), (
                start,
                end,
            )
        page = await store.range(b"", b"", limit=2)
        assert ([kv.key for kv in page.kvs], page.count, page.more, page.revision) == (
            [b"/a/1", b"/b"],
            5,
            True,
            6,
        )
        await store.close()

    run(main())


def test_too_large_and_closed(run, open_store):
    async def main():
        store = open_store()
        limit = 1536 * 1024
        await store.put(b"k", bytes(limit - 1))
        with pytest.raises(RequestTooLarge, match="^etcdserver: request is too large$"):
            await store.put(b"k", bytes(limit))
        assert store.revision == 2
        pending = store.put(b"last", b"")
        await store.close()
        assert (await pending).mod_revision == 3
        for write in (store.put(b"k", b""), store.delete(b"k"), store.txn([]), store.lease_grant(1)):
            with pytest.raises(StoreClosed):
                await write

    run(main())


def test_a_cancelled_writer_does_not_undo_its_write(run, open_store):
    async def main():
        store = open_store()
        task = asyncio.ensure_future(store.put(b"k", b"v"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.put(b"other", b"")
        assert (await store.get(b"k")).value == b"v"
        await store.close()

    run(main())
