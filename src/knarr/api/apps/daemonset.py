"""Daemon sets: one pod on each fitting node."""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import (
    amount,
    immutable,
    non_negative,
    printed_strategy,
    validate_status_counts,
)
from knarr.api.core.podspec import warnings
from knarr.api.core.podspec.columns import CONTAINERS, IMAGES, container_cells, format_selector
from knarr.api.core.podspec.defaults import default_template
from knarr.api.core.podspec.paths import Errors
from knarr.api.core.podspec.template import matches, mismatch, validate_template
from knarr.api.decoding import DecodeError
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import age, format_labels
from knarr.meta import intstr
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required
from knarr.meta.labels import validate_label_selector
from knarr.meta.strconv import parse_int64

_STATUS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)
GENERATION = "deprecated.daemonset.template.generation"


class DaemonSet(Kind):
    pod_spec_path = ("spec", "template", "spec")
    tracks_generation = True
    columns = (
        NAME,
        Column("Desired", "integer", doc="apps.v1.DaemonSetStatus.desiredNumberScheduled"),
        Column("Current", "integer", doc="apps.v1.DaemonSetStatus.currentNumberScheduled"),
        Column("Ready", "integer", doc="apps.v1.DaemonSetStatus.numberReady"),
        Column("Up-to-date", "integer", doc="apps.v1.DaemonSetStatus.updatedNumberScheduled"),
        Column("Available", "integer", doc="apps.v1.DaemonSetStatus.numberAvailable"),
        Column("Node Selector", doc="core.v1.PodSpec.nodeSelector"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", doc="apps.v1.DaemonSetSpec.selector", priority=1),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        _default_strategy(spec.setdefault("updateStrategy", {}))
        spec.setdefault("revisionHistoryLimit", 10)
        default_template(spec)
        # the wire form always shows the number, even before there is one
        _set_template_generation(obj, _template_generation(obj))
        status = obj.setdefault("status", {})
        for name in _STATUS:
            status.setdefault(name, 0)
        for condition in status.get("conditions", ()):
            condition.setdefault("lastTransitionTime", None)

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        _set_template_generation(obj, max(_template_generation(obj), 1))

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_update(obj, old)
        changed = obj["spec"]["template"] != old["spec"]["template"]
        _set_template_generation(obj, _template_generation(old) + changed)

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_status_update(obj, old)
        _set_template_generation(obj, _template_generation(old))

    def validate(self, obj: Object) -> list[FieldError]:
        return _validate_spec(obj["spec"])

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        # Kubernetes validates the spec as a new one and then again as an update
        errors = _validate_spec(obj["spec"]) * 2
        immutable(obj["spec"], old["spec"], "selector", errors)
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        status, before = obj.get("status", {}), old.get("status", {})
        validate_status_counts(status, errors, *_COUNTS)
        if "collisionCount" in before and status.get("collisionCount", -1) < before["collisionCount"]:
            message = "cannot be decremented"
            errors.append(invalid("status.collisionCount", status.get("collisionCount", 0), message))
        return errors

    def warnings_on_create(self, obj: Object) -> list[str]:
        return warnings.for_template(obj["spec"]["template"], "spec.template")

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        if obj["spec"]["template"] == old["spec"]["template"]:
            return []
        return warnings.for_template(obj["spec"]["template"], "spec.template")

    def reset_status(self, obj: Object) -> None:
        obj["status"] = dict.fromkeys(_STATUS, 0)

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        template = spec.get("template", {})
        return [
            obj["metadata"]["name"],
            status.get("desiredNumberScheduled", 0),
            status.get("currentNumberScheduled", 0),
            status.get("numberReady", 0),
            status.get("updatedNumberScheduled", 0),
            status.get("numberAvailable", 0),
            format_labels(template.get("spec", {}).get("nodeSelector")),
            age(obj, now),
            *container_cells(template),
            format_selector(spec.get("selector")),
        ]


def _template_generation(obj: Object) -> int:
    """How many templates there have been; once a field, now an annotation. Raises DecodeError."""
    text = (obj.setdefault("metadata", {}).get("annotations") or {}).get(GENERATION, "0")
    try:
        return parse_int64(text)
    except ValueError as error:
        raise DecodeError(str(error)) from None


def _set_template_generation(obj: Object, count: int) -> None:
    if obj["metadata"].get("annotations") is None:
        obj["metadata"]["annotations"] = {}
    obj["metadata"]["annotations"][GENERATION] = str(count)


def _default_strategy(strategy: Object) -> None:
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def _validate_spec(spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    selector, template = spec.get("selector"), spec.get("template", {})
    errors += validate_label_selector(selector, "spec.selector")
    if matches(selector, template) is False:
        errors.append(mismatch(template, "spec.template"))
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid("spec.selector", {}, "empty selector is invalid for daemonset"))
    validate_template(template, "spec.template", errors)
    pod = template.get("spec", {})
    if pod.get("restartPolicy", "") != "Always":
        path = "spec.template.spec.restartPolicy"
        errors.append(not_supported(path, pod.get("restartPolicy", ""), ("Always",)))
    if "activeDeadlineSeconds" in pod:
        message = "activeDeadlineSeconds in DaemonSet is not Supported"
        errors.append(forbidden("spec.template.spec.activeDeadlineSeconds", message))
    non_negative(spec, "spec", errors, "minReadySeconds")
    _validate_strategy(spec.get("updateStrategy", {}), "spec.updateStrategy", errors)
    non_negative(spec, "spec", errors, "revisionHistoryLimit")
    return errors


def _validate_strategy(strategy: Object, path: str, errors: Errors) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        errors.append(not_supported(path, printed_strategy(kind, rolling), ("RollingUpdate", "OnDelete")))
    elif rolling is None:
        errors.append(required(f"{path}.rollingUpdate"))
    else:
        _validate_rolling_update(rolling, f"{path}.rollingUpdate", errors)


def _validate_rolling_update(rolling: Object, path: str, errors: Errors) -> None:
    """Either a pod goes before its successor comes, or the other way round."""
    surge, unavailable = rolling.get("maxSurge", 0), rolling.get("maxUnavailable", 0)
    for field, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        errors += intstr.validate_positive_int_or_percent(value, f"{path}.{field}")
        errors += intstr.validate_not_more_than_100_percent(value, f"{path}.{field}")
    has_surge, has_unavailable = amount(surge) != 0, amount(unavailable) != 0
    if has_surge and has_unavailable:
        message = "may not be set when maxUnavailable is non-zero"
        errors.append(invalid(f"{path}.maxSurge", surge, message))
    elif not has_surge and not has_unavailable:
        errors.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
