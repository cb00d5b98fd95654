"""HorizontalPodAutoscaler: how many replicas a workload should have, by metrics. Stored as autoscaling/v2."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.autoscaling import conversion, metrics
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import UNSET
from knarr.meta.fielderrors import FieldError, invalid, required
from knarr.meta.quantity import Quantity

DEFAULT_PERCENT = conversion.DEFAULT_PERCENT
SELECT_POLICIES = ("Disabled", "Max", "Min")
POLICY_TYPES = ("Percent", "Pods")
WINDOW_SECONDS_MAX = 3600
PERIOD_SECONDS_MAX = 1800


class HorizontalPodAutoscaler(Kind):
    """autoscaling/v2, the version that is stored."""

    told_empty = (("spec", "behavior", "scaleUp", "policies"), ("spec", "behavior", "scaleDown", "policies"))
    columns = (
        NAME,
        Column("Reference", doc="autoscaling.v2.HorizontalPodAutoscalerSpec.scaleTargetRef"),
        Column("Targets", doc="autoscaling.v2.HorizontalPodAutoscalerSpec.metrics"),
        Column("MinPods", doc="autoscaling.v2.HorizontalPodAutoscalerSpec.minReplicas"),
        Column("MaxPods", doc="autoscaling.v2.HorizontalPodAutoscalerSpec.maxReplicas"),
        Column("Replicas", doc="autoscaling.v2.HorizontalPodAutoscalerStatus.currentReplicas"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_reference(spec)
        spec.setdefault("minReplicas", 1)
        spec.setdefault("maxReplicas", 0)
        if not spec.get("metrics"):
            spec["metrics"] = [conversion.cpu_metric(DEFAULT_PERCENT)]
        if "behavior" in spec:
            _default_behavior(spec["behavior"])
        status = obj.setdefault("status", {})
        status.setdefault("desiredReplicas", 0)
        status.setdefault("currentMetrics", None)
        # there is nothing that this version would have to say in them
        obj["metadata"] = conversion.without_annotations(obj["metadata"])

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"desiredReplicas": 0, "currentMetrics": None}

    def validate(self, obj: Object) -> list[FieldError]:
        return spec_errors(obj["spec"], None)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return spec_errors(obj["spec"], old["spec"])

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        for key in ("currentReplicas", "desiredReplicas"):
            errors += checks.not_negative(f"status.{key}", obj["status"].get(key))
        return errors

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj["spec"], obj["status"]
        target = spec.get("scaleTargetRef") or {}
        least = spec.get("minReplicas")
        return [
            obj["metadata"]["name"],
            f"{target.get('kind', '')}/{target.get('name', '')}",
            metrics.shown(spec.get("metrics"), status.get("currentMetrics") or ()),
            UNSET if least is None else str(least),
            spec.get("maxReplicas", 0),
            status.get("currentReplicas", 0),
            printing.age(obj, now),
        ]


class HorizontalPodAutoscalerV1(HorizontalPodAutoscaler):
    """autoscaling/v1: a view with one CPU target; what else there is stands in annotations."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_reference(spec)
        spec.setdefault("minReplicas", 1)
        spec.setdefault("maxReplicas", 0)
        if "targetCPUUtilizationPercentage" not in spec and not conversion.has_other_metrics(obj):
            spec["targetCPUUtilizationPercentage"] = DEFAULT_PERCENT
        status = obj.setdefault("status", {})
        status.setdefault("currentReplicas", 0)
        status.setdefault("desiredReplicas", 0)
        # the annotations as they come back; those that cannot be read do not
        obj.update(self.from_storage(self.to_storage(obj)))

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"currentReplicas": 0, "desiredReplicas": 0}

    def validate(self, obj: Object) -> list[FieldError]:
        return super().validate(self.to_storage(obj))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return super().validate_update(self.to_storage(obj), self.to_storage(old))

    def cells(self, obj: Object, now: float) -> list[Any]:
        return super().cells(self.to_storage(obj), now)

    @staticmethod
    def to_storage(obj: Object) -> Object:
        return conversion.v1_to_v2(obj)

    @staticmethod
    def from_storage(obj: Object) -> Object:
        return conversion.v2_to_v1(obj)


