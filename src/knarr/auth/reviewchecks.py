"""What is wrong with an access review; the messages are Kubernetes'."""

from __future__ import annotations

from typing import Any

from knarr.meta import errors
from knarr.meta import fielderrors as field
from knarr.meta.fielderrors import FieldError
from knarr.meta.managed import in_order

Object = dict[str, Any]

GROUP = "authorization.k8s.io"
#: the order in which Go writes metadata out
METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def check_subject(obj: Object) -> None:
    """SubjectAccessReview; raises StatusError 422, as all of these do."""
    spec = obj.get("spec") or {}
    _raise(_attributes(spec) + _user(spec) + _selectors(spec) + _empty_metadata(obj))


def check_self(obj: Object) -> None:
    spec = obj.get("spec") or {}
    _raise(_attributes(spec) + _selectors(spec) + _empty_metadata(obj))


def check_local(obj: Object, namespace: str) -> None:
    """LocalSubjectAccessReview in a namespace; 400 when the object says another."""
    spec = obj.get("spec") or {}
    own = (obj.get("metadata") or {}).get("namespace", "")
    if own != namespace:
        raise errors.bad_request(f"namespace does not match: {namespace}")
    found = _attributes(spec) + _user(spec) + _selectors(spec) + _empty_metadata(obj, "namespace")
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and resource.get("namespace", "") != own:
        where = "spec.resourceAttributes.namespace"
        found.append(field.invalid(where, resource.get("namespace", ""), "must match metadata.namespace"))
    if path is not None:
        where = "spec.nonResourceAttributes"
        found.append(field.invalid(where, _shown(path), "disallowed on this kind of request"))
    _raise(found)


def _raise(found: list[FieldError]) -> None:
    if found:
        raise errors.invalid(GROUP, "", "", found)


def _attributes(spec: Object) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        words = "cannot be specified in combination with resourceAttributes"
        return [field.invalid("spec.nonResourceAttributes", _shown(path), words)]
    if resource is None and path is None:
        words = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [field.invalid("spec.resourceAttributes", None, words)]
    return []


def _user(spec: Object) -> list[FieldError]:
    if spec.get("user") or spec.get("groups"):
        return []
    return [
        field.invalid("spec.user", spec.get("user", ""), "at least one of user or group must be specified")
    ]


def _shown(path: Object) -> Object:
    """As Kubernetes shows its internal type, whose fields have no wire names."""
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def _empty_metadata(obj: Object, *allowed: str) -> list[FieldError]:
    metadata = obj.get("metadata") or {}
    if all(k in ("managedFields", *allowed) or not v for k, v in metadata.items()):
        return []
    shown = {k: metadata[k] for k in METADATA_ORDER if metadata.get(k)}
    if entries := metadata.get("managedFields"):
        shown["managedFields"] = in_order(entries)
    words = f"must be empty except for {allowed[0]}" if allowed else "must be empty"
    return [field.invalid("metadata", shown, words)]


def _selectors(spec: Object) -> list[FieldError]:
    resource = spec.get("resourceAttributes") or {}
    found: list[FieldError] = []
    for key in ("fieldSelector", "labelSelector"):
        if resource.get(key) is not None:
            found += _selector(resource[key], f"spec.resourceAttributes.{key}")
    return found


def _selector(selector: Object, path: str) -> list[FieldError]:
    raw, requirements = selector.get("rawSelector", ""), selector.get("requirements") or []
    found: list[FieldError] = []
    if raw and requirements:
        words = "may not specified at the same time as requirements"
        found.append(field.invalid(f"{path}.rawSelector", raw, words))
    if not raw and not requirements:
        words = f"when {path} is specified, requirements or rawSelector is required"
        found.append(field.required(f"{path}.requirements", words))
    for number, requirement in enumerate(requirements):
        found += _requirement(requirement, f"{path}.requirements[{number}]")
    return found


def _requirement(requirement: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if not requirement.get("key"):
        found.append(field.required(f"{path}.key", "must be specified"))
    if operator in ("In", "NotIn") and not values:
        words = "must be specified when `operator` is 'In' or 'NotIn'"
        found.append(field.required(f"{path}.values", words))
    if operator in ("Exists", "DoesNotExist") and values:
        words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        found.append(field.forbidden(f"{path}.values", words))
    return found
