"""Dropping the empty maps and lists that Go leaves out, from objects that are otherwise in wire form.

The C encoder leaves out what equals its default, but a map that was sent empty is not the default. Only bodies that
hold `{}` or `[]` come here, and the plans lead only to fields where that matters.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from knarr.api import schema
from knarr.api.decoding import OPAQUE, SELF_DECODING, null_when_empty
from knarr.api.schema import Definition, Field, Type


class Step(NamedTuple):
    """What to do with one field: when it is empty, and with the objects inside."""

    when_empty: str  # 'drop', 'null' or 'keep'
    shape: str  # 'object', 'list', 'map' of objects, or '' when nothing inside matters
    inner: str  # the definition of those objects


Plan = dict[str, Step]


def tidy(definition: str, obj: dict[str, Any]) -> dict[str, Any]:
    """Change `obj` in place to what Go would have written, and return it."""
    plan = plan_of(definition)
    if plan:
        _tidy(plan, obj)
    return obj


def _tidy(plan: Plan, obj: dict[str, Any]) -> None:
    dropped = []
    for key, value in obj.items():
        step = plan.get(key)
        if step is None:
            continue
        when_empty, shape, inner = step
        if not value:
            if when_empty == "drop":
                dropped.append(key)
            elif when_empty == "null":
                obj[key] = None
        elif shape == "object":
            _tidy(plan_of(inner), value)
        elif shape:
            below = plan_of(inner)
            for item in value if shape == "list" else value.values():
                _tidy(below, item)
    for key in dropped:
        del obj[key]


@cache
def plan_of(name: str) -> Plan:
    definition = schema.load()[name]
    steps = ((field.name, _step(definition, field)) for field in definition.fields.values())
    return {name: step for name, step in steps if step is not None}


def _step(definition: Definition, field: Field) -> Step | None:
    when_empty, inner = _when_empty(definition, field), _object_inside(field.type)
    shape = ""
    if inner and matters(inner):
        shape = field.type.kind
    return Step(when_empty, shape, inner) if shape or when_empty != "keep" else None


def _when_empty(definition: Definition, field: Field) -> str:
    if field.type.kind not in ("list", "map"):
        return "keep"
    if field.behaviour == "a":
        return "null" if null_when_empty(definition, field) else "keep"
    return "drop"


def _object_inside(type_: Type) -> str:
    """The definition of the objects that a field holds directly; lists of lists of objects do not occur."""
    inner = type_.item if type_.item and type_.kind in ("list", "map") else type_
    return inner.name if inner.kind == "object" and inner.name not in (*OPAQUE, *SELF_DECODING) else ""


@cache
def matters(name: str) -> bool:
    """Whether any field below a definition may have to be dropped or nulled."""
    met, waiting = set(), [name]
    while waiting:
        definition = schema.load()[waiting.pop()]
        for field in definition.fields.values():
            if _when_empty(definition, field) != "keep":
                return True
            inner = _object_inside(field.type)
            if inner and inner not in met:
                met.add(inner)
                waiting.append(inner)
    return False
