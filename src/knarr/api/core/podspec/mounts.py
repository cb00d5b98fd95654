"""Volume mounts and block devices of containers."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors, local_descending
from knarr.meta.fielderrors import forbidden, invalid, not_found, not_supported, required

Spec = dict[str, Any]
#: volumes of a spec that are sound, by name
Volumes = dict[str, Spec]
_PROPAGATION = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def validate_mounts(container: Spec, volumes: Volumes, base: str, errors: Errors) -> None:
    mounts = container.get("volumeMounts")
    if not mounts:
        return
    devices = {d.get("name", ""): d.get("devicePath", "") for d in container.get("volumeDevices", ())}
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if name not in volumes or not target or target in seen or devices or len(mount) > 2:
            _validate_mount(container, mount, seen, devices, volumes, f"{base}.volumeMounts", index, errors)
        seen.add(target)


def _validate_mount(
    container: Spec,
    mount: Spec,
    seen: set[str],
    devices: dict[str, str],
    volumes: Volumes,
    base: str,
    index: int,
    errors: Errors,
) -> None:
    path = f"{base}[{index}]"
    name, target = mount.get("name", ""), mount.get("mountPath", "")
    if not name:
        errors.append(required(f"{path}.name"))
    if name not in volumes:
        errors.append(not_found(f"{path}.name", name))
    if not target:
        errors.append(required(f"{path}.mountPath"))
    if target in seen:
        errors.append(invalid(f"{path}.mountPath", target, "must be unique"))
    if name in devices:
        errors.append(invalid(f"{path}.name", name, "must not already exist in volumeDevices"))
    if target in devices.values():
        errors.append(
            invalid(f"{path}.mountPath", target, "must not already exist as a path in volumeDevices")
        )
    _validate_sub_paths(mount, path, base, errors)
    if "mountPropagation" in mount:
        _validate_propagation(container, mount["mountPropagation"], f"{base}.mountPropagation", errors)
    if "recursiveReadOnly" in mount:
        _validate_recursive(mount, f"{base}.recursiveReadOnly", errors)


def _validate_sub_paths(mount: Spec, path: str, base: str, errors: Errors) -> None:
    # the paths without an index are Kubernetes' own
    plain, expression = mount.get("subPath"), mount.get("subPathExpr")
    if plain:
        local_descending(f"{base}.subPath", plain, errors)
    if expression:
        if plain:
            message = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(f"{path}.subPathExpr", expression, message))
        local_descending(f"{base}.subPathExpr", expression, errors)


def _validate_propagation(container: Spec, mode: str, path: str, errors: Errors) -> None:
    if mode not in _PROPAGATION:
        errors.append(not_supported(path, mode, _PROPAGATION))
    if mode == "Bidirectional" and not container.get("securityContext", {}).get("privileged"):
        message = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(forbidden(path, message))


def _validate_recursive(mount: Spec, path: str, errors: Errors) -> None:
    mode = mount["recursiveReadOnly"]
    if mode not in _RECURSIVE:
        errors.append(not_supported(path, mode, _RECURSIVE))
    elif mode != "Disabled":
        if not mount.get("readOnly"):
            errors.append(forbidden(path, "may only be specified when readOnly is true"))
        if mount.get("mountPropagation", "None") != "None":
            errors.append(
                forbidden(path, "may only be specified when mountPropagation is None or not specified")
            )


def validate_devices(container: Spec, volumes: Volumes, base: str, errors: Errors) -> None:
    mounts = {m.get("name", ""): m.get("mountPath", "") for m in container.get("volumeMounts", ())}
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices", ())):
        path = f"{base}.volumeDevices[{index}]"
        name, target = device.get("name", ""), device.get("devicePath", "")
        volume = volumes.get(name)
        if not name:
            errors.append(required(f"{path}.name"))
        if name in seen_names:
            errors.append(invalid(f"{path}.name", name, "must be unique"))
        if volume is None:
            errors.append(not_found(f"{path}.name", name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            message = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{path}.name", name, message))
        if not target:
            errors.append(required(f"{path}.devicePath"))
        if target in seen_paths:
            errors.append(invalid(f"{path}.devicePath", target, "must be unique"))
        if ".." in target.split("/"):
            errors.append(invalid(f"{path}.devicePath", target, "can not contain backsteps ('..')"))
        else:
            seen_paths.add(target)
        if name in mounts:
            errors.append(invalid(f"{path}.name", name, "must not already exist in volumeMounts"))
        if target in mounts.values():
            message = "must not already exist as a path in volumeMounts"
            errors.append(invalid(f"{path}.devicePath", target, message))
        if name:
            seen_names.add(name)
