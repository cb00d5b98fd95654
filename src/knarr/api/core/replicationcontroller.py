"""Replication controllers, the first way to keep a number of pods."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec import warnings
from knarr.api.core.podspec.columns import CONTAINERS, IMAGES, container_cells
from knarr.api.core.podspec.defaults import default_template
from knarr.api.core.podspec.template import (
    mismatch,
    validate_always_running,
    validate_template,
)
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import age, format_labels
from knarr.meta.fielderrors import FieldError, invalid, required


class ReplicationController(Kind):
    pod_spec_path = ("spec", "template", "spec")
    tracks_generation = True
    orphans_by_default = True
    columns = (
        NAME,
        Column("Desired", "integer", doc="core.v1.ReplicationControllerSpec.replicas"),
        Column("Current", "integer", doc="core.v1.ReplicationControllerStatus.replicas"),
        Column("Ready", "integer", doc="core.v1.ReplicationControllerStatus.readyReplicas"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", doc="core.v1.ReplicationControllerSpec.selector", priority=1),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        if "template" in spec:
            default_template(spec)
            labels = spec["template"]["metadata"].get("labels")
            if labels:
                if not spec.get("selector"):
                    spec["selector"] = dict(labels)
                if not obj.setdefault("metadata", {}).get("labels"):
                    obj["metadata"]["labels"] = dict(labels)
        obj.setdefault("status", {}).setdefault("replicas", 0)

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        errors: list[FieldError] = []
        _not_negative(spec, "spec.minReadySeconds", errors)
        selector, template = spec.get("selector"), spec.get("template")
        if not selector:
            errors.append(required("spec.selector"))
        _not_negative(spec, "spec.replicas", errors)
        if template is None:
            errors.append(required("spec.template"))
            return errors
        labels = template["metadata"].get("labels") or {}
        if selector and any(labels.get(key) != value for key, value in selector.items()):
            errors.append(mismatch(template, "spec.template"))
        validate_template(template, "spec.template", errors)
        validate_always_running(template["spec"], "spec.template.spec", errors, "ReplicationController")
        return errors

    def warnings_on_create(self, obj: Object) -> list[str]:
        found = warnings.for_owner_name(obj["metadata"].get("name", ""))
        if "template" in obj["spec"]:
            found += warnings.for_template(obj["spec"]["template"], "spec.template")
        return found

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        # Kubernetes looks at the template that was there before
        template = old["spec"].get("template")
        return warnings.for_update(obj, old, template, "spec.template") if template else []

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        # Kubernetes validates the spec as a new one and then again as an update
        return self.validate(obj) * 2

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_replica_status(obj.get("status", {}))

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.replicas": str(obj.get("status", {}).get("replicas", 0))}

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        return [
            obj["metadata"]["name"],
            spec.get("replicas", 0),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
            age(obj, now),
            *container_cells(spec.get("template", {})),
            format_labels(spec.get("selector")),
        ]


def _not_negative(spec: Object, path: str, errors: list[FieldError]) -> None:
    field = path.rpartition(".")[2]
    if spec.get(field, 0) < 0:
        errors.append(invalid(path, spec[field], "must be greater than or equal to 0"))


def validate_replica_status(status: Object) -> list[FieldError]:
    """The numbers that replication controllers and replica sets report."""
    errors: list[FieldError] = []
    for field in (
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ):
        _not_negative(status, f"status.{field}", errors)
    for field, limit in (
        ("fullyLabeledReplicas", "replicas"),
        ("readyReplicas", "replicas"),
        ("availableReplicas", "replicas"),
        ("availableReplicas", "readyReplicas"),
    ):
        if status.get(field, 0) > status.get(limit, 0):
            message = f"cannot be greater than {'status.replicas' if limit == 'replicas' else limit}"
            errors.append(invalid(f"status.{field}", status.get(field, 0), message))
    return errors
