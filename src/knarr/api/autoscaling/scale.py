"""Scale: the subresource that shows and sets how many replicas a workload has."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.fielderrors import FieldError


class Scale(Kind):
    columns = (
        NAME._replace(priority=0, format=""),
        Column("Desired", "integer", doc="autoscaling.v1.ScaleSpec.replicas"),
        Column("Available", "integer", doc="autoscaling.v1.ScaleStatus.replicas"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        obj.setdefault("status", {}).setdefault("replicas", 0)

    def validate(self, obj: Object) -> list[FieldError]:
        return checks.not_negative("spec.replicas", obj["spec"].get("replicas"))

    def cells(self, obj: Object, now: float) -> list[Any]:
        replicas = obj["spec"].get("replicas", 0)
        return [obj["metadata"]["name"], replicas, obj["status"].get("replicas", 0), printing.age(obj, now)]
