"""PersistentVolume: a piece of storage, and the claim it is bound to."""

from __future__ import annotations

import posixpath
from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.core import persistentvolumesource as sources
from knarr.api.core import resourcenames
from knarr.api.core.nodelabels import term_warnings
from knarr.api.core.podspec import nodeselector, volumedefaults
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import UNSET
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required
from knarr.meta.quantity import Quantity

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
MODE_LETTERS = (
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
)
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
VOLUME_MODES = ("Block", "Filesystem")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
MOUNT_OPTIONS_ANNOTATION = "volume.beta.kubernetes.io/mount-options"
BETA_LABELS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
#: sources that work no more
GONE = (
    ("cephfs", "cephfs: deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+"),
    ("rbd", "rbd: deprecated in v1.28, non-functional in v1.31+"),
    ("scaleIO", "scaleIO: deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS: deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs: deprecated in v1.25, non-functional in v1.26+"),
)
#: how a whole spec is printed, in messages about inline volumes
SPEC: gostruct.Shape = (
    ("capacity", "Capacity", None),
    *sources.SOURCES,
    ("accessModes", "AccessModes", None),
    ("claimRef", "ClaimRef", gostruct.Pointer(sources.OBJECT_REFERENCE)),
    ("persistentVolumeReclaimPolicy", "PersistentVolumeReclaimPolicy", ""),
    ("storageClassName", "StorageClassName", ""),
    ("mountOptions", "MountOptions", None),
    ("volumeMode", "VolumeMode", None),
    ("nodeAffinity", "NodeAffinity", None),
    ("volumeAttributesClassName", "VolumeAttributesClassName", None),
)


class PersistentVolume(Kind):
    columns = (
        NAME,
        Column("Capacity", doc="core.v1.PersistentVolumeSpec.capacity"),
        Column("Access Modes", doc="core.v1.PersistentVolumeSpec.accessModes"),
        Column("Reclaim Policy", doc="core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy"),
        Column("Status", doc="core.v1.PersistentVolumeStatus.phase"),
        Column("Claim", doc="core.v1.PersistentVolumeSpec.claimRef"),
        Column("StorageClass", "string", "", "StorageClass of the pv"),
        Column("VolumeAttributesClass", "string", "", "VolumeAttributesClass of the pv"),
        Column("Reason", doc="core.v1.PersistentVolumeStatus.reason"),
        AGE,
        Column("VolumeMode", doc="core.v1.PersistentVolumeSpec.volumeMode", priority=1),
    )

    def default(self, obj: Object) -> None:
        default_spec(obj.setdefault("spec", {}))
        obj["spec"].setdefault("persistentVolumeReclaimPolicy", "Retain")
        obj["spec"].setdefault("volumeMode", "Filesystem")
        obj.setdefault("status", {}).setdefault("phase", "Pending")

    def prepare_for_create(self, obj: Object) -> None:
        obj["status"] = {"phase": "Pending"}
        # the moment of creation, which metadata already knows
        if created := obj["metadata"].get("creationTimestamp"):
            obj["status"]["lastPhaseTransitionTime"] = created

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_status_update(obj, old)
        status, before = obj["status"], old["status"]
        key = "lastPhaseTransitionTime"
        if status.get("phase") != before.get("phase") and status.get(key) in (None, before.get(key)):
            # the moment of this write is the newest that field management knows
            times = [entry["time"] for entry in obj["metadata"].get("managedFields") or () if "time" in entry]
            if times:
                status[key] = max(times)

    def validate(self, obj: Object) -> list[FieldError]:
        return spec_errors(obj["spec"], obj["metadata"].get("name", ""), "spec")

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before = obj["spec"], old["spec"]
        errors = self.validate(obj) + _source_kept(spec, before)
        errors += checks.unchanged("volumeMode", spec.get("volumeMode"), before.get("volumeMode"))
        if "nodeAffinity" in before:
            errors += _affinity_kept(spec.get("nodeAffinity"), before["nodeAffinity"])
        if "volumeAttributesClassName" in before and "volumeAttributesClassName" not in spec:
            message = "update from non-nil value to nil is forbidden"
            errors.append(forbidden("spec.volumeAttributesClassName", message))
        return errors

    def warnings_on_create(self, obj: Object) -> list[str]:
        spec, annotations = obj["spec"], obj["metadata"].get("annotations") or ()
        said = []
        if CLASS_ANNOTATION in annotations:
            said.append(class_annotation_warning())
        if MOUNT_OPTIONS_ANNOTATION in annotations:
            where = f"metadata.annotations[{MOUNT_OPTIONS_ANNOTATION}]"
            said.append(f'{where}: deprecated since v1.31; use "mountOptions" attribute instead')
        if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
            said.append(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated."
                " Instead, the recommended approach is to use dynamic provisioning."
            )
        terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
        for i, term in enumerate(terms):
            said += term_warnings(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{i}]")
        said += [f"spec.{text}" for name, text in GONE if name in spec][:1]
        return said

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj["spec"], obj["status"]
        claim = spec.get("claimRef")
        return [
            obj["metadata"]["name"],
            (spec.get("capacity") or {}).get("storage", "0"),
            mode_letters(spec.get("accessModes")),
            spec.get("persistentVolumeReclaimPolicy", ""),
            phase(obj),
            f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
            storage_class(obj),
            spec.get("volumeAttributesClassName", UNSET),
            status.get("reason", ""),
            printing.age(obj, now),
            spec.get("volumeMode", UNSET),
        ]


