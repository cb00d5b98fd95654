"""Volumes of pods, one check per kind of source."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from knarr.api.core.podspec.mounts import Volumes
from knarr.api.core.podspec.paths import (
    Errors,
    add,
    file_mode,
    local_descending,
    no_backsteps,
)
from knarr.api.core.podspec.projected import key_to_path, validate_downward_items, validate_projected
from knarr.meta import names
from knarr.meta.fielderrors import duplicate, forbidden, invalid, not_supported, required, too_long
from knarr.meta.labels import validate_labels
from knarr.meta.objectmeta import validate_annotations
from knarr.meta.quantity import Quantity

Spec = dict[str, Any]
Check = Callable[[Spec, str, Errors], None]

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
#: metadata that a claim's template cannot have, in the order of Go's struct, and how the path shows it
_NOT_OF_TEMPLATES = (
    ("name", "name"),
    ("generateName", "generateName"),
    ("namespace", "namespace"),
    ("selfLink", "selfLink"),
    ("uid", "uID"),
    ("resourceVersion", "resourceVersion"),
    ("generation", "generation"),
    ("creationTimestamp", "creationTimestamp"),
    ("deletionTimestamp", "deletionTimestamp"),
    ("deletionGracePeriodSeconds", "deletionGracePeriodSeconds"),
    ("ownerReferences", "ownerReferences"),
    ("finalizers", "finalizers"),
    ("managedFields", "managedFields"),
)
_SECOND = "may not specify more than 1 volume type"
_PARTITION = "must be between 1 and 255, inclusive"
_PORTAL_MAX = 64
_iqn = re.compile(r"iqn\.\d{4}-\d{2}\.[A-Za-z0-9.-]+:[^,;*&$|\s]+\Z", re.ASCII).search
_eui = re.compile(r"eui.[A-Za-z0-9]{16}").fullmatch
_naa = re.compile(r"naa.[A-Za-z0-9]{32}").fullmatch
_INITIATORS = {"iqn": _iqn, "eui": _eui, "naa": _naa}


def validate_volumes(spec: Spec, pod_name: str, is_pod: bool, base: str, errors: Errors) -> Volumes:
    """The sound volumes by name; without a pod's name what follows from it is left unchecked."""
    sound: Volumes = {}
    volumes = spec.get("volumes", ())
    made = {f"{pod_name}-{v.get('name', '')}" for v in volumes if "ephemeral" in v} if pod_name else ()
    for index, volume in enumerate(volumes):
        before = len(errors)
        name = volume.get("name", "")
        _validate_source(volume, name, pod_name, is_pod, f"{base}[{index}]", errors)
        if not name:
            errors.append(required(f"{base}[{index}].name"))
        elif wrong := names.is_dns1123_label(name):
            add(errors, f"{base}[{index}].name", name, wrong)
        if name in sound:
            errors.append(duplicate(f"{base}[{index}].name", name))
        if len(errors) == before:
            sound[name] = volume
        claim = volume.get("persistentVolumeClaim", {}).get("claimName", "") if made else ""
        if claim and claim in made:
            message = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid(f"{base}[{index}].persistentVolumeClaim.claimName", claim, message))
    return sound


def _validate_source(volume: Spec, name: str, pod_name: str, is_pod: bool, path: str, errors: Errors) -> None:
    if len(volume) == 2:
        first, second = volume
        kinds = [first if second == "name" else second]
    else:
        kinds = [kind for kind in _CHECKS if kind in volume]
    if not kinds or kinds[0] not in _CHECKS:
        errors.append(required(path, "must specify a volume type"))
        return
    kind = kinds[0]
    _CHECKS[kind](volume[kind], f"{path}.{_SHOWN_AS.get(kind, kind)}", errors)
    _validate_with_name(kind, volume[kind], name, pod_name, is_pod, path, errors)
    for other in kinds[1:]:
        errors.append(forbidden(f"{path}.{_SECOND_SHOWN_AS.get(other, other)}", _SECOND))


def _validate_with_name(
    kind: str, source: Spec, name: str, pod_name: str, is_pod: bool, path: str, errors: Errors
) -> None:
    """What takes the volume's or the pod's name into account."""
    if kind == "iscsi" and "initiatorName" in source:
        if len(f"{name}:{source.get('targetPortal', '')}") > _PORTAL_MAX:
            message = (
                "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters"
                " if iscsi.initiatorName is specified."
            )
            errors.append(invalid(f"{path}.name", name, message))
    elif kind == "ephemeral" and pod_name and name:
        claim = f"{pod_name}-{name}"
        for message in names.is_dns1123_subdomain(claim):
            errors.append(invalid(f"{path}.name", name, f'PVC name "{claim}": {message}'))
    elif kind == "image" and is_pod and not source.get("reference"):
        errors.append(required(f"{path}.image.reference"))


