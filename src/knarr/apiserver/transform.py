"""PartialObjectMetadata: an object's type and metadata only."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.apiserver.negotiate import Representation
from knarr.meta import errors
from knarr.registry.decode import folder
from knarr.registry.result import Result

Object = dict[str, Any]


def kind_of(body: bytes) -> str:
    return orjson.loads(body).get("kind", "")


def go_type(result: Result) -> str:
    """The internal Go type as messages name it."""
    assert result.view is not None
    row = result.view.row
    if result.view.custom:
        return "*unstructured.UnstructuredList" if result.is_list else "*unstructured.Unstructured"
    return f"*{folder(row.group)}.{row.kind}{'List' if result.is_list else ''}"


def partial(result: Result, representation: Representation) -> bytes:
    """Raises 406 when a list was asked for and an object found, or the other way round."""
    wants_list = representation.as_kind.endswith("List")
    if wants_list != result.is_list:
        what = "is a list" if result.is_list else "is not a list"
        raise errors.not_acceptable(
            f"you requested {representation.as_kind}, but the requested object {what} ({go_type(result)})"
        )
    obj = orjson.loads(result.body)
    version = f"meta.k8s.io/{representation.version}"
    if not result.is_list:
        return orjson.dumps(metadata_of(obj, version))
    items = [metadata_of(item, version) for item in obj["items"]]
    return orjson.dumps(
        {
            "kind": "PartialObjectMetadataList",
            "apiVersion": version,
            "metadata": obj["metadata"],
            "items": items or None,
        }
    )


def metadata_of(obj: Object, version: str) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": obj.get("metadata") or {}}
