"""Replica sets: a number of pods of one template."""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import immutable, non_negative, validate_selector
from knarr.api.core.podspec import warnings
from knarr.api.core.podspec.columns import CONTAINERS, IMAGES, container_cells, format_selector
from knarr.api.core.podspec.defaults import default_template
from knarr.api.core.podspec.template import validate_for_replicas
from knarr.api.core.replicationcontroller import validate_replica_status
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import age
from knarr.meta.fielderrors import FieldError


class ReplicaSet(Kind):
    pod_spec_path = ("spec", "template", "spec")
    tracks_generation = True
    columns = (
        NAME,
        Column("Desired", "integer", doc="apps.v1.ReplicaSetSpec.replicas"),
        Column("Current", "integer", doc="apps.v1.ReplicaSetStatus.replicas"),
        Column("Ready", "integer", doc="apps.v1.ReplicaSetStatus.readyReplicas"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", doc="apps.v1.ReplicaSetSpec.selector", priority=1),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        default_template(spec)
        obj.setdefault("status", {}).setdefault("replicas", 0)

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        errors: list[FieldError] = []
        non_negative(spec, "spec", errors, "replicas", "minReadySeconds")
        # the message names the kind it was written for
        validate_selector(spec, "deployment", "spec.selector", errors)
        validate_for_replicas(spec, errors)
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        # Kubernetes validates the spec as a new one and then again as an update
        errors = self.validate(obj) * 2
        immutable(obj["spec"], old["spec"], "selector", errors)
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_replica_status(obj.get("status", {}))

    def warnings_on_create(self, obj: Object) -> list[str]:
        found = warnings.for_owner_name(obj["metadata"].get("name", ""))
        return found + warnings.for_template(obj["spec"]["template"], "spec.template")

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        return warnings.for_update(obj, old, obj["spec"]["template"], "spec.template")

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        return [
            obj["metadata"]["name"],
            spec.get("replicas", 0),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
            age(obj, now),
            *container_cells(spec.get("template", {})),
            format_selector(spec.get("selector")),
        ]
