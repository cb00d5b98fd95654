"""Defaulting: what is absent, or null where null is not allowed, gets the schema's default; other such nulls go."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.schema.node import Node

SCALARS = frozenset({str, int, float, bool})


def fill(value: Any, node: Node) -> None:
    """Default `value` in place; idempotent."""
    if value.__class__ is dict:
        _fill_object(value, node)
    elif value.__class__ is list and node.items is not None:
        item = node.items
        for index, element in enumerate(value):
            if element is None and not item.nullable and item.has_default:
                element = value[index] = copy(item.default)
            if element.__class__ is dict or element.__class__ is list:
                fill(element, item)


def _fill_object(value: dict[str, Any], node: Node) -> None:
    gone: list[str] = []
    properties = node.properties
    if node.has_defaults_below:
        for name, child in properties.items():
            if child.has_default and (name not in value or (value[name] is None and not child.nullable)):
                value[name] = copy(child.default)
    element = node.additional[1]
    for key, item in value.items():
        kind = item.__class__
        if kind in SCALARS:
            continue
        below = properties.get(key) or element
        if below is None:
            continue
        if item is None:
            if below.nullable:
                continue
            if below is element and below.has_default:
                item = value[key] = copy(below.default)
            else:
                gone.append(key)
                continue
        if item.__class__ is dict or item.__class__ is list:
            fill(item, below)
    for key in gone:
        del value[key]


def copy(value: Any) -> Any:
    if value.__class__ is dict:
        return {key: copy(item) for key, item in value.items()}
    if value.__class__ is list:
        return [copy(item) for item in value]
    return value
