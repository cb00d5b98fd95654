"""Schemas as CEL types: the fields that rules may name, how large values can be, and values as rules see them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from knarr.meta import strformats
from knarr.meta.cel import types
from knarr.meta.cel.library.times import parse_timestamp
from knarr.meta.cel.types import ObjectType, Type
from knarr.meta.cel.values import Duration, MapList, SetList

Schema = dict[str, Any]
Convert = Callable[[Any], Any] | None
REQUEST_BYTES_MAX = 3 * 1024 * 1024
#: the shortest JSON of a type
SIZES_MIN = {
    "string": 2,
    "bytes": 2,
    "bool": 4,
    "int": 1,
    "double": 1,
    "timestamp": 21,
    "duration": 3,
    "date": 12,
}
DURATION_MAX, DATE_MAX, TIMESTAMP_MAX = 32, 12, 32
STRING_MAX = REQUEST_BYTES_MAX - 2
UTF8_BYTES = 4
SCALARS = {"boolean": ("bool", types.BOOL), "number": ("double", types.DOUBLE), "integer": ("int", types.INT)}
META_FIELDS: dict[str, Schema] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
METADATA: Schema = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
}
#: words of the language that a field's name may not be
RESERVED = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)
ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED = re.compile(r"__|\.|-|/")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def escape(name: str) -> str | None:
    """A field's name in expressions; None for one that no expression can name."""
    if not name or name[0].isdigit():
        return None
    if name in RESERVED:
        return f"__{name}__"
    escaped = _ESCAPED.sub(lambda found: ESCAPES[found[0]], name)
    return escaped if _IDENTIFIER.fullmatch(escaped) else None


class DeclType:
    """A schema's type. `most` counts items, properties or bytes; `shortest` is the size of the shortest JSON."""

    __slots__ = ("convert", "fields", "item", "key", "most", "shortest", "type")

    def __init__(self, type_: Type, shortest: int, most: int = 0, convert: Convert = None) -> None:
        self.type, self.shortest, self.most, self.convert = type_, shortest, most, convert
        self.fields: dict[str, DeclType] = {}
        self.item: DeclType | None = None
        self.key: DeclType | None = None

    def size_at(self, path: tuple[str, ...]) -> int | None:
        """How large the value at a path (without the variable) can be; None for what is not in the schema."""
        node: DeclType | None = self
        for name in path:
            assert node is not None
            if name in ("@items", "@values"):
                node = node.item
            elif name == "@keys":
                node = node.key
            else:
                node = node.fields.get(name)
            if node is None:
                return None
        assert node is not None
        return node.most


def declare(schema: Schema, root: bool) -> DeclType | None:
    """The type of a schema; None where rules cannot see it. `root`: it is a whole resource."""
    if schema.get("x-kubernetes-int-or-string"):
        return DeclType(types.DYN, 1, STRING_MAX)
    if root:
        schema = with_meta(schema)
    match schema.get("type"):
        case "array":
            return _list(schema)
        case "object":
            return _object(schema)
        case "string":
            return _string(schema)
        case "boolean" | "number" | "integer" as kind:
            name, type_ = SCALARS[kind]
            return DeclType(type_, SIZES_MIN[name], 0, _double if kind == "number" else None)
    return None


def with_meta(schema: Schema) -> Schema:
    """A resource's schema with what every resource has; of metadata rules see the names."""
    properties = schema.get("properties") or {}
    if _says_all_of_meta(properties):
        return schema
    return {**schema, "properties": {**properties, **META_FIELDS, "metadata": METADATA}}


def _says_all_of_meta(properties: dict[str, Schema]) -> bool:
    def has_type(of: dict[str, Schema], name: str, kind: str) -> bool:
        return (of.get(name) or {}).get("type") == kind

    below = (properties.get("metadata") or {}).get("properties") or {}
    return (
        all(has_type(properties, name, "string") for name in META_FIELDS)
        and has_type(properties, "metadata", "object")
        and all(has_type(below, name, "string") for name in METADATA["properties"])
    )


def _below(schema: Schema) -> DeclType | None:
    return declare(schema, bool(schema.get("x-kubernetes-embedded-resource")))


def _list(schema: Schema) -> DeclType | None:
    items = schema.get("items")
    item = _below(items) if isinstance(items, dict) else None
    if item is None:
        return None
    most = schema.get("maxItems")
    found = DeclType(
        types.list_of(item.type),
        2,
        max(most, 0) if most is not None else STRING_MAX // (item.shortest + 1),
        _list_converter(schema, item.convert),
    )
    found.item = item
    return found


