"""Definitions as OpenAPI v3 components, with descriptions, and everything they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from knarr.api import schema

Object = dict[str, Any]
V3 = "#/components/schemas/"
V2 = "#/definitions/"
#: types whose Go code reads and writes itself
INT_OR_STRING: Object = {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
QUANTITY: Object = {"oneOf": [{"type": "string"}, {"type": "number"}]}


def v3_schema(name: str) -> Object:
    """One definition; references are wrapped in allOf so that a default or description may stand beside them."""
    words = schema.descriptions().get(name, {})
    if name == schema.INT_OR_STRING:
        return _described(dict(INT_OR_STRING), words)
    if name == schema.QUANTITY:
        return _described(dict(QUANTITY), words)
    found = dict(schema.definitions()[name])
    _in_order(found)
    properties = found.get("properties")
    if properties is not None:
        described: Mapping[str, Object] = words.get("properties", {})
        found["properties"] = {k: _v3_field(v, described.get(k, {})) for k, v in sorted(properties.items())}
    return _described(found, words)


def _described(out: Object, words: Mapping[str, Any]) -> Object:
    text = words.get("description")
    return {"description": text, **out} if text else out


def _v3_field(field: Object, words: Mapping[str, Any]) -> Object:
    out = _described({k: v for k, v in field.items() if k != "$ref"}, words)
    if "$ref" in field:
        reference = {"$ref": field["$ref"].replace(V2, V3)}
        return {**out, "allOf": [reference]} if out else reference
    return _v3_references(out)


def _v3_references(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: v.replace(V2, V3) if k == "$ref" else _v3_references(v) for k, v in value.items()}
    return value


def _in_order(found: Object) -> None:
    """`required` names fields in the order of the Go struct, which is the order of the facts."""
    if "required" in found:
        found["required"] = [name for name in found["properties"] if name in found["required"]]


def v2_schema(name: str) -> Object:
    """As v3, with plain references and without defaults."""
    words = schema.descriptions().get(name, {})
    if name == schema.INT_OR_STRING:
        return _described({"type": "string", "format": "int-or-string"}, words)
    if name == schema.QUANTITY:
        return _described({"type": "string"}, words)
    found = dict(schema.definitions()[name])
    _in_order(found)
    properties = found.get("properties")
    if properties is not None:
        described: Mapping[str, Object] = words.get("properties", {})
        found["properties"] = {
            key: _described({k: v for k, v in field.items() if k != "default"}, described.get(key, {}))
            for key, field in sorted(properties.items())
        }
    return _described(found, words)


def closure(names: Iterable[str]) -> list[str]:
    """The definitions and all they refer to, sorted."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in schema.definitions():
            continue
        seen.add(name)
        waiting.extend(references(schema.definitions()[name]))
    return sorted(seen)


def references(value: Any) -> list[str]:
    """The names of all definitions that a piece of a document refers to."""
    found: list[str] = []
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                found.append(item.removeprefix(V2).removeprefix(V3))
            else:
                found.extend(references(item))
    elif isinstance(value, list):
        for item in value:
            found.extend(references(item))
    return found
