"""Controller revisions: what a stateful or daemon set looked like once."""

from __future__ import annotations

from typing import Any

from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import NONE, age
from knarr.meta.fielderrors import FieldError, invalid, required


class ControllerRevision(Kind):
    raw_fields = ("data",)
    columns = (
        NAME,
        Column(
            "Controller",
            description="Controller of the object",
        ),
        Column("Revision", doc="apps.v1.ControllerRevision.revision"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("revision", 0)

    def validate(self, obj: Object) -> list[FieldError]:
        errors, data = _revision_errors(obj), obj.get("data")
        if data is None:
            errors.append(required("data", "data is mandatory"))
        elif not isinstance(data, dict):
            errors.append(required("data", "data must be a valid JSON object"))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = _revision_errors(obj)
        if obj.get("data") != old.get("data"):
            errors.append(invalid("data", obj.get("data"), "field is immutable"))
        return errors

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], _controller(obj), obj.get("revision", 0), age(obj, now)]


def _revision_errors(obj: Object) -> list[FieldError]:
    if obj.get("revision", 0) < 0:
        return [invalid("revision", obj["revision"], "must be greater than or equal to 0")]
    return []


def _controller(obj: Object) -> str:
    """`statefulset.apps/web`, or `<none>`."""
    for owner in obj["metadata"].get("ownerReferences", ()):
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            kind = f"{owner['kind']}.{group}" if group else owner["kind"]
            return f"{kind.lower()}/{owner['name']}"
    return NONE