def _object(schema: Schema) -> DeclType | None:
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        return _dict(schema, additional)
    fields: dict[str, DeclType] = {}
    required, shortest = set(schema.get("required") or ()), 2
    converters: dict[str, tuple[str, Convert]] = {}
    for name, sub in (schema.get("properties") or {}).items():
        below = _below(sub)
        if below is None:
            continue
        escaped = escape(name)
        if escaped is not None:
            fields[escaped] = below
            converters[name] = (escaped, below.convert)
        if name in required and sub.get("default") is None:
            shortest += len(name) + below.shortest + 4
    object_type = ObjectType("object", {name: below.type for name, below in fields.items()})
    found = DeclType(("object", object_type), shortest, 0, _object_converter(converters))
    found.fields = fields
    return found


def _dict(schema: Schema, additional: Schema) -> DeclType | None:
    value = _below(additional)
    if value is None:
        return None
    most = schema.get("maxProperties")
    found = DeclType(
        types.map_of(types.STRING, value.type),
        2,
        max(most, 0) if most is not None else STRING_MAX // (value.shortest + 6),
        _dict_converter(value.convert),
    )
    # Kubernetes gives keys no length, so they count as empty.
    found.item, found.key = value, DeclType(types.STRING, 2, 0)
    return found


def _string(schema: Schema) -> DeclType:
    longest = schema.get("maxLength")
    match schema.get("format"):
        case "byte":
            most = max(longest, 0) if longest is not None else STRING_MAX
            return DeclType(types.BYTES, SIZES_MIN["bytes"], most, _bytes)
        case "duration":
            return DeclType(types.DURATION, SIZES_MIN["duration"], DURATION_MAX, _duration)
        case "date":
            return DeclType(types.TIMESTAMP, SIZES_MIN["date"], DATE_MAX, _date)
        case "date-time":
            return DeclType(types.TIMESTAMP, SIZES_MIN["timestamp"], TIMESTAMP_MAX, _date_time)
    if longest is not None:
        most = max(longest, 0) * UTF8_BYTES
    elif schema.get("enum"):
        most = max(len(v.encode()) for v in schema["enum"] if isinstance(v, str))
    else:
        most = STRING_MAX
    return DeclType(types.STRING, SIZES_MIN["string"], most)


# -- values ------------------------------------------------------------------------------------------------


def _double(value: Any) -> Any:
    return float(value) if value.__class__ is int else value


# A text that is not of its format stays a text: the schema's own check says so, and first.


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value)
    except (TypeError, ValueError):
        return value


def _duration(value: Any) -> Any:
    try:
        return Duration(strformats.parse_duration(value))
    except (TypeError, ValueError):
        return value


def _date(value: Any) -> Any:
    return _date_time(f"{value}T00:00:00Z")


def _date_time(value: Any) -> Any:
    try:
        return parse_timestamp(value)
    except (TypeError, ValueError):
        return value


def _list_converter(schema: Schema, convert: Convert) -> Convert:
    kind = schema.get("x-kubernetes-list-type")
    if convert is None and kind not in ("set", "map"):
        return None
    keys = tuple(k for k in map(escape, schema.get("x-kubernetes-list-map-keys") or ()) if k)

    def to_cel(value: Any) -> Any:
        if value.__class__ is not list:
            return value
        items = value if convert is None else [None if v is None else convert(v) for v in value]
        if kind == "set":
            return SetList(items)
        return MapList(items, keys) if kind == "map" else items

    return to_cel


def _object_converter(fields: dict[str, tuple[str, Convert]]) -> Convert:
    def to_cel(value: Any) -> Any:
        if value.__class__ is not dict:
            return value
        found = {}
        for name, item in value.items():
            known = fields.get(name)
            if known is not None:
                escaped, convert = known
                found[escaped] = item if convert is None or item is None else convert(item)
        return found

    if all(convert is None and escaped == name for name, (escaped, convert) in fields.items()):
        # Unknown keys do no harm: no checked expression can name them. Equality sees them, and rightly so.
        return None
    return to_cel


def _dict_converter(convert: Convert) -> Convert:
    if convert is None:
        return None

    def to_cel(value: Any) -> Any:
        if value.__class__ is not dict:
            return value
        return {key: None if item is None else convert(item) for key, item in value.items()}

    return to_cel
