"""Server-side tables: what `kubectl get` prints."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.apiserver.transform import metadata_of
from knarr.meta import errors
from knarr.registry.result import Result
from knarr.registry.storage import View

Object = dict[str, Any]
INCLUDES = ("", "None", "Object", "Metadata")


def check_include(include: str) -> None:
    """Raises 400."""
    if include not in INCLUDES:
        raise errors.bad_request(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}":'
            " must be 'Metadata', 'Object', 'None', or empty"
        )


def of(result: Result, include: str, now: float, version: str = "v1") -> bytes:
    """The Table of an object or a list; ages are of `now` (epoch seconds)."""
    check_include(include)
    assert result.view is not None
    obj = orjson.loads(result.body)
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if value != ""}
    if result.is_list:
        objects = obj["items"]
        row = result.view.row
        for item in objects:
            item.setdefault("kind", row.kind)
            item.setdefault("apiVersion", row.api_version)
    else:
        objects = [obj]
        metadata = {"resourceVersion": metadata["resourceVersion"]} if "resourceVersion" in metadata else {}
    return orjson.dumps(
        {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{version}",
            "metadata": metadata,
            "columnDefinitions": columns(result.view),
            "rows": [row_of(result.view, item, include, now, version) for item in objects],
        }
    )


def columns(view: View) -> list[Object]:
    """The column definitions, which are shared: never change them."""
    return view.kind.column_definitions


def row_of(view: View, obj: Object, include: str, now: float, version: str = "v1") -> Object:
    row: Object = {"cells": view.kind.cells(obj, now)}
    conditions = view.kind.row_conditions(obj)
    if conditions:
        row["conditions"] = conditions
    if include == "Object":
        row["object"] = obj
    elif include == "None":
        row["object"] = None
    else:
        row["object"] = metadata_of(obj, f"meta.k8s.io/{version}")
    return row
