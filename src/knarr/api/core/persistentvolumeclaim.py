"""PersistentVolumeClaim: storage that a pod asks for."""

from __future__ import annotations

import copy
from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.core import persistentvolume as volume
from knarr.api.core import resourcenames
from knarr.api.core.podspec import volumedefaults
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import UNSET
from knarr.meta import labels, quantity
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required
from knarr.meta.quantity import Quantity

SNAPSHOT_GROUP = "snapshot.storage.k8s.io"
RESIZE_STATES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)
AMOUNTS: gostruct.Shape = (("limits", "Limits", None), ("requests", "Requests", None))
DATA_SOURCE: gostruct.Shape = (("apiGroup", "APIGroup", None), ("kind", "Kind", ""), ("name", "Name", ""))
SPEC: gostruct.Shape = (
    ("accessModes", "AccessModes", None),
    ("selector", "Selector", None),
    ("resources", "Resources", AMOUNTS),
    ("volumeName", "VolumeName", ""),
    ("storageClassName", "StorageClassName", None),
    ("volumeMode", "VolumeMode", None),
    ("dataSource", "DataSource", gostruct.Pointer(DATA_SOURCE)),
    ("dataSourceRef", "DataSourceRef", gostruct.Pointer((*DATA_SOURCE, ("namespace", "Namespace", None)))),
    ("volumeAttributesClassName", "VolumeAttributesClassName", None),
)


