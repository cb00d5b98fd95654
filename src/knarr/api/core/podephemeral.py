"""pods/ephemeralcontainers: containers added to a running pod to look into it."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec import internal
from knarr.api.core.podspec.annotations import MIRROR
from knarr.api.core.podupdate import validate_common_update
from knarr.meta.fielderrors import FieldError, forbidden

Object = dict[str, Any]
_PATH = "spec.ephemeralContainers"


def take_over_ephemeral_containers(obj: Object, old: Object) -> None:
    """Nothing else of what was sent counts."""
    sent = obj["spec"].get("ephemeralContainers")
    spec = dict(old["spec"])
    spec.pop("ephemeralContainers", None)
    if sent:
        spec["ephemeralContainers"] = sent
    obj["spec"] = spec


def validate_ephemeral_update(pod: Object, old: Object) -> list[FieldError]:
    errors = validate_common_update(pod, old)
    if MIRROR in (old["metadata"].get("annotations") or ()):
        return [forbidden("", "static pods do not support ephemeral containers")]
    new = {container.get("name", ""): container for container in pod["spec"].get("ephemeralContainers", ())}
    for container in old["spec"].get("ephemeralContainers", ()):
        name = container.get("name", "")
        if name not in new:
            errors.append(forbidden(_PATH, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif new[name] != container:
            difference = internal.ephemeral_difference(container, new[name])
            message = f'existing ephemeral containers "{name}" may not be changed\n{difference}'
            errors.append(forbidden(_PATH, message))
    return errors
