"""VolumeAttributesClass: attributes of volumes that may change while they are in use."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.storage import parameters
from knarr.meta.fielderrors import FieldError


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
        errors = checks.unchanged("driverName", obj["driverName"], old["driverName"])
        return errors + checks.unchanged("parameters", obj.get("parameters"), old.get("parameters"))

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj["driverName"], printing.age(obj, now)]
