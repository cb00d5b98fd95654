"""StorageClass: how volumes of a class are made."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.core.nodelabels import deprecated_label_warning
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.storage import parameters
from knarr.meta import labels
from knarr.meta.fielderrors import FieldError, duplicate, required

DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
RECLAIM_POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")


class StorageClass(Kind):
    columns = (
        NAME,
        Column("Provisioner", doc="storage.v1.StorageClass.provisioner"),
        Column("ReclaimPolicy", doc="storage.v1.StorageClass.reclaimPolicy"),
        Column("VolumeBindingMode", doc="storage.v1.StorageClass.volumeBindingMode"),
        Column("AllowVolumeExpansion", doc="storage.v1.StorageClass.allowVolumeExpansion"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("provisioner", "")
        obj.setdefault("reclaimPolicy", "Delete")
        obj.setdefault("volumeBindingMode", "Immediate")

    def validate(self, obj: Object) -> list[FieldError]:
        errors = parameters.driver_errors("provisioner", obj["provisioner"])
        errors += parameters.errors("parameters", obj.get("parameters"))
        if obj["reclaimPolicy"]:
            errors += checks.one_of("reclaimPolicy", obj["reclaimPolicy"], RECLAIM_POLICIES)
        errors += checks.one_of("volumeBindingMode", obj["volumeBindingMode"], BINDING_MODES)
        return errors + _topologies_errors(obj.get("allowedTopologies") or ())

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = self.validate(obj)
        for key in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
            errors += checks.unchanged(key, obj.get(key), old.get(key))
        return errors

    def warnings_on_create(self, obj: Object) -> list[str]:
        return [
            said
            for i, term in enumerate(obj.get("allowedTopologies") or ())
            for j, expression in enumerate(term.get("matchLabelExpressions") or ())
            for said in deprecated_label_warning(
                f"allowedTopologies[{i}].matchLabelExpressions[{j}].key", expression.get("key", "")
            )
        ]

    def cells(self, obj: Object, now: float) -> list[Any]:
        annotations = obj["metadata"].get("annotations") or {}
        is_default = any(annotations.get(key) == "true" for key in DEFAULT_ANNOTATIONS)
        return [
            obj["metadata"]["name"] + (" (default)" if is_default else ""),
            obj["provisioner"],
            obj["reclaimPolicy"],
            obj["volumeBindingMode"],
            obj.get("allowVolumeExpansion", False),
            printing.age(obj, now),
        ]


def _topologies_errors(topologies: Any) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: list[dict[str, set[str]]] = []
    for i, term in enumerate(topologies):
        path = f"allowedTopologies[{i}].matchLabelExpressions"
        values_by_key: dict[str, set[str]] = {}
        for j, expression in enumerate(term.get("matchLabelExpressions") or ()):
            key, values = expression.get("key", ""), expression.get("values") or ()
            where = f"{path}[{j}]"
            if not values:
                errors.append(required(f"{where}.values"))
            errors += [duplicate(f"{where}.values[{k}]", v) for k, v in enumerate(values) if v in values[:k]]
            errors += labels.validate_label_name(key, f"{where}.key")
            if key in values_by_key:
                errors.append(duplicate(f"{where}.key", key))
            values_by_key[key] = set(values)
        if values_by_key in seen:
            errors.append(duplicate(path, ""))
        seen.append(values_by_key)
    return errors
