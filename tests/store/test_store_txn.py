"""Transactions: compare, then, else."""

from __future__ import annotations

import pytest

from knarr.store.base import (
    Compare,
    Delete,
    DuplicateKey,
    Get,
    LeaseNotFound,
    Put,
    RequestTooLarge,
    TooManyOps,
)


@pytest.mark.parametrize(
    ("key", "target", "op", "value", "holds"),
    [
        (b"there", "mod_revision", "=", 3, True),
        (b"there", "mod_revision", "!=", 3, False),
        (b"there", "mod_revision", "<", 4, True),
        (b"there", "mod_revision", ">", 3, False),
        (b"there", "create_revision", "=", 2, True),
        (b"there", "version", "=", 2, True),
        (b"there", "version", ">", 1, True),
        (b"there", "lease", "=", 0, True),
        (b"there", "value", "=", b"new", True),
        (b"there", "value", "!=", b"new", False),
        (b"there", "value", "<", b"new", False),
        (b"there", "value", ">", b"neu", True),
        (b"missing", "mod_revision", "=", 0, True),
        (b"missing", "version", "=", 0, True),
        (b"missing", "create_revision", ">", 0, False),
        (b"missing", "value", "=", b"", False),
        (b"missing", "value", "!=", b"x", False),
    ],
)
def test_compares(run, open_store, key, target, op, value, holds):
    async def main():
        store = open_store()
        await store.put(b"there", b"old")
        await store.put(b"there", b"new")
        result = await store.txn([Compare(key, target, op, value)], [Put(b"yes", b"")], [Put(b"no", b"")])
        assert result.succeeded is holds
        assert (await store.get(b"yes") is not None) is holds
        assert (await store.get(b"no") is None) is holds
        await store.close()

    run(main())


def test_one_revision_for_all_changes_and_reads_in_between(run, open_store):
    async def main():
        store = open_store()
        await store.put(b"/a", b"1")
        await store.put(b"/b", b"1")
        events = []
        store.watch(0, lambda batch, _: events.extend(batch))
        result = await store.txn(
            [],
            [
                Get(b"/", b"0"),
                Put(b"/c", b"1"),
                Delete(b"/a"),
                Get(b"/", b"0"),
                Get(b"/", b"0", limit=1),
                Put(b"/b", b"2"),
            ],
        )
        before, put, deleted, after, page, _ = result.responses
        assert [kv.key for kv in before.kvs] == [b"/a", b"/b"]
        assert (put.mod_revision, put.version) == (4, 1)
        assert [(kv.key, kv.mod_revision, kv.value) for kv in deleted] == [(b"/a", 4, None)]
        assert [kv.key for kv in after.kvs] == [b"/b", b"/c"]
        assert ([kv.key for kv in page.kvs], page.more, page.count) == ([b"/b"], True, 2)
        assert {event.kv.mod_revision for event in events} == {4} == {result.revision} == {store.revision}
        assert [event.kv.key for event in events] == [b"/c", b"/a", b"/b"]
        await store.close()

    run(main())


def test_compares_see_writes_that_are_not_durable_yet(run, open_store):
    async def main():
        store = open_store()
        first = store.put(b"lock", b"a")
        second = store.txn([Compare(b"lock", "version", "=", 0)], [Put(b"lock", b"b")], [Get(b"lock")])
        await first
        result = await second
        assert not result.succeeded
        assert result.responses[0].kvs[0].value == b"a"
        assert result.responses[0].revision == result.revision == 2
        await store.close()

    run(main())


def test_delete_range_deletes_what_is_pending_too(run, open_store):
    async def main():
        store = open_store()
        await store.put(b"/1", b"")
        store.put(b"/2", b"")
        store.delete(b"/1")
        result = await store.txn([], [Delete(b"/", b"0")])
        assert [kv.key for kv in result.responses[0]] == [b"/2"]
        assert (await store.range(b"/", b"0")).count == 0
        await store.close()

    run(main())


@pytest.mark.parametrize(
    ("ops", "error"),
    [
        ([Put(b"a", b""), Put(b"a", b"")], DuplicateKey),
        ([Put(b"a", b""), Delete(b"a")], DuplicateKey),
        ([Delete(b"a", b"c"), Put(b"b", b"")], DuplicateKey),
        ([Delete(b"a", b"\0"), Put(b"b", b"")], DuplicateKey),
        ([Put(b"%d" % i, b"") for i in range(129)], TooManyOps),
        ([Put(b"a", bytes(1 << 20)), Put(b"b", bytes(1 << 20))], RequestTooLarge),
        ([Put(b"a", b""), Put(b"b", b"", lease=7)], LeaseNotFound),
    ],
)
def test_refused_transactions_do_nothing(run, open_store, ops, error):
    async def main():
        store = open_store()
        with pytest.raises(error):
            await store.txn([], ops)
        assert store.revision == 1
        kv = await store.put(b"a", b"")
        assert kv.mod_revision == 2
        await store.close()

    run(main())
