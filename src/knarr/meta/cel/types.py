"""CEL types, as the checker reasons about them, and how messages name them.

A type is a tuple: ("int",), ("list", T), ("map", K, V), ("param", name), ("opaque", name, *parameters), ("type", T) or
("object", ObjectType).
"""

from __future__ import annotations

import re
from typing import Any

Type = tuple[Any, ...]
DYN: Type = ("dyn",)
ERROR: Type = ("error",)
BOOL: Type = ("bool",)
INT: Type = ("int",)
UINT: Type = ("uint",)
DOUBLE: Type = ("double",)
STRING: Type = ("string",)
BYTES: Type = ("bytes",)
NULL: Type = ("null",)
TIMESTAMP: Type = ("timestamp",)
DURATION: Type = ("duration",)
SIMPLE = {t[0]: t for t in (DYN, BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, TIMESTAMP, DURATION)}
NAMES = {
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "null": "null_type",
}
SHOWN = {"timestamp": "timestamp", "duration": "duration", "error": "!error!", "null": "null"}
SCALARS = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})
#: types that null is a value of
NULLABLE = frozenset({"object", "opaque", "timestamp", "duration"})


class ObjectType:
    """A type with named fields; equality is identity."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: dict[str, Type]) -> None:
        self.name, self.fields = name, fields


def list_of(item: Type) -> Type:
    return ("list", item)


def map_of(key: Type, value: Type) -> Type:
    return ("map", key, value)


def optional_of(value: Type) -> Type:
    return ("opaque", "optional_type", value)


def show(type_: Type) -> str:
    """A type as cel-go's messages write it."""
    kind = type_[0]
    if kind == "list":
        return f"list({show(type_[1])})"
    if kind == "map":
        return f"map({show(type_[1])}, {show(type_[2])})"
    if kind == "param":
        return type_[1]
    if kind == "type":
        return f"type({show(type_[1])})" if len(type_) > 1 else "type"
    if kind == "object":
        return type_[1].name
    if kind == "opaque":
        inside = ", ".join(map(show, type_[2:]))
        return f"{type_[1]}({inside})" if inside else type_[1]
    return SHOWN.get(kind, str(kind))


_TOKEN = re.compile(r"[\w.]+|[<>,]")


def parse_type(text: str) -> Type:
    """`map<string,list<A>>`, `optional<A>`, `net.IP`; single capital letters are parameters."""
    tokens = _TOKEN.findall(text)
    type_, rest = _parse(tokens)
    assert not rest, text
    return type_


def _parse(tokens: list[str]) -> tuple[Type, list[str]]:
    name, rest = tokens[0], tokens[1:]
    inside: list[Type] = []
    if rest[:1] == ["<"]:
        rest = rest[1:]
        while True:
            part, rest = _parse(rest)
            inside.append(part)
            separator, rest = rest[0], rest[1:]
            if separator == ">":
                break
    if name in ("list", "map", "type"):
        return (name, *inside), rest
    if name == "optional":
        return ("opaque", "optional_type", *inside), rest
    if name in SIMPLE:
        return SIMPLE[name], rest
    if len(name) == 1 and name.isupper():
        return ("param", name), rest
    return ("opaque", name, *inside), rest


#: type names in expressions -> what type() gives
TYPE_NAMES_OF_VALUES = {
    name: name
    for name in (
        *(
            "bool",
            "bytes",
            "double",
            "int",
            "string",
            "uint",
            "list",
            "map",
            "type",
            "null_type",
            "optional_type",
        ),
        "google.protobuf.Timestamp",
        "google.protobuf.Duration",
    )
}
