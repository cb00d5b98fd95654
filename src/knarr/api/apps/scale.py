"""The Scale of autoscaling/v1 behind workloads: their replicas, as one small object that is the same for all."""

from __future__ import annotations

from typing import Any

from knarr.api.kind import AGE, NAME, Column
from knarr.meta import labels
from knarr.meta.fielderrors import FieldError, invalid

Object = dict[str, Any]
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")

COLUMNS = (
    NAME._replace(format=""),
    Column("Desired", "integer", doc="autoscaling.v1.ScaleSpec.replicas"),
    Column("Available", "integer", doc="autoscaling.v1.ScaleStatus.replicas"),
    AGE,
)


def to_scale(obj: Object) -> Object:
    """The Scale of a workload; zero replicas in the spec are left out, as Go leaves them out."""
    metadata, spec, status = obj["metadata"], obj.get("spec", {}), obj.get("status", {})
    scale: Object = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in _METADATA if field in metadata},
        "spec": {},
        "status": {"replicas": status.get("replicas", 0)},
    }
    if spec.get("replicas"):
        scale["spec"]["replicas"] = spec["replicas"]
    selector = _selector(obj)
    if selector:
        scale["status"]["selector"] = selector
    return scale


def _selector(obj: Object) -> str:
    """As text; replication controllers have a plain map of labels."""
    selector = obj.get("spec", {}).get("selector")
    if selector is None:
        return ""
    if any(isinstance(value, str) for value in selector.values()):
        return str(labels.from_set(selector))
    return str(labels.from_label_selector(selector))


def apply_scale(obj: Object, scale: Object) -> None:
    """Take over the number of replicas, in place; a Scale that says none means zero."""
    obj["spec"]["replicas"] = (scale.get("spec") or {}).get("replicas", 0)


def validate(scale: Object) -> list[FieldError]:
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        return [invalid("spec.replicas", replicas, "must be greater than or equal to 0")]
    return []


def cells(scale: Object, now: float) -> list[Any]:
    """One row of `kubectl get --subresource=scale`."""
    from knarr.api.printing import age

    replicas = scale.get("spec", {}).get("replicas", 0)
    return [scale["metadata"]["name"], replicas, scale.get("status", {}).get("replicas", 0), age(scale, now)]