def default_spec(spec: Object) -> None:
    """Defaults of the source; also for volumes inside VolumeAttachments."""
    resourcenames.round_up_to_milli(spec.get("capacity"))
    found = {name: spec[name] for name in sources.SOURCE_NAMES if name in spec}
    if found:
        volumedefaults.default_volume({"name": "", **found})


def class_annotation_warning() -> str:
    where = f"metadata.annotations[{CLASS_ANNOTATION}]"
    return f'{where}: deprecated since v1.8; use "storageClassName" attribute instead'


def phase(obj: Object) -> str:
    """What tables show: an object that is on its way out says so."""
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else obj["status"].get("phase", "")


def mode_letters(modes: Any) -> str:
    return ",".join(letters for mode, letters in MODE_LETTERS if mode in (modes or ()))


def storage_class(obj: Object) -> str:
    """The old annotation goes before the field."""
    annotations = obj["metadata"].get("annotations") or {}
    return annotations.get(CLASS_ANNOTATION) or obj["spec"].get("storageClassName", "")


# validation


def access_mode_errors(modes: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for mode in modes:
        errors += checks.one_of(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and any(m in ACCESS_MODES and m != "ReadWriteOncePod" for m in modes):
        errors.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def positive_errors(amount: str, path: str) -> list[FieldError]:
    if Quantity.parse(amount).nanos <= 0:
        return [invalid(path, amount, "must be greater than zero")]
    return []


def spec_errors(spec: Object, name: str, path: str, inline: bool = False) -> list[FieldError]:
    """`inline`: the spec of a volume that has no PersistentVolume, inside a VolumeAttachment."""
    modes = spec.get("accessModes") or ()
    errors = _not_inline(spec, path) if inline else []
    if not modes:
        errors.append(required(f"{path}.accessModes"))
    errors += access_mode_errors(modes, f"{path}.accessModes")
    if not inline:
        errors += _capacity_errors(spec.get("capacity"), f"{path}.capacity")
    errors += _policy_errors(spec, path, inline)
    affinity = spec.get("nodeAffinity")
    if affinity is not None and inline:
        errors.append(
            forbidden(f"{path}.nodeAffinity", "may not be specified in the context of inline volumes")
        )
    elif affinity is not None:
        errors += _affinity_errors(affinity, f"{path}.nodeAffinity")
    errors += sources.sources_errors(spec, name, path, affinity is not None and not inline)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if "hostPath" in spec and policy == "Recycle" and _is_root(spec["hostPath"].get("path", "")):
        message = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden(f"{path}.persistentVolumeReclaimPolicy", message))
    return errors + _class_errors(spec, path, inline)


def _is_root(text: str) -> bool:
    return bool(text) and posixpath.normpath(text) in ("/", "//")


def _not_inline(spec: Object, path: str) -> list[FieldError]:
    message = "may not be specified in the context of inline volumes"
    errors = [forbidden(f"{path}.{key}", message) for key in ("claimRef", "capacity") if spec.get(key)]
    if "csi" not in spec:
        errors.append(required(f"{path}.csi", "has to be specified in the context of inline volumes"))
    return errors


def _capacity_errors(capacity: dict[str, str] | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not capacity:
        errors.append(required(path))
    if not capacity or "storage" not in capacity or len(capacity) > 1:
        errors.append(not_supported(path, gostruct.in_order(capacity), ("storage",)))
    for name, amount in sorted((capacity or {}).items()):
        value = Quantity.parse(amount).value
        if value < 0:
            errors.append(invalid(f"{path}[{name}]", value, "must be a valid resource quantity"))
        errors += positive_errors(amount, f"{path}[{name}]")
    return errors


def _policy_errors(spec: Object, path: str, inline: bool) -> list[FieldError]:
    policy = spec.get("persistentVolumeReclaimPolicy")
    path += ".persistentVolumeReclaimPolicy"
    if not policy:
        return []
    if inline:
        message = "may only be Retain in the context of inline volumes"
        return [] if policy == "Retain" else [forbidden(path, message)]
    return checks.one_of(path, policy, RECLAIM_POLICIES)


def _affinity_errors(affinity: Object, path: str) -> list[FieldError]:
    if affinity.get("required") is None:
        return [required(f"{path}.required", "must specify required node constraints")]
    errors: list[FieldError] = []
    nodeselector.validate_node_selector(affinity["required"], f"{path}.required", errors)
    return errors


def _class_errors(spec: Object, path: str, inline: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if name := spec.get("storageClassName"):
        where = f"{path}.storageClassName"
        if inline:
            errors.append(forbidden(where, "may not be specified in the context of inline volumes"))
        else:
            errors += checks.dns_subdomain(where, name)
    mode = spec.get("volumeMode")
    if mode is not None and inline:
        if mode != "Filesystem":
            message = "may not specify volumeMode other than Filesystem in the context of inline volumes"
            errors.append(forbidden(f"{path}.volumeMode", message))
    elif mode is not None:
        errors += checks.one_of(f"{path}.volumeMode", mode, VOLUME_MODES)
    name = spec.get("volumeAttributesClassName")
    if name is not None:
        where = f"{path}.volumeAttributesClassName"
        errors += (
            checks.dns_subdomain(where, name) if name else [required(where, "an empty string is disallowed")]
        )
        if "csi" not in spec:
            errors.append(required(f"{path}.csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def _source_kept(spec: Object, before: Object) -> list[FieldError]:
    new = {name: spec[name] for name in sources.SOURCE_NAMES if name in spec}
    old = {name: before[name] for name in sources.SOURCE_NAMES if name in before}
    # a secret for expansion may be added later
    if "csi" in new and "csi" in old and "controllerExpandSecretRef" not in old["csi"]:
        new["csi"] = {k: v for k, v in new["csi"].items() if k != "controllerExpandSecretRef"}
    if new == old:
        return []
    difference = gostruct.difference(gostruct.dump(old, sources.SOURCES), gostruct.dump(new, sources.SOURCES))
    path = "spec.persistentvolumesource"
    return [forbidden(path, f"{path} is immutable after creation\n{difference}")]


def _affinity_kept(affinity: Object | None, before: Object) -> list[FieldError]:
    """Keys may change from their beta names to the final ones."""
    if affinity == before or (affinity and _with_final_labels(before, affinity) == affinity):
        return []
    message = "field is immutable, except for updating from beta label to GA"
    return [invalid("nodeAffinity", affinity, message)]


def _with_final_labels(before: Object, affinity: Object) -> Object:
    """`before` with each key renamed that `affinity` has renamed."""
    old_terms = (before.get("required") or {}).get("nodeSelectorTerms") or ()
    new_terms = (affinity.get("required") or {}).get("nodeSelectorTerms") or ()
    terms = []
    for i, term in enumerate(old_terms):
        new = (new_terms[i] if i < len(new_terms) else {}).get("matchExpressions") or ()
        expressions = []
        for j, expression in enumerate(term.get("matchExpressions") or ()):
            wanted = new[j].get("key") if j < len(new) else None
            renamed = BETA_LABELS.get(expression.get("key", ""))
            expressions.append({**expression, "key": wanted} if wanted and wanted == renamed else expression)
        terms.append({**term, "matchExpressions": expressions} if expressions else term)
    return {**before, "required": {**(before.get("required") or {}), "nodeSelectorTerms": terms}}
