"""autoscaling/v1 and v2 of one HorizontalPodAutoscaler.

v1 knows one metric, CPU utilization. Everything else of v2 travels in annotations, as JSON: other metrics and their
status in the fields that v1 has names for, conditions, and the behavior as Go prints it.
"""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api import gostruct
from knarr.api.kind import Object

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
ANNOTATIONS = (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR)
DEFAULT_PERCENT = 80

POLICY: gostruct.Shape = (("type", "Type", ""), ("value", "Value", 0), ("periodSeconds", "PeriodSeconds", 0))
RULES: gostruct.Shape = (
    ("stabilizationWindowSeconds", "StabilizationWindowSeconds", None),
    ("selectPolicy", "SelectPolicy", None),
    ("policies", "Policies", gostruct.Items(POLICY)),
    ("tolerance", "Tolerance", None),
)
BEHAVIOR_SHAPE: gostruct.Shape = (
    ("scaleUp", "ScaleUp", gostruct.Pointer(RULES)),
    ("scaleDown", "ScaleDown", gostruct.Pointer(RULES)),
)

#: field of a source, (name in v2, name in v1) of its parts; a dotted v2 name lies one level deeper
PARTS = {
    "object": (
        ("describedObject", "target"),
        ("metric.name", "metricName"),
        ("metric.selector", "selector"),
        ("target.value", "targetValue"),
        ("target.averageValue", "averageValue"),
    ),
    "pods": (
        ("metric.name", "metricName"),
        ("metric.selector", "selector"),
        ("target.averageValue", "targetAverageValue"),
    ),
    "resource": (
        ("name", "name"),
        ("target.averageUtilization", "targetAverageUtilization"),
        ("target.averageValue", "targetAverageValue"),
    ),
    "containerResource": (
        ("name", "name"),
        ("target.averageUtilization", "targetAverageUtilization"),
        ("target.averageValue", "targetAverageValue"),
        ("container", "container"),
    ),
    "external": (
        ("metric.name", "metricName"),
        ("metric.selector", "metricSelector"),
        ("target.value", "targetValue"),
        ("target.averageValue", "targetAverageValue"),
    ),
}
CURRENT_PARTS = {
    "object": (
        ("describedObject", "target"),
        ("metric.name", "metricName"),
        ("metric.selector", "selector"),
        ("current.value", "currentValue"),
        ("current.averageValue", "averageValue"),
    ),
    "pods": (
        ("metric.name", "metricName"),
        ("metric.selector", "selector"),
        ("current.averageValue", "currentAverageValue"),
    ),
    "resource": (
        ("name", "name"),
        ("current.averageUtilization", "currentAverageUtilization"),
        ("current.averageValue", "currentAverageValue"),
    ),
    "containerResource": (
        ("name", "name"),
        ("current.averageUtilization", "currentAverageUtilization"),
        ("current.averageValue", "currentAverageValue"),
        ("container", "container"),
    ),
    "external": (
        ("metric.name", "metricName"),
        ("metric.selector", "metricSelector"),
        ("current.value", "currentValue"),
        ("current.averageValue", "currentAverageValue"),
    ),
}
#: quantities that v1 shows even when there is none
ALWAYS = {"object": ("targetValue", "currentValue"), "external": ("currentValue",)}


def cpu_metric(percent: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _is_cpu_percent(metric: Object, values: str) -> bool:
    source = metric.get("resource") or {}
    return (
        metric.get("type") == "Resource"
        and source.get("name") == "cpu"
        and (source.get(values) or {}).get("averageUtilization") is not None
    )


def has_other_metrics(v1: Object) -> bool:
    return bool(_annotation(v1, METRICS))


def _annotation(v1: Object, name: str) -> Any:
    text = (v1["metadata"].get("annotations") or {}).get(name)
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def v1_to_v2(v1: Object) -> Object:
    """The stored form; shares what it can with `v1`."""
    if v1.get("apiVersion") == "autoscaling/v2":
        return v1
    spec, status = dict(v1.get("spec") or {}), dict(v1.get("status") or {})
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    others = [_rename(metric, PARTS, to_v2=True) for metric in _annotation(v1, METRICS) or ()]
    # Kubernetes puts the CPU metric last
    spec["metrics"] = others + ([cpu_metric(percent)] if percent is not None else [])
    if not spec["metrics"]:
        spec["metrics"] = [cpu_metric(DEFAULT_PERCENT)]
    if behavior := _annotation(v1, BEHAVIOR):
        spec["behavior"] = gostruct.undump(behavior, BEHAVIOR_SHAPE)
    current_percent = status.pop("currentCPUUtilizationPercentage", None)
    current = [
        _rename(metric, CURRENT_PARTS, to_v2=True) for metric in _annotation(v1, CURRENT_METRICS) or ()
    ]
    if current_percent is not None and not any(_is_cpu_percent(metric, "current") for metric in current):
        now = {"averageUtilization": current_percent}
        current.append({"type": "Resource", "resource": {"name": "cpu", "current": now}})
    status["currentMetrics"] = current or None
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)
    if conditions := _annotation(v1, CONDITIONS):
        status["conditions"] = conditions
    return {
        **v1,
        "apiVersion": "autoscaling/v2",
        "metadata": without_annotations(v1["metadata"]),
        "spec": spec,
        "status": status,
    }


