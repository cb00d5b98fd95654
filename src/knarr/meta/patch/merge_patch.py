"""JSON merge patch (RFC 7396) as the API server applies it."""

from __future__ import annotations

from typing import Any

from knarr.meta import errors
from knarr.meta.gofmt import json_kind

INVALID = "Invalid JSON Patch"


def apply(doc: dict[str, Any], patch: Any, validated: bool = True) -> Any:
    """The patched document; maps that the patch touches have their keys sorted, as in the server's messages.

    `validated`: fields are validated, so that the body is read as a map before the library does it.
    StatusError 400 for a body that is no map; without validation a list takes the document's place.
    """
    if patch is None or not validated and not isinstance(patch, dict | list):
        raise errors.bad_request(INVALID)
    if isinstance(patch, list) and not validated:
        return without_nulls(patch)
    if not isinstance(patch, dict):
        raise errors.bad_request(
            f"error decoding patch: json: cannot unmarshal {json_kind(patch)} "
            "into Go value of type map[string]interface {}"
        )
    return merge(doc, patch)


def merge(doc: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(doc)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
            continue
        current = merged.get(key)
        if isinstance(current, dict):
            # A list that takes a map's place keeps the nulls in it: so does the server's library.
            merged[key] = merge(current, value) if isinstance(value, dict) else value
        else:
            merged[key] = without_nulls(value)
    return dict(sorted(merged.items()))


def without_nulls(value: Any) -> Any:
    """Maps without their null entries, at any depth; a list keeps its nulls."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value
