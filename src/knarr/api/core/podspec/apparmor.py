"""AppArmor profiles: the field of today and the annotation of before v1.30 say the same on a new pod."""

from __future__ import annotations

from typing import Any

Spec = dict[str, Any]
PREFIX = "container.apparmor.security.beta.kubernetes.io/"
_LOCALHOST = "localhost/"
_BY_ANNOTATION = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}
_BY_TYPE = {"RuntimeDefault": "runtime/default", "Unconfined": "unconfined"}


def sync_apparmor(metadata: Spec, spec: Spec) -> None:
    """Write each container's annotation from its field, or its field from its annotation."""
    if spec.get("os", {}).get("name") == "windows":
        return
    for_pod = (spec.get("securityContext") or {}).get("appArmorProfile")
    annotations = metadata.get("annotations") or {}
    if for_pod is None and not any(key.startswith(PREFIX) for key in annotations):
        if not any("appArmorProfile" in c.get("securityContext", ()) for c in _containers(spec)):
            return
    for container in _containers(spec):
        _sync_container(metadata, container, for_pod)


def _containers(spec: Spec) -> tuple[Spec, ...]:
    return (
        *spec.get("initContainers", ()),
        *spec.get("containers", ()),
        *spec.get("ephemeralContainers", ()),
    )


def _sync_container(metadata: Spec, container: Spec, for_pod: Spec | None) -> None:
    key = PREFIX + container.get("name", "")
    annotations = metadata.get("annotations") or {}
    own = container.get("securityContext", {}).get("appArmorProfile")
    if key not in annotations:
        text = annotation_of(own or for_pod)
        if text:
            metadata.setdefault("annotations", {})[key] = text
    elif own is None:
        profile = profile_of(annotations[key])
        if profile is not None and profile != for_pod:
            container.setdefault("securityContext", {})["appArmorProfile"] = profile


def annotation_of(profile: Spec | None) -> str:
    if not profile:
        return ""
    if profile.get("type") == "Localhost":
        name = profile.get("localhostProfile")
        return _LOCALHOST + name if name else ""
    return _BY_TYPE.get(profile.get("type", ""), "")


def profile_of(annotation: str) -> Spec | None:
    """None for what says nothing that the field could say."""
    if annotation in _BY_ANNOTATION:
        return {"type": _BY_ANNOTATION[annotation]}
    if annotation.startswith(_LOCALHOST) and annotation[len(_LOCALHOST) :].strip():
        return {"type": "Localhost", "localhostProfile": annotation[len(_LOCALHOST) :]}
    return None
