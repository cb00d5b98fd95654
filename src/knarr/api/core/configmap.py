"""ConfigMap: text and bytes by key."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, too_long

#: ConfigMaps and Secrets alike
DATA_BYTES_MAX = 1024 * 1024
WHEN_IMMUTABLE = "field is immutable when `immutable` is set"


class ConfigMap(Kind):
    columns = (
        NAME,
        Column("Data", doc="core.v1.ConfigMap.data"),
        AGE,
    )

    def validate(self, obj: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        size = 0
        for key, text in data.items():
            if wrong := names.is_config_map_key(key):
                errors += checks.invalids(f"data[{key}]", key, wrong)
            if key in binary:
                errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
            size += names.byte_length(text)
        for key, encoded in binary.items():
            if wrong := names.is_config_map_key(key):
                errors += checks.invalids(f"binaryData[{key}]", key, wrong)
            size += decoded_length(encoded)
        if size > DATA_BYTES_MAX:
            # the whole object, which Go's empty path shows like this
            errors.append(too_long("[]", DATA_BYTES_MAX))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return immutable_errors(obj, old, ("data", "binaryData")) + self.validate(obj)

    def cells(self, obj: Object, now: float) -> list[Any]:
        count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
        return [obj["metadata"]["name"], count, printing.age(obj, now)]


def decoded_length(base64: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(base64) // 4 * 3 - base64.count("=", -2)


def immutable_errors(obj: Object, old: Object, keys: tuple[str, ...]) -> list[FieldError]:
    """What an object that was made immutable may not change."""
    if not old.get("immutable"):
        return []
    changed = [key for key in keys if (obj.get(key) or {}) != (old.get(key) or {})]
    if not obj.get("immutable"):
        changed.insert(0, "immutable")
    return [forbidden(key, WHEN_IMMUTABLE) for key in changed]
