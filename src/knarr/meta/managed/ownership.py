"""Who owns what after an object changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.meta.managed import fieldset
from knarr.meta.managed.diff import Difference, Scope
from knarr.meta.managed.entries import Entry, Identity, identity_of, identity_text, new_entry, order
from knarr.meta.managed.fieldset import Tree
from knarr.meta.managed.schema import TypeSchema

#: (object, apiVersion) -> (its schema there, the object there); None when the kind has no such version
Converter = Callable[[dict[str, Any], str], tuple[TypeSchema, dict[str, Any]] | None]
MAX_UPDATE_MANAGERS = 10
OLD_UPDATES = "ancient-changes"


class Versions:
    """One object in every version that entries were written in."""

    def __init__(self, schema: TypeSchema, api_version: str, convert: Converter | None) -> None:
        self.schema = schema
        self.api_version = api_version
        self._convert = convert

    def at(self, value: dict[str, Any], version: str) -> tuple[TypeSchema, dict[str, Any]] | None:
        """The schema and the object in that version; None when there is no such version."""
        if version == self.api_version and (
            self._convert is None or value.get("apiVersion", version) == version
        ):
            return self.schema, value
        return self._convert(value, version) if self._convert else None

    def reconciled(self, entries: list[Entry]) -> list[Entry]:
        """The entries as they would be had they been written under the schema of now.

        Lists and maps that were owned item by item and are owned as a whole now belong to who owned any of it.
        """
        if not self.schema.reconciles:
            return entries
        return [self._reconcile(entry) for entry in entries]

    def _reconcile(self, entry: Entry) -> Entry:
        if entry["apiVersion"] != self.api_version:
            return entry
        fields = entry.get("fieldsV1") or {}
        now = self.schema.root.reconcile(fields)
        return entry if now is fields else {**entry, "fieldsV1": now}

    def differences(
        self, scope: Scope, here: Difference, old: dict[str, Any] | None, new: dict[str, Any]
    ) -> Callable[[str], Difference | None]:
        """A function version -> difference between `old` and `new` there, computed when first asked for."""
        found: dict[str, Difference | None] = {self.api_version: here}

        def at(version: str) -> Difference | None:
            if version not in found:
                found[version] = self._compare(scope, version, old, new)
            return found[version]

        return at

    def _compare(
        self, scope: Scope, version: str, old: dict[str, Any] | None, new: dict[str, Any]
    ) -> Difference | None:
        after = self.at(new, version)
        if after is None:
            return None
        before = (after[0], after[0].zero) if old is None else self.at(old, version)
        return scope.compare(after[0], before[1], after[1]) if before else None


def take_away(entries: list[Entry], differences: Callable[[str], Difference | None]) -> list[Entry]:
    """The entries without the fields that changed; those left with nothing go, as do those of unknown versions."""
    left = []
    for entry in entries:
        difference = differences(entry["apiVersion"])
        if difference is None:
            continue
        fields = entry.get("fieldsV1") or {}
        rest = fieldset.difference(fields, difference.changed)
        if rest is fields and fields:
            left.append(entry)
        elif rest:
            left.append({**entry, "fieldsV1": rest})
    return left


def give(entries: list[Entry], identity: Identity, version: str, fields: Tree, now: str) -> None:
    """Adds fields to a manager's entry, which is made when it has none; the entry is as of now."""
    for i, entry in enumerate(entries):
        if identity_of(entry) == identity:
            del entries[i]
            fields = fieldset.union(fields, entry["fieldsV1"])
            break
    entries.append(new_entry(identity, version, fields, now))


def cap_updates(entries: list[Entry]) -> list[Entry]:
    """Merges the oldest update entries of each version until no more than ten update entries are left."""
    updates = [entry for entry in entries if entry["operation"] == "Update"]
    excess = len(updates) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return entries
    updates.sort(key=lambda entry: (entry.get("time") or "", identity_text(identity_of(entry))))
    left = {identity_of(entry): entry for entry in entries}
    oldest: dict[str, Identity] = {}
    for entry in updates:
        if excess <= 0:
            break
        version, identity = entry["apiVersion"], identity_of(entry)
        if version not in oldest:
            oldest[version] = identity
            continue
        bucket = (OLD_UPDATES, "Update", version, "")
        into = left.get(bucket) or left.pop(oldest[version])
        left.pop(identity, None)
        fields = fieldset.ordered(fieldset.union(entry["fieldsV1"], into["fieldsV1"]))
        left[bucket] = new_entry(bucket, version, fields, entry.get("time"))
        excess -= 1
    return list(left.values())


def store(metadata: dict[str, Any], entries: list[Entry]) -> None:
    """Writes the entries into an object's metadata, in order; none at all when there are none."""
    if entries:
        metadata["managedFields"] = sorted(entries, key=order) if len(entries) > 1 else entries
    else:
        metadata.pop("managedFields", None)
