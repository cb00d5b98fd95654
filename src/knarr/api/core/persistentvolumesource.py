"""The kinds of storage that can be behind a PersistentVolume: which fields each needs, and how Go prints them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from knarr.api import checks
from knarr.api.gostruct import Pointer, Shape, strings
from knarr.api.kind import Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required

Check = Callable[[Object, str], list[FieldError]]

HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
SECRET: Shape = strings("name", "namespace")
FS: tuple[str, str, Any] = ("fsType", "FSType", "")
READ_ONLY: tuple[str, str, Any] = ("readOnly", "ReadOnly", False)
SECRET_REF: tuple[str, str, Any] = ("secretRef", "SecretRef", Pointer(SECRET))
OBJECT_REFERENCE: Shape = (
    ("kind", "Kind", ""),
    ("namespace", "Namespace", ""),
    ("name", "Name", ""),
    ("uid", "UID", ""),
    ("apiVersion", "APIVersion", ""),
    ("resourceVersion", "ResourceVersion", ""),
    ("fieldPath", "FieldPath", ""),
)

#: in the order of the internal type
SOURCES: Shape = (
    (
        "gcePersistentDisk",
        "GCEPersistentDisk",
        Pointer((("pdName", "PDName", ""), FS, ("partition", "Partition", 0), READ_ONLY)),
    ),
    (
        "awsElasticBlockStore",
        "AWSElasticBlockStore",
        Pointer((("volumeID", "VolumeID", ""), FS, ("partition", "Partition", 0), READ_ONLY)),
    ),
    ("hostPath", "HostPath", Pointer((("path", "Path", ""), ("type", "Type", None)))),
    (
        "glusterfs",
        "Glusterfs",
        Pointer(
            (
                ("endpoints", "EndpointsName", ""),
                ("path", "Path", ""),
                READ_ONLY,
                ("endpointsNamespace", "EndpointsNamespace", None),
            )
        ),
    ),
    ("nfs", "NFS", Pointer((*strings("server", "path"), READ_ONLY))),
    (
        "rbd",
        "RBD",
        Pointer(
            (
                ("monitors", "CephMonitors", None),
                ("image", "RBDImage", ""),
                FS,
                ("pool", "RBDPool", ""),
                ("user", "RadosUser", ""),
                ("keyring", "Keyring", ""),
                SECRET_REF,
                READ_ONLY,
            )
        ),
    ),
    (
        "quobyte",
        "Quobyte",
        Pointer((*strings("registry", "volume"), READ_ONLY, *strings("user", "group", "tenant"))),
    ),
    (
        "iscsi",
        "ISCSI",
        Pointer(
            (
                ("targetPortal", "TargetPortal", ""),
                ("iqn", "IQN", ""),
                ("lun", "Lun", 0),
                ("iscsiInterface", "ISCSIInterface", ""),
                FS,
                READ_ONLY,
                ("portals", "Portals", None),
                ("chapAuthDiscovery", "DiscoveryCHAPAuth", False),
                ("chapAuthSession", "SessionCHAPAuth", False),
                SECRET_REF,
                ("initiatorName", "InitiatorName", None),
            )
        ),
    ),
    (
        "flexVolume",
        "FlexVolume",
        Pointer((("driver", "Driver", ""), FS, SECRET_REF, READ_ONLY, ("options", "Options", None))),
    ),
    ("cinder", "Cinder", Pointer((("volumeID", "VolumeID", ""), FS, READ_ONLY, SECRET_REF))),
    (
        "cephfs",
        "CephFS",
        Pointer(
            (("monitors", "Monitors", None), *strings("path", "user", "secretFile"), SECRET_REF, READ_ONLY)
        ),
    ),
    (
        "fc",
        "FC",
        Pointer(
            (
                ("targetWWNs", "TargetWWNs", None),
                ("lun", "Lun", None),
                FS,
                READ_ONLY,
                ("wwids", "WWIDs", None),
            )
        ),
    ),
    ("flocker", "Flocker", Pointer(strings("datasetName", "datasetUUID"))),
    (
        "azureFile",
        "AzureFile",
        Pointer(
            (*strings("secretName", "shareName"), READ_ONLY, ("secretNamespace", "SecretNamespace", None))
        ),
    ),
    (
        "vsphereVolume",
        "VsphereVolume",
        Pointer((("volumePath", "VolumePath", ""), FS, *strings("storagePolicyName", "storagePolicyID"))),
    ),
    (
        "azureDisk",
        "AzureDisk",
        Pointer(
            (
                ("diskName", "DiskName", ""),
                ("diskURI", "DataDiskURI", ""),
                ("cachingMode", "CachingMode", None),
                ("fsType", "FSType", None),
                ("readOnly", "ReadOnly", None),
                ("kind", "Kind", None),
            )
        ),
    ),
    ("photonPersistentDisk", "PhotonPersistentDisk", Pointer((("pdID", "PdID", ""), FS))),
    ("portworxVolume", "PortworxVolume", Pointer((("volumeID", "VolumeID", ""), FS, READ_ONLY))),
    (
        "scaleIO",
        "ScaleIO",
        Pointer(
            (
                *strings("gateway", "system"),
                SECRET_REF,
                ("sslEnabled", "SSLEnabled", False),
                *strings("protectionDomain", "storagePool", "storageMode", "volumeName"),
                FS,
                READ_ONLY,
            )
        ),
    ),
    ("local", "Local", Pointer((("path", "Path", ""), ("fsType", "FSType", None)))),
    (
        "storageos",
        "StorageOS",
        Pointer(
            (
                *strings("volumeName", "volumeNamespace"),
                FS,
                READ_ONLY,
                ("secretRef", "SecretRef", Pointer(OBJECT_REFERENCE)),
            )
        ),
    ),
    (
        "csi",
        "CSI",
        Pointer(
            (
                *strings("driver", "volumeHandle"),
                READ_ONLY,
                FS,
                ("volumeAttributes", "VolumeAttributes", None),
                ("controllerPublishSecretRef", "ControllerPublishSecretRef", Pointer(SECRET)),
                ("nodeStageSecretRef", "NodeStageSecretRef", Pointer(SECRET)),
                ("nodePublishSecretRef", "NodePublishSecretRef", Pointer(SECRET)),
                ("controllerExpandSecretRef", "ControllerExpandSecretRef", Pointer(SECRET)),
                ("nodeExpandSecretRef", "NodeExpandSecretRef", Pointer(SECRET)),
            )
        ),
    ),
)
SOURCE_NAMES = tuple(name for name, _, _ in SOURCES)


def sources_errors(spec: Object, volume_name: str, path: str, has_affinity: bool) -> list[FieldError]:
    """Exactly one source, and a good one."""
    errors: list[FieldError] = []
    count = 0
    for name, shown, check in CHECKS:
        source = spec.get(name)
        if source is None:
            continue
        # flexVolume alone is never refused for standing beside another
        if count and name != "flexVolume":
            where = "cephFS" if name == "cephfs" else name
            errors.append(forbidden(f"{path}.{where}", "may not specify more than 1 volume type"))
            continue
        count += 1
        if name == "iscsi":
            errors += _iscsi(source, volume_name, f"{path}.iscsi")
        else:
            errors += check(source, f"{path}.{shown}")
        if name == "local" and not has_affinity:
            errors.append(required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
    if not count:
        errors.append(required(path, "must specify a volume type"))
    return errors


def _need(*keys: str) -> Check:
    def check(source: Object, path: str) -> list[FieldError]:
        return [required(f"{path}.{key}") for key in keys if not source.get(key)]

    return check


def no_backsteps(path: str, value: str) -> list[FieldError]:
    if ".." in value.split("/"):
        return [invalid(path, value, "must not contain '..'")]
    return []


def _host_path(source: Object, path: str) -> list[FieldError]:
    if not source.get("path"):
        return [required(f"{path}.path")]
    errors = no_backsteps(f"{path}.path", source["path"])
    kind = source.get("type")
    if kind is not None and kind not in HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, HOST_PATH_TYPES))
    return errors


def _local(source: Object, path: str) -> list[FieldError]:
    return no_backsteps(f"{path}.path", source["path"]) if source.get("path") else [required(f"{path}.path")]


def _disk(key: str) -> Check:
    def check(source: Object, path: str) -> list[FieldError]:
        partition = source.get("partition", 0)
        errors = _need(key)(source, path)
        return errors + checks.invalids(f"{path}.partition", partition, names.is_in_range(partition, 0, 255))

    return check


def _glusterfs(source: Object, path: str) -> list[FieldError]:
    errors = _need("endpoints", "path")(source, path)
    namespace = source.get("endpointsNamespace")
    if namespace == "":
        message = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.append(invalid(f"{path}.endpointsNamespace", "", message))
    elif namespace is not None:
        errors += checks.dns_label(f"{path}.endpointsNamespace", namespace)
    return errors


def _flocker(source: Object, path: str) -> list[FieldError]:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    errors = []
    if not name and not uuid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        message = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(invalid(path, "resource", message))
    if "/" in name:
        errors.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))
    return errors


def _nfs(source: Object, path: str) -> list[FieldError]:
    errors = _need("server", "path")(source, path)
    if not source.get("path", "").startswith("/"):
        errors.append(invalid(f"{path}.path", source.get("path", ""), "must be an absolute path"))
    return errors


def _quobyte(source: Object, path: str) -> list[FieldError]:
    message = "must be a host:port pair or multiple pairs separated by commas"
    registry = source.get("registry", "")
    errors: list[FieldError] = []
    if not registry:
        errors.append(required(f"{path}.registry", message))
    elif len(source.get("tenant", "")) > 64:
        errors.append(
            required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters")
        )
    else:
        bad = [
            pair
            for pair in registry.split(",")
            if pair.count(":") != 1 and not re.fullmatch(r"\[.*\]:[^:]*", pair)
        ]
        errors += [invalid(f"{path}.registry", registry, message) for _ in bad]
    return errors + _need("volume")(source, path)


def _cinder(source: Object, path: str) -> list[FieldError]:
    errors = _need("volumeID")(source, path)
    if "secretRef" in source:
        errors += _need("name", "namespace")(source["secretRef"], f"{path}.secretRef")
    return errors


_IQN_FORMS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)\Z").search,
    "eui": re.compile(r"^eui.[A-Za-z0-9]{16}\Z").search,
    "naa": re.compile(r"^naa.[A-Za-z0-9]{32}\Z").search,
}


def _iscsi_name(path: str, value: str) -> list[FieldError]:
    matches = _IQN_FORMS.get(value[:3])
    return [] if matches and matches(value) else [invalid(path, value, "must be valid format")]


def _iscsi(source: Object, volume_name: str, path: str) -> list[FieldError]:
    portal, initiator = source.get("targetPortal", ""), source.get("initiatorName")
    errors = _need("targetPortal")(source, path)
    if initiator is not None and len(f"{volume_name}:{portal}") > 64:
        message = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters"
            " if iscsi.initiatorName is specified."
        )
        errors.append(invalid(f"{path}.targetportal", portal, message))
    errors += _iscsi_name(f"{path}.iqn", source["iqn"]) if source.get("iqn") else [required(f"{path}.iqn")]
    lun = source.get("lun", 0)
    errors += checks.invalids(f"{path}.lun", lun, names.is_in_range(lun, 0, 255))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and "secretRef" not in source:
        errors.append(required(f"{path}.secretRef"))
    if "secretRef" in source:
        errors += _need("name")(source["secretRef"], f"{path}.secretRef")
    if initiator is not None:
        errors += _iscsi_name(f"{path}.initiatorname", initiator)
    return errors


def _fc(source: Object, path: str) -> list[FieldError]:
    targets, ids, lun = source.get("targetWWNs"), source.get("wwids"), source.get("lun")
    errors = []
    if not targets and not ids:
        errors.append(required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if targets and ids:
        message = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(invalid(f"{path}.targetWWNs", targets, message))
    if targets and lun is None:
        errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
    elif targets:
        errors += checks.invalids(f"{path}.lun", lun, names.is_in_range(lun, 0, 255))
    return errors


def _flex(source: Object, path: str) -> list[FieldError]:
    errors = _need("driver")(source, path)
    for key in sorted(source.get("options") or ()):
        if f".{key.partition('/')[0].lower()}".endswith((".kubernetes.io", ".k8s.io")):
            message = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid(f"{path}.options[{key}]", key, message))
    return errors


def _azure_file(source: Object, path: str) -> list[FieldError]:
    errors = _need("secretName", "shareName")(source, path)
    if source.get("secretNamespace") == "":
        errors.append(required(f"{path}.secretNamespace"))
    return errors


def _azure_disk(source: Object, path: str) -> list[FieldError]:
    errors = _need("diskName", "diskURI")(source, path)
    if source.get("cachingMode") is not None:
        errors += checks.one_of(
            f"{path}.cachingMode", source["cachingMode"], ("None", "ReadOnly", "ReadWrite")
        )
    kind, uri = source.get("kind"), source.get("diskURI", "")
    if kind is None:
        return errors
    errors += checks.one_of(f"{path}.kind", kind, ("Dedicated", "Managed", "Shared"))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        form = (
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
        )
        errors.append(not_supported(f"{path}.diskURI", uri, (form,)))
    if kind != "Managed" and not uri.startswith("https://"):
        form = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
        errors.append(not_supported(f"{path}.diskURI", uri, (form,)))
    return errors


def _storage_os(source: Object, path: str) -> list[FieldError]:
    name, namespace = source.get("volumeName", ""), source.get("volumeNamespace", "")
    errors = checks.dns_label(f"{path}.volumeName", name) if name else [required(f"{path}.volumeName")]
    if namespace:
        errors += checks.dns_label(f"{path}.volumeNamespace", namespace)
    if "secretRef" in source:
        errors += _need("name", "namespace")(source["secretRef"], f"{path}.secretRef")
    return errors


def csi_driver_name_errors(path: str, name: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    errors = []
    if names.byte_length(name) > 63:
        errors.append(FieldError("FieldValueTooLong", path, "", "may not be more than 63 bytes"))
    return errors + checks.invalids(path, name, names.is_dns1123_subdomain(name.lower()))


def _csi(source: Object, path: str) -> list[FieldError]:
    errors = csi_driver_name_errors(f"{path}.driver", source.get("driver", ""))
    errors += _need("volumeHandle")(source, path)
    for key in (
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ):
        if key in source:
            errors += _secret_errors(source[key], f"{path}.{key}")
    return errors


def _secret_errors(secret: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, check in (("name", checks.dns_subdomain), ("namespace", checks.dns_label)):
        value = secret.get(key, "")
        errors += check(f"{path}.{key}", value) if value else [required(f"{path}.{key}")]
    return errors


#: wire name, name in paths, check; in the order in which Kubernetes looks
CHECKS: tuple[tuple[str, str, Check], ...] = (
    ("hostPath", "hostPath", _host_path),
    ("gcePersistentDisk", "persistentDisk", _disk("pdName")),
    ("awsElasticBlockStore", "awsElasticBlockStore", _disk("volumeID")),
    ("glusterfs", "glusterfs", _glusterfs),
    ("flocker", "flocker", _flocker),
    ("nfs", "nfs", _nfs),
    ("rbd", "rbd", _need("monitors", "image")),
    ("quobyte", "quobyte", _quobyte),
    ("cephfs", "cephfs", _need("monitors")),
    ("iscsi", "iscsi", _need()),
    ("cinder", "cinder", _cinder),
    ("fc", "fc", _fc),
    ("flexVolume", "flexVolume", _flex),
    ("azureFile", "azureFile", _azure_file),
    ("vsphereVolume", "vsphereVolume", _need("volumePath")),
    ("photonPersistentDisk", "photonPersistentDisk", _need("pdID")),
    ("portworxVolume", "portworxVolume", _need("volumeID")),
    ("azureDisk", "azureDisk", _azure_disk),
    ("scaleIO", "scaleIO", _need("gateway", "system", "volumeName")),
    ("local", "local", _local),
    ("storageos", "storageos", _storage_os),
    ("csi", "csi", _csi),
)
