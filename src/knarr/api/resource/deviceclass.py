"""DeviceClass: devices that an administrator offers under one name."""

from __future__ import annotations

from knarr.api.kind import AGE, NAME, Kind, Object
from knarr.api.resource import deviceselectors
from knarr.meta.fielderrors import FieldError


class DeviceClass(Kind):
    tracks_generation = True
    columns = (NAME, AGE)

    def validate(self, obj: Object) -> list[FieldError]:
        return deviceselectors.errors(obj["spec"].get("selectors"), "spec.selectors")
