"""ResourceClaimTemplate: claims made for one pod each."""

from __future__ import annotations

from knarr.api.kind import AGE, NAME, Kind, Object
from knarr.api.resource import deviceclaims
from knarr.meta import labels, objectmeta
from knarr.meta.fielderrors import FieldError

SPEC = (
    ("metadata", "ObjectMeta", (("labels", "labels", None), ("annotations", "annotations", None))),
    ("spec", "Spec", deviceclaims.SPEC),
)


class ResourceClaimTemplate(Kind):
    columns = (NAME, AGE)

    def default(self, obj: Object) -> None:
        spec = obj["spec"]
        spec.setdefault("metadata", {})
        deviceclaims.default(spec["spec"])

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        metadata = spec.get("metadata") or {}
        found = labels.validate_labels(metadata.get("labels"), "spec.metadata.labels")
        found += objectmeta.validate_annotations(metadata.get("annotations"), "spec.metadata.annotations")
        return found + deviceclaims.errors(spec["spec"], "spec.spec")

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return deviceclaims.immutable("spec", obj["spec"], old["spec"], SPEC)
