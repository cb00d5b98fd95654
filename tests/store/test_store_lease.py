"""Leases, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from knarr.store.base import LeaseExists, LeaseNotFound


def test_keys_go_with_their_lease(run, open_store):
    async def main():
        store = open_store()
        lease = await store.lease_grant(10)
        await store.put(b"a", b"", lease=lease.id)
        await store.put(b"b", b"", lease=lease.id)
        await store.put(b"kept", b"", lease=lease.id)
        await store.put(b"kept", b"")  # unbound by a put without the lease
        await store.put(b"deleted", b"", lease=lease.id)
        await store.delete(b"deleted")
        deletions = []
        store.watch(0, lambda events, _: deletions.extend(events))
        await asyncio.sleep(9.9)
        assert (await store.range(b"", b"")).count == 3
        await asyncio.sleep(0.2)
        await store.txn([], [])
        assert [kv.key for kv in (await store.range(b"", b"")).kvs] == [b"kept"]
        assert [(event.kv.key, event.kv.value) for event in deletions] == [(b"a", None), (b"b", None)]
        assert len({event.kv.mod_revision for event in deletions}) == 1
        assert store.leases() == []
        await store.close()

    run(main())


def test_keepalive_starts_the_time_anew(run, open_store):
    async def main():
        store = open_store()
        lease = await store.lease_grant(10, id=77)
        await store.put(b"a", b"", lease=77)
        for _ in range(5):
            await asyncio.sleep(8)
            assert store.lease_keepalive(77) == 10
        assert await store.get(b"a") is not None
        (listed,) = store.leases()
        assert (listed.id, listed.ttl, listed.remaining, listed.keys) == (lease.id, 10, 10, (b"a",))
        await asyncio.sleep(11)
        assert await store.get(b"a") is None
        with pytest.raises(LeaseNotFound):
            store.lease_keepalive(77)
        await store.close()

    run(main())


def test_revoke_and_errors(run, open_store):
    async def main():
        store = open_store()
        await store.lease_grant(10, id=5)
        with pytest.raises(LeaseExists):
            await store.lease_grant(10, id=5)
        other = await store.lease_grant(10)
        assert other.id != 5
        with pytest.raises(LeaseNotFound):
            await store.put(b"a", b"", lease=404)
        moved = store.put(b"moved", b"", lease=5)
        store.put(b"moved", b"", lease=other.id)
        store.put(b"pending", b"", lease=5)
        await store.lease_revoke(5)
        assert (await moved).lease == 5
        assert (await store.get(b"moved")).lease == other.id
        assert await store.get(b"pending") is None
        with pytest.raises(LeaseNotFound):
            await store.lease_revoke(5)
        await store.close()

    run(main())


def test_many_leases_expire_in_order(run, open_store):
    async def main():
        store = open_store()
        for ttl in (30, 10, 20):
            lease = await store.lease_grant(ttl)
            await store.put(b"%d" % ttl, b"", lease=lease.id)
        gone = []
        store.watch(0, lambda events, _: gone.extend(event.kv.key for event in events))
        await asyncio.sleep(31)
        await store.txn([], [])
        assert gone == [b"10", b"20", b"30"]
        await store.close()

    run(main())
