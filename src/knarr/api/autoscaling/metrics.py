"""The metrics of a HorizontalPodAutoscaler: what they may say, and how a table shows them."""

from __future__ import annotations

from typing import Any

from knarr.api import checks
from knarr.api.core import resourcenames
from knarr.api.kind import Object
from knarr.api.printing import NONE, UNKNOWN
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required
from knarr.meta.quantity import Quantity

#: type of a metric, its field
SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
#: the order in which Kubernetes looks at the fields
ORDER = ("object", "external", "pods", "resource", "containerResource")
TARGET_TYPES = ("Utilization", "Value", "AverageValue")
SHOWN_MAX = 2


def metrics_errors(metrics: Any, min_replicas: int | None) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, metric in enumerate(metrics):
        errors += _metric_errors(metric, f"spec.metrics[{i}]")
    if min_replicas == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        message = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(forbidden("spec.metrics", message))
    return errors


def _metric_errors(metric: Object, path: str) -> list[FieldError]:
    kind = metric.get("type", "")
    present = [key for key in ORDER if key in metric]
    expected = SOURCES.get(kind)
    errors: list[FieldError] = []
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric source type"))
    if expected is None:
        errors.append(not_supported(f"{path}.type", kind, SOURCES))
    if present:
        errors += SOURCE_CHECKS[present[0]](metric[present[0]], f"{path}.{present[0]}")
    if expected is None:
        # asked twice in Kubernetes
        errors.append(not_supported(f"{path}.type", kind, SOURCES))
    elif expected not in metric:
        message = "must populate information for the given metric source"
        errors.append(required(f"{path}.{expected}", message))
    if len(present) > 1 or (present and expected is None):
        message = "must populate the given metric source only"
        extra = [key for key in present if key != expected] if len(present) != 1 else []
        errors += [forbidden(f"{path}.{key}", message) for key in extra]
    return errors


def reference_errors(reference: Object, path: str, needs_group: bool) -> list[FieldError]:
    """scaleTargetRef or describedObject."""
    errors: list[FieldError] = []
    for key in ("kind", "name"):
        value, where = reference.get(key, ""), f"{path}.{key}"
        errors += (
            checks.invalids(where, value, names.path_segment_name(value)) if value else [required(where)]
        )
    version = reference.get("apiVersion", "")
    group, slash, rest = version.partition("/")
    if "/" in rest:
        errors.append(invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    elif needs_group and not (slash and group):
        errors.append(invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))
    return errors


def _identifier_errors(metric: Object, path: str) -> list[FieldError]:
    name = metric.get("name", "")
    if not name:
        return [required(f"{path}.name", "must specify a metric name")]
    return checks.invalids(f"{path}.name", name, names.path_segment_name(name))


def _target_errors(target: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    kind, percent = target.get("type", ""), target.get("averageUtilization")
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in TARGET_TYPES:
        errors.append(invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for key in ("value", "averageValue"):
        if key in target and Quantity.parse(target[key]).nanos <= 0:
            errors.append(invalid(f"{path}.{key}", target[key], "must be positive"))
    if percent is not None and percent < 1:
        errors.append(invalid(f"{path}.averageUtilization", percent, "must be greater than 0"))
    return errors


def _object_errors(source: Object, path: str) -> list[FieldError]:
    target = source.get("target") or {}
    errors = reference_errors(
        source.get("describedObject") or {}, f"{path}.describedObject", needs_group=False
    )
    errors += _identifier_errors(source.get("metric") or {}, f"{path}.metric")
    errors += _target_errors(target, f"{path}.target")
    if "value" not in target and "averageValue" not in target:
        errors.append(
            required(f"{path}.target.averageValue", "must set either a target value or averageValue")
        )
    return errors


def _external_errors(source: Object, path: str) -> list[FieldError]:
    target = source.get("target") or {}
    errors = _identifier_errors(source.get("metric") or {}, f"{path}.metric")
    errors += _target_errors(target, f"{path}.target")
    if "value" not in target and "averageValue" not in target:
        message = "must set either a target value for metric or a per-pod target"
        errors.append(required(f"{path}.target.averageValue", message))
    if "value" in target and "averageValue" in target:
        message = "may not set both a target value for metric and a per-pod target"
        errors.append(forbidden(f"{path}.target.value", message))
    return errors


def _pods_errors(source: Object, path: str) -> list[FieldError]:
    target = source.get("target") or {}
    errors = _identifier_errors(source.get("metric") or {}, f"{path}.metric")
    errors += _target_errors(target, f"{path}.target")
    if "averageValue" not in target:
        message = "must specify a positive target averageValue"
        errors.append(required(f"{path}.target.averageValue", message))
    return errors


def _resource_errors(source: Object, path: str) -> list[FieldError]:
    errors = checks.required_text(f"{path}.name", source.get("name"), "must specify a resource name")
    return errors + _resource_target_errors(source, path)


def _container_resource_errors(source: Object, path: str) -> list[FieldError]:
    name = source.get("name")
    errors = checks.required_text(f"{path}.name", name, "must specify a resource name")
    if name:
        errors += resourcenames.container_name_errors(f"{path}.name", name)
    container, where = source.get("container"), f"{path}.container"
    errors += (
        checks.dns_label(where, container) if container else [required(where, "must specify a container")]
    )
    return errors + _resource_target_errors(source, path)


def _resource_target_errors(source: Object, path: str) -> list[FieldError]:
    target = source.get("target") or {}
    errors = _target_errors(target, f"{path}.target")
    percent, value = "averageUtilization" in target, "averageValue" in target
    if not percent and not value:
        message = "must set either a target raw value or a target utilization"
        errors.append(required(f"{path}.target.averageUtilization", message))
    if percent and value:
        message = "may not set both a target raw value and a target utilization"
        errors.append(forbidden(f"{path}.target.averageValue", message))
    return errors


SOURCE_CHECKS = {
    "object": _object_errors,
    "external": _external_errors,
    "pods": _pods_errors,
    "resource": _resource_errors,
    "containerResource": _container_resource_errors,
}


# table


def shown(metrics: Any, current: Any) -> str:
    """`cpu: 12%/50%, 3/10 (avg) + 1 more...`"""
    if not metrics:
        return NONE
    texts = [
        _shown(metric, current[i] if i < len(current) else {}) for i, metric in enumerate(metrics[:SHOWN_MAX])
    ]
    text = ", ".join(texts)
    return f"{text} + {len(metrics) - SHOWN_MAX} more..." if len(metrics) > SHOWN_MAX else text


def _shown(metric: Object, status: Object) -> str:
    key = SOURCES.get(metric.get("type", ""))
    if key is None:
        return "<unknown type>"
    source = metric.get(key) or {}
    target, now = source.get("target") or {}, (status.get(key) or {}).get("current") or {}
    if key == "pods":
        return f"{now.get('averageValue', UNKNOWN)}/{target.get('averageValue', '0')}"
    if key in ("object", "external"):
        if "averageValue" in target:
            return f"{now.get('averageValue', UNKNOWN)}/{target['averageValue']} (avg)"
        return f"{now.get('value', UNKNOWN)}/{target.get('value', '0')}"
    name = source.get("name", "")
    if "averageValue" in target:
        return f"{name}: {now.get('averageValue', UNKNOWN)}/{target['averageValue']}"
    return f"{name}: {_percent(now, UNKNOWN)}/{_percent(target, '<auto>')}"


def _percent(values: Object, otherwise: str) -> str:
    percent = values.get("averageUtilization")
    return otherwise if percent is None else f"{percent}%"
