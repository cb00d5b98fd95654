"""pods/resize: cpu and memory of running containers (KEP-1287)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.api.core.podspec.annotations import MIRROR
from knarr.api.core.podspec.paths import Errors
from knarr.api.core.podspec.podlevel import is_sidecar
from knarr.api.core.podspec.qos import qos_class
from knarr.api.core.podupdate import validate_common_update
from knarr.meta.fielderrors import FieldError, forbidden, invalid

Object = dict[str, Any]
_COMPUTE = ("cpu", "memory")
_LISTS = ("containers", "initContainers")


def take_over_resources(obj: Object, old: Object) -> None:
    """Of what was sent only the containers' resources and resize policies count.

    Containers that were added, removed, renamed or reordered stay as they were sent, for validation to refuse them.
    """
    sent, spec = obj["spec"], dict(old["spec"])
    if any(len(sent.get(field, ())) != len(spec.get(field, ())) for field in _LISTS):
        return
    for field in _LISTS:
        if field in spec:
            same = _names(sent, field) == _names(spec, field)
            spec[field] = [*map(_resized, spec[field], sent[field])] if same else sent[field]
    if "resources" in sent:
        spec["resources"] = sent["resources"]
    else:
        spec.pop("resources", None)
    obj["spec"] = spec


def _names(spec: Object, field: str) -> list[str]:
    return [container.get("name", "") for container in spec.get(field, ())]


def _resized(container: Object, sent: Object) -> Object:
    resized = dict(container)
    for field in ("resources", "resizePolicy"):
        if field in sent:
            resized[field] = sent[field]
        else:
            resized.pop(field, None)
    return resized


def validate_resize(pod: Object, old: Object) -> list[FieldError]:
    errors = validate_common_update(pod, old)
    spec, before = pod["spec"], old["spec"]
    if MIRROR in (old["metadata"].get("annotations") or ()):
        return [forbidden("", "static pods cannot be resized")]
    if before.get("os", {}).get("name") == "windows":
        return [forbidden("", "windows pods cannot be resized")]
    was = old.get("status", {}).get("qosClass") or qos_class(before)
    if was != qos_class(spec):
        message = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", pod.get("status", {}).get("qosClass", was), message))
    if not _node_can_resize(old):
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    _validate_pod_level(spec, before, errors)
    if old.get("status", {}).get("nodeAllocatableResourceClaimStatuses"):
        message = "pods with node allocatable resource claims cannot be resized"
        errors.append(forbidden("spec", message))
    if moved := [error for field in _LISTS for error in _ordering_errors(spec, before, field)]:
        return errors + moved
    for field in ("initContainers", "containers"):
        for index, (container, was) in enumerate(_pairs(spec, before, field)):
            path = f"spec.{field}[{index}].resources"
            _validate_kept(container, was, path, "resource", errors)
    _validate_rest(spec, before, errors)
    return errors


def _ordering_errors(spec: Object, before: Object, field: str) -> Iterator[FieldError]:
    new, old = _names(spec, field), _names(before, field)
    if len(new) != len(old):
        yield forbidden(f"spec.{field}", f"{field} may not be added or removed on resize")
        return
    for index, (name, was) in enumerate(zip(new, old, strict=True)):
        if name != was:
            message = f"{field} may not be renamed or reordered on resize"
            yield forbidden(f"spec.{field}[{index}].name", message)


def _pairs(spec: Object, before: Object, field: str) -> Iterator[tuple[Object, Object]]:
    return zip(spec.get(field, ()), before.get(field, ()), strict=True)


def _node_can_resize(pod: Object) -> bool:
    """A node that reports the resources of running containers can; before any runs, every node is trusted."""
    for status in pod.get("status", {}).get("containerStatuses", ()):
        if "running" in status.get("state", ()):
            return "resources" in status
    return True


def _validate_pod_level(spec: Object, before: Object, errors: Errors) -> None:
    """The resources of the pod as a whole, where it has any (KEP-5419)."""
    path = "spec.resources"
    if "resources" not in spec:
        if "resources" in before:
            errors.append(forbidden(path, "pod-level resources cannot be removed"))
        return
    _validate_kept(spec, before, path, "pod-level resource", errors)
    if _without_compute(spec, before)["resources"] != before.get("resources", {}):
        message = "only cpu and memory resources are mutable at pod-level"
        errors.append(forbidden("spec", message))


def _validate_kept(holder: Object, was: Object, path: str, what: str, errors: Errors) -> None:
    new, old = holder.get("resources", {}), was.get("resources", {})
    for which in ("requests", "limits"):
        if set(old.get(which, ())) - set(new.get(which, ())):
            errors.append(forbidden(f"{path}.{which}", f"{what} {which} cannot be removed"))


def _validate_rest(spec: Object, before: Object, errors: Errors) -> None:
    for container, was in _pairs(spec, before, "containers"):
        if _without_compute(container, was) != was:
            errors.append(forbidden("spec", "only cpu and memory resources are mutable"))
    for index, (container, was) in enumerate(_pairs(spec, before, "initContainers")):
        path = f"spec.initContainers[{index}]"
        left = _without_compute(container, was)
        if left != was:
            message = "only cpu and memory resources for init or sidecar containers are mutable"
            errors.append(forbidden(path, message))
        restarts = any(p.get("restartPolicy") == "RestartContainer" for p in left.get("resizePolicy", ()))
        if container != was and restarts and not is_sidecar(container):
            message = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
            errors.append(forbidden(path, message))


def _without_compute(holder: Object, was: Object) -> Object:
    """The container, or the pod, with the cpu and memory it had before."""
    new, old = holder.get("resources", {}), was.get("resources", {})
    resources = {key: value for key, value in new.items() if key not in ("limits", "requests")}
    for which in ("limits", "requests"):
        kept = {name: amount for name, amount in new.get(which, {}).items() if name not in _COMPUTE}
        kept.update({name: old[which][name] for name in _COMPUTE if name in old.get(which, ())})
        if kept:
            resources[which] = kept
    return {**holder, "resources": resources}