class PersistentVolumeClaim(Kind):
    columns = (
        NAME,
        Column("Status", doc="core.v1.PersistentVolumeClaimStatus.phase"),
        Column("Volume", doc="core.v1.PersistentVolumeClaimSpec.volumeName"),
        Column("Capacity", doc="core.v1.PersistentVolumeClaimStatus.capacity"),
        Column("Access Modes", doc="core.v1.PersistentVolumeClaimStatus.accessModes"),
        Column("StorageClass", "string", "", "StorageClass of the pvc"),
        Column("VolumeAttributesClass", "string", "", "VolumeAttributesClass of the pvc"),
        AGE,
        Column("VolumeMode", doc="core.v1.PersistentVolumeClaimSpec.volumeMode", priority=1),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        volumedefaults.default_claim_spec(spec)
        for key in ("dataSource", "dataSourceRef"):
            if key in spec:
                spec[key].setdefault("apiGroup", None)
        for amounts in spec["resources"].values():
            resourcenames.round_up_to_milli(amounts)
        obj.setdefault("status", {}).setdefault("phase", "Pending")

    def prepare_for_create(self, obj: Object) -> None:
        obj["status"] = {"phase": "Pending"}
        settle_data_sources(obj["spec"])

    def validate(self, obj: Object) -> list[FieldError]:
        return spec_errors(obj["spec"], "spec")

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        self.keep(obj, old, "status")
        settle_data_sources(obj["spec"], old["spec"])

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _update_errors(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _status_errors(obj)

    def warnings_on_create(self, obj: Object) -> list[str]:
        said = []
        if volume.CLASS_ANNOTATION in (obj["metadata"].get("annotations") or ()):
            said.append(volume.class_annotation_warning())
        return said + spec_warnings(obj["spec"], "spec")

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj["spec"], obj["status"]
        bound = spec.get("volumeName", "")
        return [
            obj["metadata"]["name"],
            volume.phase(obj),
            bound,
            (status.get("capacity") or {}).get("storage", "0") if bound else "",
            volume.mode_letters(status.get("accessModes")) if bound else "",
            volume.storage_class(obj),
            spec.get("volumeAttributesClassName", UNSET),
            printing.age(obj, now),
            spec.get("volumeMode", UNSET),
        ]


def settle_data_sources(spec: Object, before: Object | None = None) -> None:
    """dataSource names claims and snapshots only; it and dataSourceRef say the same."""
    before = before or {}
    if (spec.get("dataSourceRef") or {}).get("namespace") and "dataSourceRef" not in before:
        # sources in other namespaces are a feature that is off
        del spec["dataSourceRef"]
    if "dataSource" in spec and not before.get("dataSource") and not before.get("dataSourceRef"):
        if not _is_claim_or_snapshot(spec["dataSource"]):
            del spec["dataSource"]
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and ref is None:
        spec["dataSourceRef"] = dict(source)
    elif ref is not None and source is None and not ref.get("namespace"):
        spec["dataSource"] = {k: v for k, v in ref.items() if k != "namespace"}


def _is_claim_or_snapshot(source: Object) -> bool:
    kind, group = source.get("kind"), source.get("apiGroup") or ""
    return (kind == "PersistentVolumeClaim" and not group) or (
        kind == "VolumeSnapshot" and group == SNAPSHOT_GROUP
    )


def spec_warnings(spec: Object, path: str) -> list[str]:
    """Also of claims in templates."""
    said = []
    for key in ("requests", "limits"):
        amount = (spec.get("resources", {}).get(key) or {}).get("storage")
        if amount is not None and Quantity.parse(amount).milli % 1000:
            where = f"{path}.resources.{key}[storage]"
            said.append(f'{where}: fractional byte value "{amount}" is invalid, must be an integer')
    return said


# validation


def spec_errors(spec: Object, path: str, before: Object | None = None) -> list[FieldError]:
    """Of claims and of claims in templates; data sources that `before` has may keep their odd groups."""
    modes = spec.get("accessModes") or ()
    errors: list[FieldError] = []
    if not modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    if spec.get("selector") is not None:
        errors += labels.validate_label_selector(spec["selector"], f"{path}.selector")
    errors += volume.access_mode_errors(modes, f"{path}.accessModes")
    errors += _size_errors(
        (spec.get("resources", {}).get("requests") or {}).get("storage"), f"{path}.resources[storage]"
    )
    if name := spec.get("storageClassName"):
        errors += checks.dns_subdomain(f"{path}.storageClassName", name)
    if spec.get("volumeMode") is not None:
        errors += checks.one_of(f"{path}.volumeMode", spec["volumeMode"], volume.VOLUME_MODES)
    errors += _data_source_errors(spec, path, before or {})
    if name := spec.get("volumeAttributesClassName"):
        errors += checks.dns_subdomain(f"{path}.volumeAttributesClassName", name)
    return errors


def _size_errors(amount: str | None, path: str) -> list[FieldError]:
    if amount is None:
        return [required(path)]
    return volume.positive_errors(amount, path) or resourcenames.amount_errors(path, "storage", amount)


def _data_source_errors(spec: Object, path: str, before: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    known = any(
        (before.get(key) or {}).get("apiGroup") is not None for key in ("dataSource", "dataSourceRef")
    )
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    for key, given in (("dataSource", source), ("dataSourceRef", ref)):
        if given is not None:
            errors += _reference_errors(given, f"{path}.{key}", known)
    namespace = (ref or {}).get("namespace")
    if namespace:
        errors += checks.dns_label(f"{path}.dataSourceRef.namespace", namespace)
        if source is not None:
            # Kubernetes shows a path here, which prints as nothing
            errors.append(invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified"))
    elif source is not None and ref is not None:
        if any(source.get(key) != ref.get(key) for key in ("apiGroup", "kind", "name")):
            errors.append(invalid(path, {}, "must match dataSourceRef"))
    return errors


def _reference_errors(source: Object, path: str, known: bool) -> list[FieldError]:
    kind, group = source.get("kind", ""), source.get("apiGroup") or ""
    errors = [required(f"{path}.{key}") for key in ("name", "kind") if not source.get(key)]
    if not group and kind != "PersistentVolumeClaim":
        message = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid(path, kind, message))
    if group and not known:
        errors += checks.dns_subdomain(f"{path}.apiGroup", group)
    return errors


def _update_errors(obj: Object, old: Object) -> list[FieldError]:
    spec, before = obj["spec"], old["spec"]
    errors = spec_errors(spec, "spec", before)
    new_annotations, old_annotations = (
        obj["metadata"].get("annotations") or {},
        old["metadata"].get("annotations") or {},
    )
    compared, expected = copy.deepcopy(spec), copy.deepcopy(before)
    if not before.get("volumeName"):
        _copy(spec, expected, "volumeName")
    key = volume.CLASS_ANNOTATION
    if _class_moved_to_field(spec, before, new_annotations, old_annotations):
        compared.pop("storageClassName", None)
    else:
        if new_annotations.get(key, "") != old_annotations.get(key, ""):
            path = f"metadata.annotations.{key}"
            errors.append(invalid(path, new_annotations.get(key, ""), checks.IMMUTABLE))
        if "storageClassName" not in before and old_annotations.get(
            key, spec.get("storageClassName")
        ) == spec.get("storageClassName"):
            compared.pop("storageClassName", None)
    if obj["status"].get("phase") == "Bound":
        if "requests" in compared.get("resources", {}):
            _copy(
                before.get("resources", {}).get("requests") or {},
                compared["resources"]["requests"],
                "storage",
            )
        if "volumeAttributesClassName" in compared:
            _copy(before, compared, "volumeAttributesClassName")
    if compared != expected:
        difference = gostruct.difference(gostruct.dump(expected, SPEC), gostruct.dump(compared, SPEC))
        message = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        errors.append(forbidden("spec", f"{message}\n{difference}"))
    errors += _shrink_errors(spec, before, old)
    errors += checks.unchanged("volumeMode", spec.get("volumeMode"), before.get("volumeMode"))
    return errors + _class_kept(spec, before)


def _copy(source: Object, target: Object, key: str) -> None:
    if key in source:
        target[key] = source[key]
    else:
        target.pop(key, None)


def _class_moved_to_field(spec: Object, before: Object, annotations: Object, old_annotations: Object) -> bool:
    """The beta annotation became the field, with the same value."""
    key = volume.CLASS_ANNOTATION
    was = old_annotations.get(key)
    return (
        was is not None
        and "storageClassName" not in before
        and spec.get("storageClassName") == was
        and annotations.get(key, was) == was
    )


def _shrink_errors(spec: Object, before: Object, old: Object) -> list[FieldError]:
    """A request may shrink to undo a failed expansion, but not to what is there already."""
    new_size = (spec.get("resources", {}).get("requests") or {}).get("storage", "0")
    old_size = (before.get("resources", {}).get("requests") or {}).get("storage", "0")
    held = (old["status"].get("capacity") or {}).get("storage", "0")
    if quantity.compare(new_size, old_size) < 0 and quantity.compare(new_size, held) <= 0:
        return [forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]
    return []


def _class_kept(spec: Object, before: Object) -> list[FieldError]:
    new, old = spec.get("volumeAttributesClassName"), before.get("volumeAttributesClassName")
    if old is None or new:
        return []
    what = "nil" if new is None else "an empty string"
    return [forbidden("spec.volumeAttributesClassName", f"update from non-nil value to {what} is forbidden")]


def _status_errors(claim: Object) -> list[FieldError]:
    status = claim["status"]
    errors: list[FieldError] = []
    if not claim["spec"].get("accessModes"):
        errors.append(required("Spec.accessModes"))
    for name, amount in sorted((status.get("capacity") or {}).items()):
        errors += _basic_errors(amount, f"status.capacity[{name}]")
    path = "status.allocatedResourceStatus"
    for name, state in sorted((status.get("allocatedResourceStatuses") or {}).items()):
        errors += _key_errors(name, path)
        if state not in RESIZE_STATES:
            errors.append(not_supported(path, name, RESIZE_STATES))
    path = "status.allocatedResources"
    for name, amount in sorted((status.get("allocatedResources") or {}).items()):
        where = f"{path}[{name}]"
        errors += (
            _key_errors(name, path)
            or _basic_errors(amount, where)
            or resourcenames.amount_errors(where, "storage", amount)
        )
    return errors


def _basic_errors(amount: str, path: str) -> list[FieldError]:
    value = Quantity.parse(amount).value
    return [invalid(path, value, "must be a valid resource quantity")] if value < 0 else []


def _key_errors(name: str, path: str) -> list[FieldError]:
    """Of Kubernetes' own resources a claim has only storage."""
    if errors := checks.qualified_name(path, name):
        return errors
    if resourcenames.is_native(name) and name != "storage":
        return [not_supported(path, name, ("storage",))]
    return []
