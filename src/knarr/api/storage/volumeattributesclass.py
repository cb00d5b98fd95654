"""VolumeAttributesClass: attributes of volumes that may change while they are in use."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.storage import parameters
from knarr.meta.fielderrors import FieldError, forbidden


class VolumeAttributesClass(Kind):
    columns = (
        NAME,
        Column("DriverName", doc="storage.v1.VolumeAttributesClass.driverName"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("driverName", "")

    def validate(self, obj: Object) -> list[FieldError]:
        errors = parameters.driver_errors("driverName", obj["driverName"])
        return errors + parameters.errors("parameters", obj.get("parameters"), may_be_empty=False)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        changed = [key for key in ("driverName", "parameters") if obj.get(key) != old.get(key)]
        return self.validate(obj) + [forbidden(key, f"updates to {key} are forbidden.") for key in changed]

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj["driverName"], printing.age(obj, now)]
