"""The SQLite file of a store: opening it, reading it once, appending to it. Everything here blocks.

One table, appended to in revision order and without a second index: `id` is the revision shifted left by 16 bits plus
the position of the change within its revision. What a key is now is known in memory, so nothing is ever looked up.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from knarr.store.base import KV, Event
from knarr.store.errors import StoreCorrupt, StoreLocked, StoreNewer, StoreUnwritable

#: the newest layout of the file that this code reads and the one it writes
FORMAT = 1
#: bits of `id` that number the changes of one revision
POSITION_BITS = 16
_POSITIONS = 1 << POSITION_BITS

_PRAGMAS = (
    "page_size=16384",
    "locking_mode=EXCLUSIVE",  # before the journal mode: then the log's index lives in memory, not in a third file
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=2000",
    "cache_size=-8192",
    "temp_store=MEMORY",
)
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS kv(id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB,"
    " create_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS lease(id INTEGER PRIMARY KEY, ttl REAL NOT NULL)",
)


#: (rows, statement): each statement gives the interpreter's lock away once, and must wait to have it again
_INSERTS = tuple((n, f"INSERT INTO kv VALUES{','.join(['(?,?,?,?,?,?)'] * n)}") for n in (64, 16, 4, 1))


class Database:
    """An open store file. One thread at a time."""

    def __init__(self, path: Path, *, lock_seconds: float = 0.2) -> None:
        """Open or create; raises StoreLocked (after `lock_seconds`), StoreCorrupt, StoreNewer, StoreUnwritable."""
        self.path = path
        self._prepare_directory()
        try:
            self._db = sqlite3.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=32,
                timeout=lock_seconds,
            )
        except sqlite3.Error as error:
            raise self._explain(error) from error
        try:
            self._open()
        except sqlite3.Error as error:
            self._db.close()
            raise self._explain(error) from error
        except BaseException:
            self._db.close()
            raise

    def _prepare_directory(self) -> None:
        directory = self.path.parent
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnwritable(
                f"The data directory {directory} cannot be created ({error.strerror}); choose another one or"
                " correct its permissions."
            ) from error
        if not os.access(directory, os.W_OK | os.X_OK) or (
            self.path.exists() and not os.access(self.path, os.W_OK)
        ):
            raise self._unwritable()

    def _open(self) -> None:
        for pragma in _PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")
        # The exclusive lock is taken by the first write, so write before anything is believed.
        self._db.execute("BEGIN IMMEDIATE")
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if tables and not {"kv", "meta"} <= tables:
            self._db.execute("ROLLBACK")
            raise self._corrupt("it is a database of another program")
        for statement in _SCHEMA:
            self._db.execute(statement)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES('format', ?)", (FORMAT,))
        found = self._meta("format")
        if found > FORMAT:
            self._db.execute("ROLLBACK")
            raise StoreNewer(
                f"The data in {self.path} has format {found}, written by a newer knarr, and this one reads up to"
                f" {FORMAT}; upgrade knarr or choose another data directory."
            )
        self._db.execute("UPDATE meta SET value=value WHERE name='format'")
        self._db.execute("COMMIT")

    def _meta(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
        return row[0] if row else 0

    # -- explaining ----------------------------------------------------------------------------------------

    def _explain(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreLocked(
                f"The data in {self.path} is in use by another process; stop that cluster first or choose another"
                " data directory."
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return self._corrupt(str(error))
        return self._unwritable(str(error))

    def _corrupt(self, why: str) -> StoreCorrupt:
        return StoreCorrupt(
            f"The data in {self.path} cannot be read ({why}); restore it from a backup, or move it away to start"
            " with an empty cluster."
        )

    def _unwritable(self, why: str = "permission denied") -> StoreUnwritable:
        return StoreUnwritable(
            f"The data file {self.path} cannot be written ({why}); choose another data directory, or correct its"
            " permissions and free space."
        )

    # -- reading -------------------------------------------------------------------------------------------

    def compact_revision(self) -> int:
        return self._meta("compact")

    def leases(self) -> list[tuple[int, float]]:
        return self._db.execute("SELECT id, ttl FROM lease ORDER BY id").fetchall()

    def kvs(self) -> Iterator[KV]:
        """Every kept change, in revision order. Raises StoreCorrupt."""
        bits = POSITION_BITS
        try:
            rows = self._db.execute(
                "SELECT key, value, create_revision, id, version, lease FROM kv ORDER BY id"
            )
            for key, value, create_revision, id, version, lease in rows:
                yield KV(key, value, create_revision, id >> bits, version, lease)
        except sqlite3.Error as error:
            raise self._explain(error) from error

    # -- writing -------------------------------------------------------------------------------------------

    def append(self, events: Iterable[Event], leases: Iterable[tuple[int, float | None]]) -> None:
        """One transaction; durable when this returns."""
        self._begin()
        try:
            rows = list(_rows(events))
            at = 0
            for count, statement in _INSERTS:
                while len(rows) - at >= count:
                    self._db.execute(statement, list(chain.from_iterable(rows[at : at + count])))
                    at += count
            for id, ttl in leases:
                if ttl is None:
                    self._db.execute("DELETE FROM lease WHERE id=?", (id,))
                else:
                    self._db.execute("INSERT OR REPLACE INTO lease VALUES(?,?)", (id, ttl))
        except BaseException:
            self._rollback()
            raise
        self._commit()

    def forget(self, gone: Iterable[KV], compact_revision: int) -> None:
        """Drop freed changes and remember how far the history is compacted; one transaction."""
        self._begin()
        try:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES('compact', ?)", (compact_revision,))
            self._db.executemany(
                "DELETE FROM kv WHERE id>=? AND id<? AND key=?",
                (
                    (kv.mod_revision << POSITION_BITS, (kv.mod_revision + 1) << POSITION_BITS, kv.key)
                    for kv in gone
                ),
            )
        except BaseException:
            self._rollback()
            raise
        self._commit()

    def _begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        self._db.close()


def _rows(events: Iterable[Event]) -> Iterator[tuple[int, bytes, bytes | None, int, int, int]]:
    revision = position = 0
    for event in events:
        kv = event.kv
        if kv.mod_revision == revision:
            position += 1
            if position == _POSITIONS:
                raise OverflowError(f"more than {_POSITIONS} changes in one revision")
        else:
            revision = kv.mod_revision
            position = 0
        yield (
            revision << POSITION_BITS | position,
            kv.key,
            kv.value,
            kv.create_revision,
            kv.version,
            kv.lease,
        )
