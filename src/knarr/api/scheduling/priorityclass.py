"""PriorityClass: a name for a pod's priority."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.fielderrors import FieldError, forbidden

POLICIES = ("PreemptLowerPriority", "Never")
USER_VALUE_MAX = 1_000_000_000
SYSTEM_PREFIX = "system-"
SYSTEM_CLASSES = {
    "system-cluster-critical": 2 * USER_VALUE_MAX,
    "system-node-critical": 2 * USER_VALUE_MAX + 1000,
}


class PriorityClass(Kind):
    columns = (
        NAME,
        Column("Value", "integer", doc="scheduling.v1.PriorityClass.value"),
        Column("Global-Default", "boolean", doc="scheduling.v1.PriorityClass.globalDefault"),
        AGE,
        Column("PreemptionPolicy", doc="scheduling.v1.PriorityClass.preemptionPolicy"),
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("value", 0)
        obj.setdefault("preemptionPolicy", "PreemptLowerPriority")

    def prepare_for_create(self, obj: Object) -> None:
        obj["metadata"]["generation"] = 1

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        # nothing that counts can change
        self.keep(obj["metadata"], old["metadata"], "generation")

    def validate(self, obj: Object) -> list[FieldError]:
        name = obj["metadata"].get("name", "")
        errors = []
        if name.startswith(SYSTEM_PREFIX):
            if problem := _system_problem(name, obj):
                message = (
                    f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only."
                    f" error: {problem}"
                )
                errors.append(forbidden("metadata.name", message))
        elif obj["value"] > USER_VALUE_MAX:
            message = f"maximum allowed value of a user defined priority is {USER_VALUE_MAX}"
            errors.append(forbidden("value", message))
        return errors + checks.one_of("preemptionPolicy", obj["preemptionPolicy"], POLICIES)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = []
        if obj["value"] != old["value"]:
            errors.append(forbidden("value", "may not be changed in an update."))
        return errors + checks.unchanged("preemptionPolicy", obj["preemptionPolicy"], old["preemptionPolicy"])

    def why_kept(self, name: str) -> str:
        return "this is a system priority class and cannot be deleted" if name in SYSTEM_CLASSES else ""

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [
            obj["metadata"]["name"],
            obj["value"],
            obj.get("globalDefault", False),
            printing.age(obj, now),
            obj["preemptionPolicy"],
        ]


def _system_problem(name: str, obj: Object) -> str:
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if obj["value"] != SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    if obj.get("globalDefault"):
        return f"globalDefault of {name} PriorityClass must be false"
    return ""
