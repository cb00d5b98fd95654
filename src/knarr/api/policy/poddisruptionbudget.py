"""PodDisruptionBudget: how many pods of a group may be taken away at a time."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, conditions, gostruct, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import intstr, labels, names
from knarr.meta.fielderrors import FieldError, invalid

EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
SPEC: gostruct.Shape = (
    ("minAvailable", "MinAvailable", None),
    ("selector", "Selector", None),
    ("maxUnavailable", "MaxUnavailable", None),
    ("unhealthyPodEvictionPolicy", "UnhealthyPodEvictionPolicy", None),
)


class PodDisruptionBudget(Kind):
    #: only what holds for every object is asked of its metadata
    validate_name = staticmethod(names.path_segment_name)
    kube_finalizers = False
    tracks_generation = True
    allow_unconditional_update = False
    columns = (
        NAME,
        Column("Min Available", "string", "", "The minimum number of pods that must be available."),
        Column("Max Unavailable", "string", "", "The maximum number of pods that may be unavailable."),
        Column(
            "Allowed Disruptions",
            "integer",
            "",
            "Calculated number of pods that may be disrupted at this time.",
        ),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        status = obj.setdefault("status", {})
        for key in COUNTS:
            status.setdefault(key, 0)

    def reset_status(self, obj: Object) -> None:
        obj["status"] = dict.fromkeys(COUNTS, 0)

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        errors: list[FieldError] = []
        if "minAvailable" in spec and "maxUnavailable" in spec:
            shown = gostruct.dump(spec, SPEC)
            errors.append(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
        for key in ("minAvailable", "maxUnavailable"):
            if key in spec:
                errors += intstr.validate_positive_int_or_percent(spec[key], f"spec.{key}")
                errors += intstr.validate_not_more_than_100_percent(spec[key], f"spec.{key}")
        if "selector" in spec:
            errors += labels.validate_label_selector(spec["selector"], "spec.selector")
        if "unhealthyPodEvictionPolicy" in spec:
            path = "spec.unhealthyPodEvictionPolicy"
            errors += checks.one_of(path, spec["unhealthyPodEvictionPolicy"], EVICTION_POLICIES)
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        status = obj["status"]
        errors = conditions.errors(status.get("conditions"), "status.conditions")
        for key in COUNTS:
            errors += checks.not_negative(f"status.{key}", status[key])
        return errors

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        return [
            obj["metadata"]["name"],
            str(spec.get("minAvailable", "N/A")),
            str(spec.get("maxUnavailable", "N/A")),
            obj["status"]["disruptionsAllowed"],
            printing.age(obj, now),
        ]
