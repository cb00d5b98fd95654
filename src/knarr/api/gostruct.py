"""Objects as Go prints its internal structs: every field under its Go name, absent ones as null or zero.

A few messages of Kubernetes show such a struct ("cannot change roleRef") or the difference of two of them ("spec is
immutable after creation"). A shape is a tuple of fields, in the order of the internal type; a field is
(wire name, Go name, zero) where zero is what an absent value shows, or a shape, or a list of one shape.
"""

from __future__ import annotations

import difflib
import json
from typing import Any

Shape = tuple["Field", ...]
Field = tuple[str, str, Any]


class Pointer:
    """An optional struct: null when it is absent, its shape otherwise."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape


class Items:
    """A list of structs: null when there are none."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape


def strings(*names: str) -> Shape:
    """Fields that are texts, named in Go with the first letter raised."""
    return tuple((name, name[:1].upper() + name[1:], "") for name in names)


def dump(value: dict[str, Any] | None, shape: Shape) -> dict[str, Any]:
    """The struct as a dict that prints as Go would."""
    value = value or {}
    return {go_name: _field(value.get(name), zero) for name, go_name, zero in shape}


def _field(value: Any, zero: Any) -> Any:
    if isinstance(zero, Pointer):
        return None if value is None else dump(value, zero.shape)
    if isinstance(zero, Items):
        return [dump(item, zero.shape) for item in value] if value else None
    if isinstance(zero, tuple):
        return dump(value, zero)
    return zero if value is None else in_order(value)


def in_order(value: Any) -> Any:
    """A map as Go prints it: by its keys. What holds more than texts is a struct, whose fields stay as they are."""
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return dict(sorted(value.items()))
    return value


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What changed between two dumps, as a unified diff without its header."""
    lines = [
        (json.dumps(o, indent=1, ensure_ascii=False, sort_keys=False) + "\n").splitlines(True)
        for o in (old, new)
    ]
    return "".join(list(difflib.unified_diff(lines[0], lines[1], n=3))[2:])


def undump(value: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Back from a dump to wire names; what is null or zero is left out."""
    found: dict[str, Any] = {}
    for name, go_name, zero in shape:
        given = value.get(go_name)
        if given is None:
            continue
        if isinstance(zero, Items):
            found[name] = [undump(item, zero.shape) for item in given]
        elif isinstance(zero, Pointer):
            found[name] = undump(given, zero.shape)
        elif isinstance(zero, tuple):
            found[name] = undump(given, zero)
        elif zero is None or given != zero:
            found[name] = given
    return found
