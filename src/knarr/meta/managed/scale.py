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
        self._parent = parent or []
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

        Who owns the replicas there and not here gets an entry without a time, as in Kubernetes.
        """
        owners = {self._identity(entry): entry for entry in scale_entries or []}
        out: dict[e.Identity, Entry] = {}
        for entry in self._parent:
            if entry["apiVersion"] not in self._paths:
                continue
            path = self._paths[entry["apiVersion"]]
            identity = e.identity_of(entry)
            if not path or not fieldset.includes(entry["fieldsV1"], path):
                out[identity] = entry
            elif owners.pop(self._identity(entry), None):
                out[identity] = entry
            else:
                rest = fieldset.difference(entry["fieldsV1"], fieldset.from_paths([path]))
                if rest:
                    out[identity] = {**entry, "fieldsV1": rest}
        path = self._paths[self._api_version]
        for entry in owners.values():
            if path and fieldset.includes(entry["fieldsV1"], REPLICAS_IN_SCALE):
                manager, operation, _, subresource = e.identity_of(entry)
                version = self._api_version if operation == "Update" else ""
                identity = (manager, operation, version, subresource)
                fields = fieldset.from_paths([path])
                if identity in out:
                    fields = fieldset.ordered(fieldset.union(out[identity]["fieldsV1"], fields))
                out[identity] = e.new_entry(identity, self._api_version, fields, None)
        return sorted(out.values(), key=e.order)

    @staticmethod
    def _identity(entry: Entry) -> tuple[str, str, str]:
        return entry.get("manager", ""), entry["operation"], entry.get("subresource", "")
