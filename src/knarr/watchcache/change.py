"""One change of one object, and the events it is to different watchers; each is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from knarr.watchcache.entry import METADATA, Entry

T = TypeVar("T")


class WatchEvent:
    """ADDED, MODIFIED, DELETED or BOOKMARK of one entry; `prev` is the entry before, or None."""

    __slots__ = ("_encoded", "_json", "entry", "prev", "type")

    def __init__(self, type: str, entry: Entry, prev: Entry | None = None) -> None:
        self.type = type
        self.entry = entry
        self.prev = prev
        self._json: bytes | None = None
        self._encoded: dict[Hashable, Any] | None = None

    @property
    def revision(self) -> int:
        return self.entry.kv.mod_revision

    @property
    def json(self) -> bytes:
        """One line of a JSON watch stream."""
        line = self._json
        if line is None:
            line = self._json = self._line()
        return line

    def _line(self) -> bytes:
        value, revision = self.entry.value, self.entry.kv.mod_revision
        at = value.index(METADATA) + 12
        comma = b"" if value[at : at + 1] == b"}" else b","
        head = b'{"type":"%b","object":' % self.type.encode()
        return b'%b%b"resourceVersion":"%d"%b%b}\n' % (head, value[:at], revision, comma, value[at:])

    def encoded(self, key: Hashable, builder: Callable[[WatchEvent], T]) -> T:
        """`builder(event)`, called once per `key`: Table, PartialObjectMetadata, another version, protobuf."""
        kept = self._encoded
        if kept is None:
            kept = self._encoded = {}
        elif key in kept:
            return kept[key]
        built = kept[key] = builder(self)
        return built

    def __repr__(self) -> str:
        return f"WatchEvent({self.type}, {self.entry.key!r}, {self.revision})"


class Change:
    """What happened to one object: `entry` is what it is now (None: deleted), `prev` what it was (None: created)."""

    __slots__ = ("_added", "_deleted", "_modified", "entry", "prev", "revision")

    def __init__(self, entry: Entry | None, prev: Entry | None, revision: int) -> None:
        self.entry = entry
        self.prev = prev
        self.revision = revision
        self._added: WatchEvent | None = None
        self._modified: WatchEvent | None = None
        self._deleted: WatchEvent | None = None

    @property
    def added(self) -> WatchEvent:
        """It exists now, or began to match a selector."""
        if self._added is None:
            self._added = WatchEvent("ADDED", self.entry, self.prev)  # type: ignore[arg-type]
        return self._added

    @property
    def modified(self) -> WatchEvent:
        if self._modified is None:
            self._modified = WatchEvent("MODIFIED", self.entry, self.prev)  # type: ignore[arg-type]
        return self._modified

    @property
    def deleted(self) -> WatchEvent:
        """It is gone, or ceased to match: the last state that matched, under the revision of this change."""
        if self._deleted is None:
            prev = self.prev
            assert prev is not None
            self._deleted = WatchEvent("DELETED", prev.at(self.revision), prev)
        return self._deleted

    @property
    def plain(self) -> WatchEvent:
        """What it is to a watcher of everything."""
        if self.entry is None:
            return self.deleted
        return self.added if self.prev is None else self.modified

    def settle(self) -> None:
        """The fan-out is done: let go of encodings. A replay (rare) builds them again."""
        self._added = self._modified = self._deleted = None
        if self.prev is not None:
            self.prev.forget()
