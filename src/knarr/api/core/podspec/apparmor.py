"""AppArmor profiles: what the annotation of before v1.30 says goes into the field of today on a new pod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]
PREFIX = "container.apparmor.security.beta.kubernetes.io/"
#: the longest path that Linux takes
PROFILE_MAX = 4095
_LOCALHOST = "localhost/"
_BY_ANNOTATION = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}


def take_over_annotations(metadata: Spec, spec: Spec) -> list[str]:
    """Write the field of each container that has only the annotation; says what to warn about."""
    annotations = metadata.get("annotations") or {}
    if not any(key.startswith(PREFIX) for key in annotations):
        return []
    if spec.get("os", {}).get("name") == "windows":
        return []
    return list(_take_over(annotations, spec))


def deprecated(name: str) -> str:
    """The warning about a container's annotation."""
    return f'metadata.annotations[{PREFIX}{name}]: deprecated since v1.30; use the "appArmorProfile" field instead'


def _take_over(annotations: Spec, spec: Spec) -> Iterator[str]:
    for_pod = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container in (
        *spec.get("initContainers", ()),
        *spec.get("containers", ()),
        *spec.get("ephemeralContainers", ()),
    ):
        key = PREFIX + container.get("name", "")
        if key not in annotations or (container.get("securityContext") or {}).get("appArmorProfile"):
            continue
        profile = profile_of(annotations[key])
        if profile is not None and profile == for_pod:
            continue  # the container has it from the pod
        yield deprecated(container.get("name", ""))
        if profile is not None:
            container.setdefault("securityContext", {})["appArmorProfile"] = profile


def profile_of(annotation: str) -> Spec | None:
    """None for what says nothing that the field could say."""
    if annotation in _BY_ANNOTATION:
        return {"type": _BY_ANNOTATION[annotation]}
    profile = annotation.removeprefix(_LOCALHOST)
    if profile != annotation and profile and profile.strip() == profile and len(profile) <= PROFILE_MAX:
        return {"type": "Localhost", "localhostProfile": profile}
    return None
