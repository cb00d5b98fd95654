"""AdmissionReview as it is sent: the request in the version that the webhook asked for."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.admission.attributes import CONNECT, CREATE, UPDATE, Attributes
from knarr.admission.cel.request import user_info
from knarr.admission.matching import Matched, place_of, requested

Object = dict[str, Any]
VERSIONS = ("v1", "v1beta1")
UNKNOWN = "webhook does not accept known AdmissionReview versions (v1, v1beta1)"
OPTIONS = {CREATE: "CreateOptions", UPDATE: "UpdateOptions"}


def version_of(wanted: list[str]) -> str:
    """The first version the webhook names that we know. Raises ValueError."""
    for version in wanted:
        if version in VERSIONS:
            return version
    raise ValueError(UNKNOWN)


def build(
    a: Attributes, matched: Matched, obj: Object | None, old: Object | None, uid: str, version: str
) -> bytes:
    """`obj` and `old` are in the matched version, with apiVersion and kind."""
    return orjson.dumps(
        {
            "kind": "AdmissionReview",
            "apiVersion": f"admission.k8s.io/{version}",
            "request": _request(a, matched, obj, old, uid),
        }
    )


def _request(a: Attributes, matched: Matched, obj: Object | None, old: Object | None, uid: str) -> Object:
    subresource = a.request.subresource
    found: Object = {
        "uid": uid,
        "kind": _triple(matched.kind, "kind"),
        "resource": _triple(matched.resource, "resource"),
        "subResource": subresource,
        "requestKind": _triple(a.kind, "kind"),
        "requestResource": _triple(requested(a), "resource"),
        "requestSubResource": subresource,
        "name": name_of(a),
        "namespace": place_of(a),
        "operation": a.operation,
        "userInfo": user_info(a.user),
        "object": obj,
        "oldObject": old,
        "dryRun": a.dry_run,
        "options": options_of(a),
    }
    for key in ("subResource", "requestSubResource", "name", "namespace"):
        if not found[key]:
            del found[key]
    return found


def name_of(a: Attributes) -> str:
    """A collection is deleted object by object, yet no request named them."""
    return "" if a.request.verb == "deletecollection" else a.name


def options_of(a: Attributes) -> Object | None:
    """The options of what is done, which for a patch is an update or a create."""
    if a.operation == CONNECT:
        return None
    kind = OPTIONS.get(a.operation, "DeleteOptions")
    return {**a.options, "kind": kind, "apiVersion": "meta.k8s.io/v1"}


def _triple(triple: tuple[str, str, str], last: str) -> Object:
    return {"group": triple[0], "version": triple[1], last: triple[2]}
