"""Annotations of pods that have a meaning, or once had one."""

from __future__ import annotations

import re
from typing import Any

from knarr.api.core.podspec import apparmor
from knarr.api.core.podspec.paths import Errors, containers_with_paths, local_descending
from knarr.api.core.podspec.tolerations import validate_tolerations
from knarr.meta import gojson
from knarr.meta.fielderrors import forbidden, invalid

Spec = dict[str, Any]
MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_LOCALHOST = "localhost/"
_SECCOMP_WORDS = ("runtime/default", "docker/default", "unconfined")
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
_cost = re.compile(r"0|[1-9][0-9]*|-[0-9]+").fullmatch


def validate_annotations(
    annotations: dict[str, str], spec: Spec, errors: Errors, old: dict[str, str] | None = None
) -> None:
    if MIRROR in annotations and not spec.get("nodeName"):
        message = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(f"metadata.annotations[{MIRROR}]", annotations[MIRROR], message))
    if annotations.get(TOLERATIONS):
        _validate_old_tolerations(annotations[TOLERATIONS], errors)
    cost = annotations.get(DELETION_COST)
    # a cost that was no number before need not become one
    if not _is_cost(cost) and _is_cost((old or {}).get(DELETION_COST)):
        message = "must be a 32bit integer"
        errors.append(invalid(f"metadata.annotations[{DELETION_COST}]", cost, message))
    for name, value in annotations.items():
        if name == SECCOMP_POD or name.startswith(SECCOMP_CONTAINER):
            _validate_seccomp(value, f"metadata.annotations.{name}", errors)
    for name, value in annotations.items():
        if name.startswith(apparmor.PREFIX):
            _validate_apparmor(name, value, spec, errors)


def _is_cost(text: str | None) -> bool:
    return text is None or bool(_cost(text) and -(2**31) <= int(text) < 2**31)


def _validate_old_tolerations(text: str, errors: Errors) -> None:
    """Tolerations from before they were a field; Kubernetes still reads them."""
    said, fault = gojson.read(text, list, "[]core.Toleration")
    if fault:
        errors.append(invalid("metadata.annotations", TOLERATIONS, fault))
    known = [toleration for toleration in said or () if isinstance(toleration, dict)]
    validate_tolerations(known, f"metadata.annotations.{TOLERATIONS}", errors)


def _validate_seccomp(value: str, path: str, errors: Errors) -> None:
    if value.startswith(_LOCALHOST):
        local_descending(path, value.removeprefix(_LOCALHOST), errors)
    elif value not in _SECCOMP_WORDS:
        errors.append(invalid(path, value, "must be a valid seccomp profile"))


def _validate_apparmor(name: str, value: str, spec: Spec, errors: Errors) -> None:
    path, container = f"metadata.annotations[{name}]", name.removeprefix(apparmor.PREFIX)
    if all(container != c.get("name") for c, _ in containers_with_paths(spec, "")):
        errors.append(invalid(path, container, "container not found"))
    if value not in ("", "runtime/default", "unconfined") and not value.startswith(_LOCALHOST):
        errors.append(invalid(path, value, f'invalid AppArmor profile name: "{value}"'))


def validate_annotation_update(new: dict[str, str], old: dict[str, str], spec: Spec, errors: Errors) -> None:
    """AppArmor profiles and the mark of a mirror pod are for life."""
    for name, value in old.items():
        if new.get(name) == value:
            continue
        if name.startswith(apparmor.PREFIX):
            message = "may not remove or update AppArmor annotations"
            errors.append(forbidden(f"metadata.annotations[{name}]", message))
        if name == MIRROR:
            message = "may not remove or update mirror pod annotation"
            errors.append(forbidden(f"metadata.annotations[{name}]", message))
    for name in new:
        if name in old:
            continue
        if name.startswith(apparmor.PREFIX):
            errors.append(forbidden(f"metadata.annotations[{name}]", "may not add AppArmor annotations"))
        if name == MIRROR:
            errors.append(forbidden(f"metadata.annotations[{name}]", "may not add mirror pod annotation"))
    validate_annotations(new, spec, errors, old)


def validate_fields_match(annotations: dict[str, str], spec: Spec, base: str, errors: Errors) -> None:
    """A profile given in both places of a new pod, or of a template, must be the same one."""
    for_pod = spec.get("securityContext") or {}
    if SECCOMP_POD in annotations and "seccompProfile" in for_pod:
        path = f"{base}.securityContext.seccompProfile"
        _match("seccomp", annotations[SECCOMP_POD], for_pod["seccompProfile"], path, errors)
    containers = containers_with_paths(spec, base)
    for container, path in containers:
        profile = container.get("securityContext", {}).get("seccompProfile")
        value = annotations.get(SECCOMP_CONTAINER + container.get("name", ""))
        if profile is not None and value is not None:
            _match("seccomp", value, profile, f"{path}.securityContext.seccompProfile", errors)
    if spec.get("os", {}).get("name") == "windows":
        return
    for container, path in containers:
        profile = container.get("securityContext", {}).get("appArmorProfile") or for_pod.get(
            "appArmorProfile"
        )
        value = annotations.get(apparmor.PREFIX + container.get("name", ""))
        if profile is not None and value is not None:
            _match("apparmor", value, profile, f"{path}.securityContext.appArmorProfile", errors)


def _match(what: str, value: str, profile: Spec, path: str, errors: Errors) -> None:
    kind = profile.get("type")
    words = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default",)}.get(kind or "")
    if words is not None:
        if what == "seccomp" and kind == "RuntimeDefault":
            words = ("runtime/default", "docker/default")
        if value not in words:
            errors.append(forbidden(f"{path}.type", f"{what} type in annotation and field must match"))
    elif kind == "Localhost":
        if not value.startswith(_LOCALHOST):
            errors.append(forbidden(f"{path}.type", f"{what} type in annotation and field must match"))
        elif value.removeprefix(_LOCALHOST) != profile.get("localhostProfile"):
            message = f"{what} profile in annotation and field must match"
            errors.append(forbidden(f"{path}.localhostProfile", message))
