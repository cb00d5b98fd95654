"""Plain JSON values: strict equality, copies, and how Go prints them in messages."""

from __future__ import annotations

from typing import Any, Final

from knarr.meta.gofmt import quote


class _Absent:
    """No value, which is not the same as null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


def same(a: Any, b: Any) -> bool:
    """Equal as JSON: true is not 1, but 1 is 1.0."""
    if isinstance(a, dict):
        if not isinstance(b, dict) or len(a) != len(b):
            return False
        return all(key in b and same(value, b[key]) for key, value in a.items())
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def copy(value: Any) -> Any:
    """A deep copy of JSON."""
    kind = value.__class__
    if kind is dict:
        return {k: copy(v) if v.__class__ in _CONTAINERS else v for k, v in value.items()}
    if kind is list:
        return [copy(v) if v.__class__ in _CONTAINERS else v for v in value]
    return value


_CONTAINERS = (dict, list)


def go_type(value: Any) -> str:
    """%T of a value decoded into interface{}."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    return {str: "string", int: "int64", float: "float64"}.get(type(value), "<nil>")


def go_plain(value: Any) -> str:
    """%v of a value decoded into interface{}."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_plain(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_plain, value)) + "]"
    return "<nil>" if value is None else _bool(value) if isinstance(value, bool) else str(value)


def go_syntax(value: Any) -> str:
    """%#v of a value decoded into interface{}."""
    if isinstance(value, dict):
        return (
            "map[string]interface {}{"
            + ", ".join(f"{quote(k)}:{go_syntax(v)}" for k, v in sorted(value.items()))
            + "}"
        )
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(go_syntax, value)) + "}"
    if isinstance(value, str):
        return quote(value)
    return "interface {}(nil)" if value is None else _bool(value) if isinstance(value, bool) else str(value)


def _bool(value: bool) -> str:
    return "true" if value else "false"