def default_reference(spec: Object) -> None:
    reference = spec.setdefault("scaleTargetRef", {})
    reference.setdefault("kind", "")
    reference.setdefault("name", "")


def _default_behavior(behavior: Object) -> None:
    up, down = behavior.setdefault("scaleUp", {}), behavior.setdefault("scaleDown", {})
    up.setdefault("stabilizationWindowSeconds", 0)
    for rules in (up, down):
        rules.setdefault("selectPolicy", "Max")
    if "policies" not in up:
        up["policies"] = [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]
    if "policies" not in down:
        down["policies"] = [{"type": "Percent", "value": 100, "periodSeconds": 15}]


# validation


def spec_errors(spec: Object, before: Object | None) -> list[FieldError]:
    least, most, target = (
        spec.get("minReplicas"),
        spec.get("maxReplicas", 0),
        spec.get("scaleTargetRef") or {},
    )
    # an autoscaler that was stored with zero or with an odd target may keep it
    lowest = 0 if before is not None and before.get("minReplicas") == 0 else 1
    errors: list[FieldError] = []
    if least is not None and least < lowest:
        errors.append(invalid("spec.minReplicas", least, f"must be greater than or equal to {lowest}"))
    if most == 0:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    path = "spec.scaleTargetRef"
    needs_group = target.get("kind") != "ReplicationController"
    found = metrics.reference_errors(target, path, needs_group)
    if before is not None:
        old_target = before.get("scaleTargetRef") or {}
        if any(
            e.field.endswith("apiVersion") for e in metrics.reference_errors(old_target, path, needs_group)
        ):
            found = [error for error in found if not error.field.endswith("apiVersion")]
    errors += found + metrics.metrics_errors(spec.get("metrics") or (), least)
    for key in ("scaleUp", "scaleDown"):
        if rules := (spec.get("behavior") or {}).get(key):
            errors += _rules_errors(rules, f"spec.behavior.{key}")
    return errors


def _rules_errors(rules: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seconds, policies = rules.get("stabilizationWindowSeconds"), rules.get("policies")
    where = f"{path}.stabilizationWindowSeconds"
    if seconds is not None and seconds < 0:
        errors.append(invalid(where, seconds, "must be greater than or equal to zero"))
    if seconds is not None and seconds > WINDOW_SECONDS_MAX:
        errors.append(invalid(where, seconds, f"must be less than or equal to {WINDOW_SECONDS_MAX}"))
    if rules.get("selectPolicy") is not None:
        errors += checks.one_of(f"{path}.selectPolicy", rules["selectPolicy"], SELECT_POLICIES)
    if not policies:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for i, policy in enumerate(policies or ()):
        errors += _policy_errors(policy, f"{path}.policies[{i}]")
    tolerance = rules.get("tolerance")
    if tolerance is not None and Quantity.parse(tolerance).nanos < 0:
        errors.append(invalid(f"{path}.tolerance", tolerance, checks.NOT_NEGATIVE))
    return errors


def _policy_errors(policy: Object, path: str) -> list[FieldError]:
    value, seconds = policy.get("value", 0), policy.get("periodSeconds", 0)
    errors = checks.one_of(f"{path}.type", policy.get("type", ""), POLICY_TYPES)
    if value <= 0:
        errors.append(invalid(f"{path}.value", value, "must be greater than zero"))
    where = f"{path}.periodSeconds"
    if seconds <= 0:
        errors.append(invalid(where, seconds, "must be greater than zero"))
    if seconds > PERIOD_SECONDS_MAX:
        errors.append(invalid(where, seconds, f"must be less than or equal to {PERIOD_SECONDS_MAX}"))
    return errors
