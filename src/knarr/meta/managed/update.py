"""What a create, update or patch does to managedFields: whoever writes a field takes it over."""

from __future__ import annotations

from typing import Any

from knarr.meta.managed import entries as e
from knarr.meta.managed.diff import NOTHING, Scope
from knarr.meta.managed.entries import Entry
from knarr.meta.managed.node import ItemError
from knarr.meta.managed.ownership import Versions, cap_updates, give, store, take_away
from knarr.meta.managed.schema import zero_beside

Value = dict[str, Any]


def update(
    versions: Versions, scope: Scope, live: Value | None, new: Value, who: e.Identity, now: str
) -> None:
    """Sets the entries of `new`; `live` is None on create. Never fails: in doubt the live entries stay."""
    metadata = new["metadata"]
    kept = (live["metadata"].get("managedFields") if live else None) or []
    before = start(metadata.pop("managedFields", None), kept, ignore=bool(who[3]))
    if not before and live is not None:
        # owners were reset or never known; tracking begins again with the first apply
        return
    try:
        store(metadata, changed(versions, scope, live, new, before, who, now))
    except ItemError:
        store(metadata, kept)


def start(sent: Any, kept: list[Entry], ignore: bool) -> list[Entry]:
    """The entries to begin from: what the client sent, when it is valid and not empty, otherwise the live ones.

    `ignore`: a subresource does not let clients write entries.
    """
    if ignore or sent is None or sent == kept:
        return kept
    if e.is_reset(sent):
        return []
    try:
        return e.decode(sent) or kept
    except ValueError:
        return kept


def changed(
    versions: Versions,
    scope: Scope,
    live: Value | None,
    new: Value,
    before: list[Entry],
    who: e.Identity,
    now: str,
) -> list[Entry]:
    """The entries after `new` was written over `live`. ItemError for an object that cannot be compared."""
    schema = versions.schema
    old = zero_beside(schema.zero, new) if live is None else live
    difference = scope.compare(schema, old, new)
    if (
        difference is NOTHING
        and not schema.reconciles
        and all(entry["apiVersion"] == versions.api_version and entry.get("fieldsV1") for entry in before)
    ):
        return before
    before = versions.reconciled(e.one_per_manager(before))
    left = take_away(before, versions.differences(scope, difference, live, new))
    if difference.written:
        give(left, who, versions.api_version, difference.written, now)
    return cap_updates(left)