def v2_to_v1(v2: Object) -> Object:
    """The v1 view of a stored autoscaler; shares what it can with `v2`."""
    if v2.get("apiVersion") == "autoscaling/v1":
        return v2
    spec, status = dict(v2.get("spec") or {}), dict(v2.get("status") or {})
    said: dict[str, Any] = {}
    metrics, current = spec.pop("metrics", None) or (), status.pop("currentMetrics", None) or ()
    for metric in metrics:
        if _is_cpu_percent(metric, "target"):
            spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
            break
    others = [metric for metric in metrics if not _is_cpu_percent(metric, "target")]
    if others:
        said[METRICS] = [_rename(metric, PARTS, to_v2=False) for metric in others]
    for metric in current:
        if _is_cpu_percent(metric, "current"):
            status["currentCPUUtilizationPercentage"] = metric["resource"]["current"]["averageUtilization"]
            break
    if current:
        said[CURRENT_METRICS] = [_rename(metric, CURRENT_PARTS, to_v2=False) for metric in current]
    if conditions := status.pop("conditions", None):
        said[CONDITIONS] = conditions
    if behavior := spec.pop("behavior", None):
        said[BEHAVIOR] = gostruct.dump(behavior, BEHAVIOR_SHAPE)
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    metadata = v2["metadata"]
    if said:
        texts = {name: orjson.dumps(value).decode() for name, value in said.items()}
        metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **texts}}
    return {**v2, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def without_annotations(metadata: Object) -> Object:
    """Without those that carry what v1 has no fields for."""
    annotations = metadata.get("annotations")
    if not annotations or not any(name in annotations for name in ANNOTATIONS):
        return metadata
    kept = {name: text for name, text in annotations.items() if name not in ANNOTATIONS}
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**rest, "annotations": kept} if kept else rest


def _rename(metric: Object, parts: dict[str, tuple[tuple[str, str], ...]], to_v2: bool) -> Object:
    """One metric or its status, in the other version's names."""
    renamed: Object = {"type": metric.get("type", "")}
    for key, pairs in parts.items():
        source = metric.get(key)
        if source is None:
            continue
        renamed[key] = {}
        for new, old in pairs:
            if to_v2 and old in source:
                _put(renamed[key], new, source[old])
            elif not to_v2 and (value := _get(source, new)) is not None:
                renamed[key][old] = value
        if to_v2:
            _settle_v2(renamed[key], parts is PARTS)
        else:
            for name in ALWAYS.get(key, ()):
                if any(name == old for _, old in pairs):
                    renamed[key].setdefault(name, "0")
    return renamed


def _settle_v2(source: Object, is_target: bool) -> None:
    """A target has a type; a value beside an average is v1's zero."""
    values = source.setdefault("target" if is_target else "current", {})
    if "averageValue" in values and values.get("value") == "0":
        del values["value"]
    if is_target:
        kinds = (("averageUtilization", "Utilization"), ("averageValue", "AverageValue"), ("value", "Value"))
        kind = next((kind for key, kind in kinds if key in values), "")
        source["target"] = {"type": kind, **values}


def _get(source: Object, name: str) -> Any:
    for part in name.split("."):
        source = (source or {}).get(part)  # type: ignore[assignment]
    return source


def _put(target: Object, name: str, value: Any) -> None:
    *outer, last = name.split(".")
    for part in outer:
        target = target.setdefault(part, {})
    target[last] = value
