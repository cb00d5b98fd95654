"""The SQLite file: reopening, refusing what cannot be opened, failing, being killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from knarr.store.base import StoreCorrupt, StoreFailed, StoreLocked, StoreNewer, StoreUnwritable
from knarr.store.sqlite import SqliteStore


def test_everything_is_there_again(tmp_path):
    path = tmp_path / "data" / "store.db"

    async def write():
        store = SqliteStore(path)
        lease = await store.lease_grant(60, id=9)
        await store.put(b"leased", b"", lease=lease.id)
        await store.put(b"a", b"1")
        await store.put(b"a", b"2")
        await store.delete(b"leased")
        await store.put(b"leased", b"again", lease=9)
        await store.compact(4)
        await store.close()

    async def read():
        store = SqliteStore(path)
        assert (store.revision, store.compact_revision) == (6, 4)
        assert (await store.get(b"a")).version == 2
        (lease,) = store.leases()
        assert (lease.id, lease.ttl, lease.keys) == (9, 60, (b"leased",))
        assert [e.kv.mod_revision for e in store.replay(5)] == [5, 6]
        assert (await store.put(b"a", b"3", expect=4)).mod_revision == 7
        await store.lease_revoke(9)
        assert await store.get(b"leased") is None
        await store.close()
        store = SqliteStore(path)
        assert store.leases() == []
        await store.compact(store.revision)
        await store.close()
        assert sqlite3.connect(path).execute("SELECT key, value FROM kv").fetchall() == [(b"a", b"3")]

    asyncio.run(write())
    asyncio.run(read())


def test_a_compaction_that_was_cut_short_is_finished_by_the_next(tmp_path):
    path = tmp_path / "store.db"

    async def first():
        store = SqliteStore(path)
        for i in range(5):
            await store.put(b"a", b"%d" % i)
        await store.put(b"b", b"")
        await store.delete(b"b")
        await store.close()

    async def second():
        store = SqliteStore(path)
        assert (await store.get(b"a", 8)).value == b"4"
        assert store.compact_revision == 8
        await store.put(b"c", b"")
        await store.compact(9)
        await store.close()

    asyncio.run(first())
    db = sqlite3.connect(path)  # as if killed after the compact revision was written and before the rows went
    db.execute("INSERT INTO meta VALUES('compact', 8)")
    db.commit()
    db.close()
    asyncio.run(second())
    assert sqlite3.connect(path).execute("SELECT key FROM kv ORDER BY id").fetchall() == [(b"a",), (b"c",)]


def refused(path, error):
    with pytest.raises(error) as refusal:
        SqliteStore(path, lock_seconds=0.01)
    message = str(refusal.value)
    assert str(path.parent) in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [b"not a database, but long enough to look like one " * 200, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_file_that_is_no_database(tmp_path, content):
    path = tmp_path / "store.db"
    path.write_bytes(content)
    refused(path, StoreCorrupt)
    assert path.read_bytes() == content


def test_a_damaged_file(tmp_path):
    path = tmp_path / "store.db"

    async def fill():
        store = SqliteStore(path)
        for i in range(50):
            await store.put(b"%d" % i, bytes(4000))
        await store.close()

    asyncio.run(fill())
    with path.open("r+b") as file:
        file.seek(16384 * 3)
        file.write(b"\xa5" * 16384 * 6)
    refused(path, StoreCorrupt)


def test_a_database_of_another_program(tmp_path):
    path = tmp_path / "store.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE songs(name)")
    db.commit()
    db.close()
    refused(path, StoreCorrupt)


def test_a_newer_format(tmp_path):
    path = tmp_path / "store.db"
    asyncio.run(SqliteStore(path).close())
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value=99 WHERE name='format'")
    db.commit()
    db.close()
    refused(path, StoreNewer)


def test_unwritable_places(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    refused(blocked / "data" / "store.db", StoreUnwritable)
    directory = tmp_path / "directory.db"
    directory.mkdir()
    refused(directory, StoreUnwritable)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory(tmp_path):
    tmp_path.chmod(0o500)
    refused(tmp_path / "store.db", StoreUnwritable)


def test_a_file_in_use(tmp_path):
    path = tmp_path / "store.db"

    async def main():
        store = SqliteStore(path)
        refused(path, StoreLocked)
        await store.put(b"still", b"works")
        await store.close()
        await SqliteStore(path).close()

    asyncio.run(main())


def test_a_failed_commit_stops_the_store(tmp_path):
    async def main():
        told = []
        store = SqliteStore(tmp_path / "store.db", on_failure=told.append)
        await store.put(b"before", b"")
        seen = []
        store.watch(0, lambda events, _: seen.extend(events))

        def full(*_):
            raise sqlite3.OperationalError("database or disk is full")

        store._database.append = full
        writes = [
            store.put(b"a", b""),
            store.put(b"b", b"", expect=5),
            store.delete(b"before"),
            store.txn([]),
        ]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(answer).__name__ for answer in answers] == [
            "StoreFailed",
            "CompareFailed",
            "StoreFailed",
            "StoreFailed",
        ]
        with pytest.raises(StoreFailed, match="disk is full"):
            await store.put(b"later", b"")
        with pytest.raises(StoreFailed):
            await store.delete(b"before")
        with pytest.raises(StoreFailed):
            await store.txn([])
        with pytest.raises(StoreFailed):
            await store.lease_grant(1)
        assert told == [store.failure]
        assert seen == []
        assert await store.get(b"a") is None
        assert await store.get(b"before") is not None
        await store.close()
        store = SqliteStore(tmp_path / "store.db")
        assert [kv.key for kv in (await store.range(b"", b"")).kvs] == [b"before"]
        await store.close()

    asyncio.run(main())


KILLED = """
import asyncio, sys
from knarr.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    async def writer(n):
        i = 0
        while True:
            kv = await store.put(b"/%d/%d" % (n, i % 50), b"%d" % i)
            sys.stdout.write(f"{kv.key.decode()} {i} {kv.mod_revision}\\n")
            sys.stdout.flush()
            i += 1
            if i % 40 == 0 and n == 0:
                await store.compact(store.revision - 20)
    await asyncio.gather(*[writer(n) for n in range(8)])

asyncio.run(main())
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    path = tmp_path / "store.db"
    for lines in (1, 200, 1500):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        process.wait()
        acknowledged = {}
        for line in said:
            key, value, revision = line.split()
            acknowledged[key.encode()] = (value.encode(), int(revision))

        async def check(acknowledged=acknowledged):
            store = SqliteStore(path, lock_seconds=5)
            for key, (value, revision) in acknowledged.items():
                kv = await store.get(key)
                assert kv is not None, key
                assert kv.mod_revision > revision or (kv.mod_revision, kv.value) == (revision, value)
            await store.close()

        asyncio.run(check())