def _needs(*fields: str) -> Check:
    """A source of which only some fields must be there."""

    def check(source: Spec, path: str, errors: Errors) -> None:
        for field in fields:
            if not source.get(field):
                errors.append(required(f"{path}.{field}"))

    return check


def _empty_dir(source: Spec, path: str, errors: Errors) -> None:
    limit = source.get("sizeLimit")
    if limit is not None and Quantity.parse(limit).nanos < 0:
        errors.append(forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def _host_path(source: Spec, path: str, errors: Errors) -> None:
    if not source.get("path"):
        errors.append(required(f"{path}.path"))
        return
    no_backsteps(f"{path}.path", source["path"], errors)
    if source.get("type", "") not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", source["type"], _HOST_PATH_TYPES))


def _git_repo(source: Spec, path: str, errors: Errors) -> None:
    if not source.get("repository"):
        errors.append(required(f"{path}.repository"))
    local_descending(f"{path}.directory", source.get("directory", ""), errors)


def _disk(id_field: str) -> Check:
    def check(source: Spec, path: str, errors: Errors) -> None:
        if not source.get(id_field):
            errors.append(required(f"{path}.{id_field}"))
        if not 0 <= source.get("partition", 0) <= 255:
            errors.append(invalid(f"{path}.partition", source["partition"], _PARTITION))

    return check


def _secret(source: Spec, path: str, errors: Errors) -> None:
    if not source.get("secretName"):
        errors.append(required(f"{path}.secretName"))
    _keys(source, path, errors)


def _config_map(source: Spec, path: str, errors: Errors) -> None:
    if not source.get("name"):
        errors.append(required(f"{path}.name"))
    _keys(source, path, errors)


def _keys(source: Spec, path: str, errors: Errors) -> None:
    file_mode(f"{path}.defaultMode", source.get("defaultMode"), errors)
    for index, item in enumerate(source.get("items", ())):
        key_to_path(item, f"{path}.items[{index}]", errors)


def _nfs(source: Spec, path: str, errors: Errors) -> None:
    _needs("server", "path")(source, path, errors)
    if not source.get("path", "").startswith("/"):
        errors.append(invalid(f"{path}.path", source.get("path", ""), "must be an absolute path"))


def _iscsi(source: Spec, path: str, errors: Errors) -> None:
    if not source.get("targetPortal"):
        errors.append(required(f"{path}.targetPortal"))
    if not source.get("iqn"):
        errors.append(required(f"{path}.iqn"))
    else:
        _initiator(source["iqn"], f"{path}.iqn", errors)
    if not 0 <= source.get("lun", 0) <= 255:
        errors.append(invalid(f"{path}.lun", source["lun"], names.inclusive_range_error(0, 255)))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and "secretRef" not in source:
        errors.append(required(f"{path}.secretRef"))
    if "initiatorName" in source:
        _initiator(source["initiatorName"], f"{path}.initiatorname", errors)


def _initiator(name: str, path: str, errors: Errors) -> None:
    form = _INITIATORS.get(name[:3])
    if form is None:
        errors.append(invalid(path, name, "must be valid format starting with iqn, eui, or naa"))
    elif not form(name):
        errors.append(invalid(path, name, "must be valid format"))


def _flocker(source: Spec, path: str, errors: Errors) -> None:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        message = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(invalid(path, "resource", message))
    if "/" in name:
        errors.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))


def _cinder(source: Spec, path: str, errors: Errors) -> None:
    _needs("volumeID")(source, path, errors)
    _secret_ref(source, path, errors)


def _secret_ref(source: Spec, path: str, errors: Errors) -> None:
    if "secretRef" in source and not source["secretRef"].get("name"):
        errors.append(required(f"{path}.secretRef.name"))


def _quobyte(source: Spec, path: str, errors: Errors) -> None:
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    registry = source.get("registry", "")
    if not registry:
        errors.append(required(f"{path}.registry", pairs))
    elif len(source.get("tenant", "")) >= 65:
        message = "must be a UUID and may not exceed a length of 64 characters"
        errors.append(required(f"{path}.tenant", message))
    else:
        for pair in registry.split(","):
            if not re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:]*", pair):
                errors.append(invalid(f"{path}.registry", registry, pairs))
    if not source.get("volume"):
        errors.append(required(f"{path}.volume"))


def _downward(source: Spec, path: str, errors: Errors) -> None:
    file_mode(f"{path}.defaultMode", source.get("defaultMode"), errors)
    validate_downward_items(source, path, errors)


