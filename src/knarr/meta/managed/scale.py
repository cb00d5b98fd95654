"""Entries of an object as its scale subresource sees them, and back (autoscaling/v1 Scale)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knarr.meta.managed import entries as e
from knarr.meta.managed import fieldset
from knarr.meta.managed.entries import Entry

SCALE_VERSION = "autoscaling/v1"
REPLICAS_IN_SCALE = ("f:spec", "f:replicas")


class ScaleEntries:
    """Moves the ownership of the replicas field between an object and its scale.

    `replicas_paths` maps each apiVersion of the object to the field's path there (`("spec", "replicas")`), or to
    None in a version without one.
    """

    def __init__(
        self, parent: list[Entry] | None, api_version: str, replicas_paths: Mapping[str, Sequence[str] | None]
    ) -> None:
        self._parent = e.one_per_manager(parent or [])
        self._api_version = api_version
        self._paths = {
            v: [f"f:{name}" for name in path] if path else None for v, path in replicas_paths.items()
        }

    def to_scale(self) -> list[Entry]:
        """Entries for the Scale: those that own the replicas."""
        fields = fieldset.from_paths([REPLICAS_IN_SCALE])
        return sorted(
            (
                e.new_entry(e.identity_of(entry), SCALE_VERSION, fields, entry.get("time"))
                for entry in self._parent
                if (path := self._paths.get(entry["apiVersion"]))
                and fieldset.includes(entry["fieldsV1"], path)
            ),
            key=e.order,
        )

    def to_parent(self, scale_entries: list[Entry] | None) -> list[Entry]:
        """The object's entries after its scale has `scale_entries`.

        Update entries are told apart by version and so never recognised here: they lose the replicas to an entry of
        their own, without a time, as in Kubernetes.
        """
        owners = {e.identity_of(entry): entry for entry in scale_entries or []}
        times = {e.identity_of(entry): entry.get("time") for entry in self._parent}
        out: dict[e.Identity, Entry] = {}
        for entry in self._parent:
            if entry["apiVersion"] not in self._paths:
                continue
            identity = e.identity_of(entry)
            rest = self._unless_taken(entry, self._paths[entry["apiVersion"]], owners)
            if rest:
                out[identity] = entry if rest is entry["fieldsV1"] else {**entry, "fieldsV1": rest}
        path = self._paths[self._api_version]
        for identity, entry in owners.items():
            if path and fieldset.includes(entry["fieldsV1"], REPLICAS_IN_SCALE):
                fields = fieldset.from_paths([path])
                out[identity] = e.new_entry(identity, self._api_version, fields, times.get(identity))
        return sorted(out.values(), key=e.order)

    @staticmethod
    def _unless_taken(entry: Entry, path: list[str] | None, owners: dict[e.Identity, Entry]) -> fieldset.Tree:
        """The entry's fields, without the replicas when the scale no longer has this owner."""
        fields = entry["fieldsV1"]
        if not path or not fieldset.includes(fields, path):
            return fields
        if owners.pop(e.identity_of(entry), None):
            return fields
        return fieldset.difference(fields, fieldset.from_paths([path]))
