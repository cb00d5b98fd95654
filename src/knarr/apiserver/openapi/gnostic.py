"""OpenAPI documents as protobuf, in the messages of gnostic's openapi.v2 and openapi.v3: what kubectl before 1.27, helm
and `kubectl explain --output=plaintext-openapiv2` read.

A table names the fields of each message; a few wrappers that JSON does not have (a schema or a reference to one, one
type or many) are functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from knarr.api.protobuf import FIXED64, VARINT, delimited, varint

Object = dict[str, Any]
Encoder = Callable[[Any], bytes]
#: (number, how the value is written); `[]` before it: one field for each item
Field = tuple[int, str]

#: in this order in every message that has them
_LIMITS = ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern")
_COUNTS = ("maxItems", "minItems", "uniqueItems")
_SCALARS = {
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "uniqueItems"), "bool"),
    **dict.fromkeys(("maximum", "minimum", "multipleOf"), "double"),
    **dict.fromkeys(
        ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"), "int"
    ),
    "pattern": "string",
}


def _run(first: int, names: tuple[str, ...]) -> dict[str, Field]:
    """Scalars of consecutive numbers."""
    return {name: (number, _SCALARS[name]) for number, name in enumerate(names, first)}


_REST = (*_LIMITS, *_COUNTS)

MESSAGES: dict[str, dict[str, Field]] = {
    "2.Document": {
        "swagger": (1, "string"),
        "info": (2, "2.Info"),
        "paths": (8, "2.Paths"),
        "definitions": (9, "named 2.Schema"),
        "security": (12, "[]named strings"),
        "securityDefinitions": (13, "named 2.Security"),
    },
    "2.Info": {"title": (1, "string"), "version": (2, "string"), "description": (3, "string")},
    "2.PathItem": {
        **{verb: (2 + n, "2.Operation") for n, verb in enumerate(("get", "put", "post", "delete"))},
        **{verb: (6 + n, "2.Operation") for n, verb in enumerate(("options", "head", "patch"))},
        "parameters": (9, "[]2.Parameter"),
    },
    "2.Operation": {
        "tags": (1, "[]string"),
        "summary": (2, "string"),
        "description": (3, "string"),
        "operationId": (5, "string"),
        "produces": (6, "[]string"),
        "consumes": (7, "[]string"),
        "parameters": (8, "[]2.Parameter"),
        "responses": (9, "2.Responses"),
        "schemes": (10, "[]string"),
        "deprecated": (11, "bool"),
    },
    "2.Body": {
        "description": (1, "string"),
        "name": (2, "string"),
        "in": (3, "string"),
        "required": (4, "bool"),
        "schema": (5, "2.Schema"),
    },
    "2.Path": {
        "required": (1, "bool"),
        "in": (2, "string"),
        "description": (3, "string"),
        "name": (4, "string"),
        "type": (5, "string"),
        "format": (6, "string"),
        "default": (9, "any"),
        "enum": (20, "[]any"),
        **_run(10, _REST),
    },
    "2.Query": {
        "required": (1, "bool"),
        "in": (2, "string"),
        "description": (3, "string"),
        "name": (4, "string"),
        "type": (6, "string"),
        "format": (7, "string"),
        "default": (10, "any"),
        "enum": (21, "[]any"),
        **_run(11, _REST),
    },
    "2.Response": {"description": (1, "string"), "schema": (2, "2.SchemaItem")},
    "2.ApiKey": {
        "type": (1, "string"),
        "name": (2, "string"),
        "in": (3, "string"),
        "description": (4, "string"),
    },
    "2.Schema": {
        "$ref": (1, "string"),
        "format": (2, "string"),
        "title": (3, "string"),
        "description": (4, "string"),
        "default": (5, "any"),
        "multipleOf": (6, "double"),
        **_run(7, (*_LIMITS, *_COUNTS, "maxProperties", "minProperties")),
        "required": (19, "[]string"),
        "enum": (20, "[]any"),
        "additionalProperties": (21, "2.Additional"),
        "type": (22, "strings"),
        "items": (23, "2.Items"),
        "allOf": (24, "[]2.Schema"),
        "properties": (25, "named 2.Schema"),
        "readOnly": (27, "bool"),
        "example": (30, "any"),
    },
    "3.Document": {
        "openapi": (1, "string"),
        "info": (2, "3.Info"),
        "paths": (4, "3.Paths"),
        "components": (5, "3.Components"),
    },
    "3.Info": {"title": (1, "string"), "description": (2, "string"), "version": (6, "string")},
    "3.Components": {"schemas": (1, "named 3.SchemaOrReference"), "securitySchemes": (7, "named 3.Security")},
    "3.PathItem": {
        **{verb: (4 + n, "3.Operation") for n, verb in enumerate(("get", "put", "post", "delete"))},
        **{verb: (8 + n, "3.Operation") for n, verb in enumerate(("options", "head", "patch"))},
        "parameters": (13, "[]3.ParameterOrReference"),
    },
    "3.Operation": {
        "tags": (1, "[]string"),
        "summary": (2, "string"),
        "description": (3, "string"),
        "operationId": (5, "string"),
        "parameters": (6, "[]3.ParameterOrReference"),
        "requestBody": (7, "3.BodyOrReference"),
        "responses": (8, "3.Responses"),
        "deprecated": (10, "bool"),
    },
    "3.Parameter": {
        "name": (1, "string"),
        "in": (2, "string"),
        "description": (3, "string"),
        "required": (4, "bool"),
        "schema": (10, "3.SchemaOrReference"),
    },
    "3.Body": {"description": (1, "string"), "content": (2, "named 3.MediaType"), "required": (3, "bool")},
    "3.Response": {"description": (1, "string"), "content": (3, "named 3.MediaType")},
    "3.MediaType": {"schema": (1, "3.SchemaOrReference")},
    "3.Scheme": {
        "type": (1, "string"),
        "description": (2, "string"),
        "name": (3, "string"),
        "in": (4, "string"),
        "scheme": (5, "string"),
        "bearerFormat": (6, "string"),
    },
    "3.Reference": {"$ref": (1, "string"), "summary": (2, "string"), "description": (3, "string")},
    "3.Schema": {
        "nullable": (1, "bool"),
        "readOnly": (3, "bool"),
        "example": (7, "any"),
        "title": (9, "string"),
        "multipleOf": (10, "double"),
        **_run(11, (*_LIMITS, *_COUNTS, "maxProperties", "minProperties")),
        "required": (23, "[]string"),
        "enum": (24, "[]any"),
        "type": (25, "string"),
        "allOf": (26, "[]3.SchemaOrReference"),
        "oneOf": (27, "[]3.SchemaOrReference"),
        "anyOf": (28, "[]3.SchemaOrReference"),
        "not": (29, "3.Schema"),
        "items": (30, "3.Items"),
        "properties": (31, "named 3.SchemaOrReference"),
        "additionalProperties": (32, "3.Additional"),
        "default": (33, "3.Default"),
        "description": (34, "string"),
        "format": (35, "string"),
    },
}
#: where a message keeps what begins with x-
EXTENSIONS = {
    "2.Document": 16,
    "2.Info": 7,
    "2.PathItem": 10,
    "2.Operation": 13,
    "2.Body": 6,
    "2.Path": 22,
    "2.Query": 23,
    "2.Response": 5,
    "2.ApiKey": 5,
    "2.Schema": 31,
    "3.Document": 9,
    "3.Info": 7,
    "3.Components": 10,
    "3.PathItem": 14,
    "3.Operation": 13,
    "3.Parameter": 14,
    "3.Body": 4,
    "3.Response": 5,
    "3.MediaType": 5,
    "3.Scheme": 9,
    "3.Schema": 36,
}


def v2(document: Object) -> bytes:
    """A Swagger document as openapi.v2.Document."""
    return _message("2.Document", document)


def v3(document: Object) -> bytes:
    """A document as openapi.v3.Document."""
    return _message("3.Document", document)


def _message(name: str, obj: Mapping[str, Any]) -> bytes:
    fields, out = MESSAGES[name], []
    for key, value in obj.items():
        field = fields.get(key)
        if field is not None:
            out.append(_field(*field, value))
        elif key.startswith("x-"):
            out.append(delimited(EXTENSIONS[name], _named(key, _any(value))))
    return b"".join(out)


def _field(number: int, how: str, value: Any) -> bytes:
    if how.startswith("[]"):
        return b"".join([_field(number, how[2:], item) for item in value])
    if how == "string":
        return delimited(number, value.encode()) if value else b""
    if how == "bool":
        return varint(number << 3 | VARINT) + b"\x01" if value else b""
    if how == "int":
        return varint(number << 3 | VARINT) + varint(int(value))
    if how == "double":
        import struct

        return varint(number << 3 | FIXED64) + struct.pack("<d", value)
    return delimited(number, _encoded(how, value))


def _encoded(how: str, value: Any) -> bytes:
    if how.startswith("named "):
        return _map(1, how.removeprefix("named "), value)
    special = SPECIAL.get(how)
    return special(value) if special is not None else _message(how, value)


def _named(name: str, value: bytes) -> bytes:
    return delimited(1, name.encode()) + delimited(2, value)


def _map(number: int, how: str, entries: Mapping[str, Any]) -> bytes:
    """A map is a message with one field of (name, value) pairs."""
    return b"".join(
        [delimited(number, _named(name, _encoded(how, value))) for name, value in entries.items()]
    )


def _any(value: Any) -> bytes:
    """Whatever it is, as text in YAML."""
    return delimited(2, _yaml(value) if isinstance(value, str) else _dump(value))


@lru_cache(maxsize=1024)
def _yaml(value: str) -> bytes:
    return _dump(value)


def _dump(value: Any) -> bytes:
    from knarr.apiserver import yamltext

    return yamltext.dump(value).removesuffix(b"...\n")


def _strings(value: Any) -> bytes:
    return b"".join([delimited(1, item.encode()) for item in ([value] if isinstance(value, str) else value)])


def _paths(number: int, item: str) -> Encoder:
    return lambda value: _map(number, item, value)


def _or_reference(name: str) -> Encoder:
    def encode(value: Any) -> bytes:
        if "$ref" in value:
            return delimited(2, _message("3.Reference", value))
        return delimited(1, _message(name, value))

    return encode


def _wrapped(number: int, how: str) -> Encoder:
    return lambda value: delimited(number, _encoded(how, value))


def _additional(how: str) -> Encoder:
    def encode(value: Any) -> bytes:
        if isinstance(value, bool):
            return b"\x10" + varint(int(value))
        return delimited(1, _encoded(how, value))

    return encode


def _items(how: str) -> Encoder:
    return lambda value: b"".join(
        [delimited(1, _encoded(how, item)) for item in (value if isinstance(value, list) else [value])]
    )


def _v2_parameter(value: Any) -> bytes:
    """ParametersItem{Parameter{body or one of four others}}."""
    if value["in"] == "body":
        return delimited(1, delimited(1, _message("2.Body", value)))
    number, name = (4, "2.Path") if value["in"] == "path" else (3, "2.Query")
    return delimited(1, delimited(2, delimited(number, _message(name, value))))


def _v3_responses(value: Any) -> bytes:
    codes = {code: response for code, response in value.items() if code != "default"}
    default = value.get("default")
    encode = _or_reference("3.Response")
    head = delimited(1, encode(default)) if default else b""
    return head + b"".join([delimited(2, _named(code, encode(response))) for code, response in codes.items()])


def _v3_default(value: Any) -> bytes:
    """Only plain values have a place."""
    if isinstance(value, bool):
        return b"\x10" + varint(int(value))
    if isinstance(value, int | float):
        return _field(1, "double", value)
    return delimited(3, value.encode()) if isinstance(value, str) else b""


SPECIAL: dict[str, Encoder] = {
    "any": _any,
    "strings": _strings,
    "2.Paths": _paths(2, "2.PathItem"),
    "2.Parameter": _v2_parameter,
    "2.Responses": lambda value: b"".join(
        [delimited(1, _named(code, delimited(1, _message("2.Response", r)))) for code, r in value.items()]
    ),
    "2.SchemaItem": _wrapped(1, "2.Schema"),
    "2.Additional": _additional("2.Schema"),
    "2.Items": _items("2.Schema"),
    "2.Security": _wrapped(2, "2.ApiKey"),
    "3.Paths": _paths(1, "3.PathItem"),
    "3.SchemaOrReference": _or_reference("3.Schema"),
    "3.ParameterOrReference": _or_reference("3.Parameter"),
    "3.BodyOrReference": _or_reference("3.Body"),
    "3.Security": _or_reference("3.Scheme"),
    "3.Responses": _v3_responses,
    "3.Additional": _additional("3.SchemaOrReference"),
    "3.Items": _items("3.SchemaOrReference"),
    "3.Default": _v3_default,
}
