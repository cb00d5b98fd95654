"""Which objects a list or watch is about, and what a change means to who sees only those."""

from __future__ import annotations

from typing import Any, Protocol

from knarr.watchcache.change import Change, WatchEvent
from knarr.watchcache.entry import Entry


class LabelSelector(Protocol):
    """meta.labels.Selector."""

    @property
    def empty(self) -> bool: ...

    @property
    def matches(self) -> Any: ...


class FieldSelector(Protocol):
    """meta.fields.FieldSelector."""

    @property
    def empty(self) -> bool: ...

    @property
    def matches(self) -> Any: ...

    def exact(self, field: str) -> str | None: ...


class Selection:
    """A namespace ("" is all), a name ("" is all), a label and a field selector (None selects all).

    `metadata.name=...` and `metadata.namespace=...` narrow the selection like the arguments do. Selections are equal
    when all four parts are; their watchers then share all work.
    """

    __slots__ = ("_fields", "_identity", "_labels", "exact", "fields", "labels", "name", "namespace")

    def __init__(
        self,
        namespace: str = "",
        name: str = "",
        labels: LabelSelector | None = None,
        fields: FieldSelector | None = None,
    ) -> None:
        if labels is not None and labels.empty:
            labels = None
        if fields is not None and fields.empty:
            fields = None
        if fields is not None:
            name = name or fields.exact("metadata.name") or ""
            namespace = namespace or fields.exact("metadata.namespace") or ""
        self.namespace = namespace
        self.name = name
        self.labels = labels
        self.fields = fields
        self._labels = labels.matches if labels is not None else None
        self._fields = fields.matches if fields is not None else None
        #: nothing but namespace and name matter
        self.exact = labels is None and fields is None
        self._identity = (namespace, name, labels, fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selection) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"Selection{self._identity!r}"

    def matches(self, entry: Entry) -> bool:
        """Whether the entry is selected."""
        if self.name and entry.name != self.name:
            return False
        if self.namespace and entry.namespace != self.namespace:
            return False
        return self.exact or self.selects(entry)

    def selects(self, entry: Entry) -> bool:
        """Whether the selectors choose an entry whose namespace and name are already known to fit."""
        if self._labels is not None and not self._labels(entry.labels):
            return False
        return self._fields is None or self._fields(entry.fields)

    def translate(self, change: Change) -> WatchEvent | None:
        """The event that a change of an object with a fitting namespace and name is, or None.

        An object that begins to match is ADDED, one that ceases to is DELETED with the last state that matched.
        """
        entry, prev = change.entry, change.prev
        if self.exact:
            return change.plain
        is_in = entry is not None and self.selects(entry)
        was_in = prev is not None and self.selects(prev)
        if is_in:
            return change.modified if was_in else change.added
        return change.deleted if was_in else None

    def required(self, field: str) -> str | None:
        """The one value that a field must have, if the field selector says so."""
        return self.fields.exact(field) if self.fields is not None else None


EVERYTHING = Selection()
