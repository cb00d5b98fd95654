"""The defaults of a pod's volumes."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.images import default_pull_policy

Spec = dict[str, Any]
MODE = 0o644


def default_volume(volume: Spec) -> None:
    """A volume without a source is an emptyDir."""
    if len(volume) < 2:
        if not volume or "name" in volume:
            volume["emptyDir"] = {}
            return
    for kind, source in volume.items():
        fill = _BY_KIND.get(kind)
        if fill is not None:
            fill(source)


def default_claim_spec(spec: Spec) -> None:
    """A PersistentVolumeClaim's spec, wherever it lies."""
    spec.setdefault("resources", {})
    spec.setdefault("volumeMode", "Filesystem")


def _mode(source: Spec) -> None:
    source.setdefault("defaultMode", MODE)


def _downward(source: Spec) -> None:
    _mode(source)
    _downward_items(source)


def _downward_items(source: Spec) -> None:
    for item in source.get("items", ()):
        if "fieldRef" in item:
            item["fieldRef"].setdefault("apiVersion", "v1")
        if "resourceFieldRef" in item:
            item["resourceFieldRef"].setdefault("divisor", "0")


def _projected(source: Spec) -> None:
    _mode(source)
    source.setdefault("sources", None)
    for part in source["sources"] or ():
        if "serviceAccountToken" in part:
            part["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        if "downwardAPI" in part:
            _downward_items(part["downwardAPI"])


def _host_path(source: Spec) -> None:
    source.setdefault("type", "")


def _iscsi(source: Spec) -> None:
    source.setdefault("lun", 0)
    if not source.get("iscsiInterface"):
        source["iscsiInterface"] = "default"


def _rbd(source: Spec) -> None:
    for name, value in (("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")):
        if not source.get(name):
            source[name] = value


def _azure_disk(source: Spec) -> None:
    for name, value in (
        ("cachingMode", "ReadWrite"),
        ("fsType", "ext4"),
        ("readOnly", False),
        ("kind", "Shared"),
    ):
        source.setdefault(name, value)


def _scale_io(source: Spec) -> None:
    for name, value in (("storageMode", "ThinProvisioned"), ("fsType", "xfs")):
        if not source.get(name):
            source[name] = value


def _ephemeral(source: Spec) -> None:
    template = source.get("volumeClaimTemplate")
    if template is not None:
        template.setdefault("metadata", {})
        default_claim_spec(template.setdefault("spec", {}))


def _image(source: Spec) -> None:
    if not source.get("pullPolicy"):
        source["pullPolicy"] = default_pull_policy(source.get("reference", ""))


_BY_KIND = {
    "secret": _mode,
    "configMap": _mode,
    "downwardAPI": _downward,
    "projected": _projected,
    "hostPath": _host_path,
    "iscsi": _iscsi,
    "rbd": _rbd,
    "azureDisk": _azure_disk,
    "scaleIO": _scale_io,
    "ephemeral": _ephemeral,
    "image": _image,
}
