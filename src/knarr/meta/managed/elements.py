"""Path elements in their canonical spelling: what they are made of, how they are ordered, how messages show them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

_HTML = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


@lru_cache(maxsize=8192)
def _text(value: str) -> str:
    return orjson.dumps(value).decode().translate(_HTML)


def json_text(value: Any) -> str:
    """JSON as Go's encoder writes it: characters that matter to HTML escaped, maps sorted."""
    if value.__class__ is str:
        return _text(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode().translate(_HTML)


def key_element(pairs: Iterable[tuple[str, Any]]) -> str:
    """The element of a list item; `pairs` sorted by name."""
    return "k:{" + ",".join([f'"{name}":{json_text(value)}' for name, value in pairs]) + "}"


def value_element(value: Any) -> str:
    return f"v:{json_text(value)}"


@lru_cache(maxsize=8192)
def canonical_element(element: str) -> str:
    """The canonical spelling of an element that a client wrote; "" for a kind that a later version may know.

    ValueError when it is no path element at all.
    """
    if len(element) < 2:
        raise ValueError("key must be 2 characters long:")
    if element[1] != ":":
        raise ValueError(f"missing colon: {element}")
    kind, text = element[0], element[2:]
    if kind == "f":
        return element
    if kind == "i":
        return f"i:{int(text)}"
    if kind == "v":
        return value_element(orjson.loads(text))
    if kind == "k":
        pairs = orjson.loads(text)
        if not isinstance(pairs, dict):
            raise ValueError("a list item's key must be an object")
        return key_element(sorted(pairs.items()))
    return ""


@lru_cache(maxsize=8192)
def rank(element: str) -> tuple[Any, ...]:
    kind, text = element[:1], element[2:]
    if kind == "f":
        return (1, text)
    if kind == "k":
        # field by field: the name first, then the value, as a list of pairs compares
        return (2, *((name, *value_rank(value)) for name, value in sorted(orjson.loads(text).items())))
    if kind == "v":
        return (3, *value_rank(orjson.loads(text)))
    return (4, int(text)) if kind == "i" else (0,)


def value_rank(value: Any) -> tuple[Any, ...]:
    """A total order over values: numbers, strings, booleans, lists, maps, null."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    if value is None:
        return (5,)
    return (3, tuple(map(value_rank, value))) if isinstance(value, list) else (4, orjson.dumps(value))


def describe(path: Iterable[str]) -> str:
    """A path as messages show it: `.spec.containers[name="c"].image`."""
    return "".join(map(describe_element, path))


def describe_element(element: str) -> str:
    kind, text = element[0], element[2:]
    if kind == "f":
        return f".{text}"
    if kind == "k":
        return "[" + ",".join(f"{k}={_show(v)}" for k, v in sorted(orjson.loads(text).items())) + "]"
    return f"[={_show(orjson.loads(text))}]" if kind == "v" else f"[{text}]"


def _show(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(map(_show, value)) + "]"
    if isinstance(value, dict):
        return "{" + ";".join(f"{k}={_show(v)}" for k, v in sorted(value.items())) + "}"
    return orjson.dumps(value).decode()