def _fc(source: Spec, path: str, errors: Errors) -> None:
    targets, wwids, lun = source.get("targetWWNs"), source.get("wwids"), source.get("lun")
    path, lun_path = f"{path}.targetWWNs", f"{path}.lun"
    if not targets and not wwids:
        errors.append(required(path, "must specify either targetWWNs or wwids, but not both"))
    if targets and wwids:
        errors.append(invalid(path, targets, "targetWWNs and wwids can not be specified simultaneously"))
    if targets:
        if lun is None:
            errors.append(required(lun_path, "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            errors.append(invalid(lun_path, lun, names.inclusive_range_error(0, 255)))


def _flex(source: Spec, path: str, errors: Errors) -> None:
    _needs("driver")(source, path, errors)
    for key in source.get("options", ()):
        namespace = "." + key.partition("/")[0].lower()
        if namespace.endswith((".kubernetes.io", ".k8s.io")):
            message = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid(f"{path}.options[{key}]", key, message))


def _azure_disk(source: Spec, path: str, errors: Errors) -> None:
    _needs("diskName", "diskURI")(source, path, errors)
    uri, kind = source.get("diskURI", ""), source.get("kind", "")
    for field, supported in (
        ("cachingMode", ("None", "ReadOnly", "ReadWrite")),
        ("kind", ("Dedicated", "Managed", "Shared")),
    ):
        if field in source and source[field] not in supported:
            errors.append(not_supported(f"{path}.{field}", source[field], supported))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        wanted = (
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
        )
        errors.append(not_supported(f"{path}.diskURI", uri, (wanted,)))
    if "kind" in source and kind != "Managed" and not uri.startswith("https://"):
        wanted = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
        errors.append(not_supported(f"{path}.diskURI", uri, (wanted,)))


def _storage_os(source: Spec, path: str, errors: Errors) -> None:
    name, namespace = source.get("volumeName", ""), source.get("volumeNamespace", "")
    if not name:
        errors.append(required(f"{path}.volumeName"))
    else:
        add(errors, f"{path}.volumeName", name, names.is_dns1123_label(name))
    if namespace:
        add(errors, f"{path}.volumeNamespace", namespace, names.is_dns1123_label(namespace))
    _secret_ref(source, path, errors)


def _projected(source: Spec, path: str, errors: Errors) -> None:
    file_mode(f"{path}.defaultMode", source.get("defaultMode"), errors)
    validate_projected(source, path, errors)


def _csi(source: Spec, path: str, errors: Errors) -> None:
    validate_csi_driver(source.get("driver", ""), f"{path}.driver", errors)
    if "nodePublishSecretRef" in source:
        name = source["nodePublishSecretRef"].get("name", "")
        if not name:
            errors.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            # the path is Kubernetes' own
            add(errors, f"{path}.name", name, names.is_dns1123_subdomain(name))


def validate_csi_driver(name: str, path: str, errors: Errors) -> None:
    if not name:
        errors.append(required(path))
        return
    if len(name) > 63:
        errors.append(too_long(path, 63))
    add(errors, path, name, names.is_dns1123_subdomain(name.lower()))


def _ephemeral(source: Spec, path: str, errors: Errors) -> None:
    template = source.get("volumeClaimTemplate")
    path = f"{path}.volumeClaimTemplate"
    if template is None:
        errors.append(required(path))
        return
    from knarr.api.core.persistentvolumeclaim import spec_errors  # few pods have such volumes

    metadata = template.get("metadata", {})
    errors += validate_annotations(metadata.get("annotations"), f"{path}.metadata.annotations")
    errors += validate_labels(metadata.get("labels"), f"{path}.metadata.labels")
    for field, shown in _NOT_OF_TEMPLATES:
        if metadata.get(field):
            errors.append(forbidden(f"{path}.metadata.{shown}", "cannot be set"))
    errors += spec_errors(template.get("spec", {}), f"{path}.spec")


def _image(source: Spec, path: str, errors: Errors) -> None:
    policy = source.get("pullPolicy", "")
    if policy not in _PULL_POLICIES:
        errors.append(not_supported(f"{path}.pullPolicy", policy, _PULL_POLICIES))


#: in the order in which a second source is refused
_CHECKS: dict[str, Check] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": _disk("pdName"),
    "awsElasticBlockStore": _disk("volumeID"),
    "secret": _secret,
    "nfs": _nfs,
    "iscsi": _iscsi,
    "glusterfs": _needs("endpoints", "path"),
    "flocker": _flocker,
    "persistentVolumeClaim": _needs("claimName"),
    "rbd": _needs("monitors", "image"),
    "cinder": _cinder,
    "cephfs": _needs("monitors"),
    "quobyte": _quobyte,
    "downwardAPI": _downward,
    "fc": _fc,
    "flexVolume": _flex,
    "configMap": _config_map,
    "azureFile": _needs("secretName", "shareName"),
    "vsphereVolume": _needs("volumePath"),
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "azureDisk": _azure_disk,
    "storageos": _storage_os,
    "projected": _projected,
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
#: where Kubernetes' own paths differ from the field's name
_SHOWN_AS = {"gcePersistentDisk": "persistentDisk"}
_SECOND_SHOWN_AS = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
