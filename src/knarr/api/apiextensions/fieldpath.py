"""Paths into a schema, as `fieldPath` of rules and selectable fields name them: `.spec.replicas`, `.map['key']`."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}
_TOKEN = re.compile(r"'(?:\\.|[^'])*'|[.\[\]]|[^.\[\]']+|'.*", re.DOTALL)


def resolve(path: str, schema: Schema, arrays: bool = True) -> tuple[str, Schema]:
    """(the path as messages show it, without leading dot; the schema there).

    Raises ValueError with Kubernetes' words. `arrays`: whether the notation `['key']` is allowed.
    """
    tokens = _TOKEN.findall(path)
    shown, at = "", 0
    while at < len(tokens):
        token = tokens[at]
        if token == "[":
            if not arrays:
                raise ValueError("array notation is not allowed")
            name, at = _quoted(tokens, at + 1)
        elif token == ".":
            at += 1
            if at >= len(tokens):
                raise ValueError("unexpected end of JSON path")
            name = tokens[at]
        else:
            raise ValueError(f"expected [ or . but got: {token}")
        shown, schema = _step(shown, schema, name)
        at += 1
    return shown, schema


def _quoted(tokens: list[str], at: int) -> tuple[str, int]:
    if at >= len(tokens):
        raise ValueError("unexpected end of JSON path")
    token = tokens[at]
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise ValueError(f"expected single quoted string but got {token}")
    if at + 1 >= len(tokens):
        raise ValueError("unexpected end of JSON path")
    if tokens[at + 1] != "]":
        raise ValueError(f"expected ] but got {tokens[at + 1]}")
    return re.sub(r"\\(.)", _unescaped, token[1:-1]), at + 1


def _unescaped(found: re.Match[str]) -> str:
    if found[1] not in ESCAPES:
        raise ValueError(f"invalid string literal: invalid escape char {found[0]}")
    return ESCAPES[found[1]]


def _step(shown: str, schema: Schema, name: str) -> tuple[str, Schema]:
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if properties:
        if name not in properties:
            raise ValueError("does not refer to a valid field")
        return f"{shown}.{name}" if shown else name, properties[name]
    if isinstance(additional, dict):
        return f"{shown}[{name}]", additional
    raise ValueError("does not refer to a valid field")
