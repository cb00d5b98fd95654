"""VolumeAttachment: a volume that is to be attached to a node."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.core import persistentvolume
from knarr.api.core.persistentvolumesource import csi_driver_name_errors
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, required, too_long

METADATA_BYTES_MAX = 256 * 1024
ERROR_BYTES_MAX = 1024
SOURCE: gostruct.Shape = (
    ("persistentVolumeName", "PersistentVolumeName", None),
    ("inlineVolumeSpec", "InlineVolumeSpec", gostruct.Pointer(persistentvolume.SPEC)),
)
SPEC: gostruct.Shape = (
    ("attacher", "Attacher", ""),
    ("source", "Source", SOURCE),
    ("nodeName", "NodeName", ""),
)


class VolumeAttachment(Kind):
    status_keeps_metadata = True
    allow_unconditional_update = False
    columns = (
        NAME,
        Column("Attacher", format="name", doc="storage.v1.VolumeAttachmentSpec.attacher"),
        Column("PV", doc="storage.v1.VolumeAttachmentSource.persistentVolumeName"),
        Column("Node", doc="storage.v1.VolumeAttachmentSpec.nodeName"),
        Column("Attached", "boolean", doc="storage.v1.VolumeAttachmentStatus.attached"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("attacher", "")
        spec.setdefault("nodeName", "")
        source = spec.setdefault("source", {})
        if "inlineVolumeSpec" in source:
            persistentvolume.default_spec(source["inlineVolumeSpec"])
            source["inlineVolumeSpec"].setdefault("volumeMode", "Filesystem")
        obj.setdefault("status", {}).setdefault("attached", False)

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"attached": False}

    def validate(self, obj: Object) -> list[FieldError]:
        errors = _errors(obj)
        if attacher := obj["spec"]["attacher"]:
            errors += csi_driver_name_errors("spec.attacher", attacher)
        if name := obj["spec"]["source"].get("persistentVolumeName"):
            errors += checks.dns_subdomain("spec.source.persistentVolumeName", name)
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = _errors(obj)
        if obj["spec"] != old["spec"]:
            errors.append(invalid("spec", gostruct.dump(obj["spec"], SPEC), checks.IMMUTABLE))
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate_update(obj, old)

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        return [
            obj["metadata"]["name"],
            spec["attacher"],
            spec["source"].get("persistentVolumeName", ""),
            spec["nodeName"],
            obj["status"].get("attached", False),
            printing.age(obj, now),
        ]


def _errors(attachment: Object) -> list[FieldError]:
    spec, status = attachment["spec"], attachment["status"]
    errors = checks.required_text("spec.attacher", spec["attacher"])
    errors += _source_errors(spec["source"], "spec.source")
    errors += checks.dns_subdomain("spec.nodeName", spec["nodeName"])
    metadata = status.get("attachmentMetadata") or {}
    if sum(names.byte_length(k) + names.byte_length(v) for k, v in metadata.items()) > METADATA_BYTES_MAX:
        errors.append(too_long("status.attachmentMetadata", METADATA_BYTES_MAX))
    for key in ("attachError", "detachError"):
        failure = status.get(key) or {}
        if names.byte_length(failure.get("message", "")) > ERROR_BYTES_MAX:
            errors.append(too_long(f"status.{key}.message", ERROR_BYTES_MAX))
        code = failure.get("errorCode")
        if code is not None:
            wrong = names.is_in_range(code, 0, 2**31 - 1)
            errors += checks.invalids(f"status.{key}.errorCode", code, wrong)
    return errors


def _source_errors(source: Object, path: str) -> list[FieldError]:
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    message = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if name is None and inline is None:
        return [required(path, message)]
    if name is not None and inline is not None:
        return [forbidden(path, message)]
    if inline is not None:
        return persistentvolume.spec_errors(inline, "", f"{path}.inlineVolumeSpec", inline=True)
    where = f"{path}.persistentVolumeName"
    return [] if name else [required(where, "must specify non empty persistentVolumeName")]
