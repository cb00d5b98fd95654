"""How custom objects are written, where that is more than naming the storage version."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from knarr.api.apiextensions.schema.version import VersionSchema
from knarr.registry import encoding
from knarr.registry.storage import Object, Storage


class KeepsVersion(Storage):
    """Writes objects in the version they say they have: what is stored may be older than the storage version."""

    __slots__ = ()

    def encode(self, obj: Object, sent: bytes = b"") -> bytes:
        return encoding.encode_stored(obj, self.row.kind, obj["apiVersion"])


@dataclass(slots=True)
class Pruned(Storage):
    """Writes objects of a version whose schema is not the storage version's: what that one does not know is lost."""

    schema: VersionSchema | None = None

    def encode(self, obj: Object, sent: bytes = b"") -> bytes:
        assert self.schema is not None
        stored = orjson.loads(orjson.dumps(obj))
        self.schema.read(stored)
        return encoding.encode_stored(stored, self.row.kind, self.row.api_version)
