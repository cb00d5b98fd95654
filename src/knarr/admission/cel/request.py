"""The `request` and `namespaceObject` variables: what of them is set, as the API server writes it out."""

from __future__ import annotations

from typing import Any

from knarr.admission.attributes import Attributes
from knarr.admission.matching import place_of
from knarr.registry.context import UserInfo
from knarr.registry.reader import Reader

Object = dict[str, Any]
#: (group, version, kind) or (group, version, resource)
Triple = tuple[str, str, str]
#: what expressions see of a namespace's metadata
NAMESPACE_METADATA = (
    *("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "finalizers"),
)


def admission_request(a: Attributes, resource: Triple, kind: Triple) -> Object:
    """An AdmissionRequest without uid, object and oldObject.

    `resource` and `kind` are those the policy or webhook matched by, which may be equivalents of what was requested.
    """
    request = a.request
    found: Object = {
        "kind": _kind(kind),
        "resource": _resource(resource),
        "subResource": request.subresource,
        "requestKind": _kind(a.kind),
        "requestResource": _resource((request.group, request.version, request.resource)),
        "requestSubResource": request.subresource,
        "name": a.name,
        "namespace": place_of(a),
        "operation": a.operation,
        "userInfo": user_info(a.user),
        "dryRun": a.dry_run,
        "options": a.options or None,
    }
    for key in ("subResource", "requestSubResource", "name", "namespace"):
        if not found[key]:
            del found[key]
    return found


def _kind(kind: Triple) -> Object:
    return {"group": kind[0], "version": kind[1], "kind": kind[2]}


def _resource(resource: Triple) -> Object:
    return {"group": resource[0], "version": resource[1], "resource": resource[2]}


def user_info(user: UserInfo) -> Object:
    """As in authentication.k8s.io; empty fields are left out."""
    found: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return {key: value for key, value in found.items() if value}


def namespace_object(reader: Reader, a: Attributes) -> Object | None:
    """The namespace of what is written; None for cluster-scoped objects, and for namespaces themselves."""
    if not a.namespace or a.kind == ("", "v1", "Namespace"):
        return None
    stored = reader.get("", "namespaces", "", a.namespace)
    if stored is None:
        return None
    metadata = stored["metadata"]
    shown = {key: metadata[key] for key in NAMESPACE_METADATA if metadata.get(key)}
    return {"metadata": shown, "spec": stored.get("spec") or {}, "status": stored.get("status") or {}}
