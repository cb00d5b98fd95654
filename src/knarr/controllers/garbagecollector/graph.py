"""Who depends on whom, by uid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.api.resources import Resource

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


class Item(NamedTuple):
    """One object, for good: another of its name has another uid."""

    group: str
    resource: str
    namespace: str
    name: str
    uid: str


def item_of(row: Resource, obj: Any) -> Item:
    meta = obj.metadata
    return Item(row.group, row.name, meta.namespace or "", meta.name or "", meta.uid or "")


class Graph:
    """The dependents of every owner, whether the owner exists or not."""

    def __init__(self) -> None:
        self._dependents: dict[str, dict[str, Item]] = {}

    def enter(self, item: Item, refs: Iterable[Any]) -> None:
        """`item` has these owners."""
        for ref in refs:
            self._dependents.setdefault(ref.uid, {})[item.uid] = item

    def leave(self, item: Item, refs: Iterable[Any]) -> None:
        """`item` has these owners no more."""
        for ref in refs:
            if (known := self._dependents.get(ref.uid)) is not None:
                known.pop(item.uid, None)
                if not known:
                    del self._dependents[ref.uid]

    def dependents(self, uid: str) -> list[Item]:
        """In the order in which they came."""
        return list(self._dependents.get(uid, {}).values())

    def has_dependents(self, uid: str) -> bool:
        return uid in self._dependents

    def __len__(self) -> int:
        """Owners that somebody names."""
        return len(self._dependents)


# -- what can be said of metadata ------------------------------------------------------------------------------


def waits_for_dependents(meta: Any) -> bool:
    """Being deleted in the foreground: it goes after what it owns."""
    return meta.deletionTimestamp is not None and FOREGROUND in meta.finalizers


def waits_for_orphaning(meta: Any) -> bool:
    """Being deleted, and what it owns is to stay."""
    return meta.deletionTimestamp is not None and ORPHAN in meta.finalizers


def reference_to(meta: Any, uid: str) -> Any | None:
    for ref in meta.ownerReferences:
        if ref.uid == uid:
            return ref
    return None


def blocks(meta: Any, owner_uid: str) -> bool:
    """The owner may not go before this object."""
    ref = reference_to(meta, owner_uid)
    return ref is not None and bool(ref.blockOwnerDeletion)


def unblocked(before: Iterable[Any], after: Iterable[Any]) -> list[str]:
    """The uids of owners that were held by one of the references `before` and are not by those `after`."""
    held = {ref.uid for ref in after if ref.blockOwnerDeletion}
    return [ref.uid for ref in before if ref.blockOwnerDeletion and ref.uid not in held]
