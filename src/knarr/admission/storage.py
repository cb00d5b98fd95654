"""Storage: the default class of a claim, protection of what is in use, growing a claim."""

from __future__ import annotations

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.admission.newest import newest_default
from knarr.meta.quantity import Quantity
from knarr.registry.reader import Reader

GROUP = "storage.k8s.io"
CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
IS_DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
#: (group, resource) -> the finalizer that keeps an object while it is used
PROTECTION = {
    ("", CLAIMS): "kubernetes.io/pvc-protection",
    ("", VOLUMES): "kubernetes.io/pv-protection",
    (GROUP, "volumeattributesclasses"): "kubernetes.io/vac-protection",
}


class DefaultStorageClass(Plugin):
    name = "DefaultStorageClass"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, target: Target) -> bool:
        return target == Target("", CLAIMS, "", CREATE)

    def admit(self, a: Attributes) -> None:
        spec = a.obj["spec"]
        annotations = a.obj["metadata"].get("annotations") or {}
        if spec.get("storageClassName") is not None or OLD_CLASS in annotations:
            return  # the empty class is a choice too
        chosen = newest_default(self._reader.list(GROUP, "storageclasses"), IS_DEFAULT)
        if chosen is not None:
            spec["storageClassName"] = chosen["metadata"]["name"]


class StorageObjectInUseProtection(Plugin):
    name = "StorageObjectInUseProtection"

    def handles(self, target: Target) -> bool:
        mine = (target.group, target.resource) in PROTECTION
        return mine and not target.subresource and target.operation == CREATE

    def admit(self, a: Attributes) -> None:
        metadata = a.obj["metadata"]
        finalizer = PROTECTION[a.request.group, a.request.resource]
        finalizers = metadata.get("finalizers") or []
        if finalizer not in finalizers:
            metadata["finalizers"] = [*finalizers, finalizer]


class PersistentVolumeClaimResize(Plugin):
    name = "PersistentVolumeClaimResize"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def handles(self, target: Target) -> bool:
        return target == Target("", CLAIMS, "", UPDATE)

    def validate(self, a: Attributes) -> None:
        if _size(a.obj).compare(_size(a.old)) <= 0:
            return
        if (a.old.get("status") or {}).get("phase") != "Bound":
            raise a.forbidden("Only bound persistent volume claims can be expanded")
        if not self._growable(a.obj, a.old):
            raise a.forbidden(
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
                "must support resize"
            )

    def _growable(self, claim: Object, old: Object) -> bool:
        name = class_of(claim)
        if not name or name != class_of(old):
            return False
        found = self._reader.get(GROUP, "storageclasses", "", name)
        return bool(found and found.get("allowVolumeExpansion"))


def class_of(claim: Object) -> str:
    """The name of a claim's storage class, "" for none."""
    annotations = claim["metadata"].get("annotations") or {}
    return annotations.get(OLD_CLASS) or claim["spec"].get("storageClassName") or ""


def _size(claim: Object) -> Quantity:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return Quantity.parse(requests.get("storage", "0"))
