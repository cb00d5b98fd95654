"""Pruning: fields that a structural schema does not know are dropped, and named for warnings."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.schema.node import META_FIELDS, Node


def prune(value: Any, node: Node | None, root: bool = True) -> list[str]:
    """Drop unknown fields in place; their paths, sorted. `root`: the value is a whole resource."""
    dropped: list[str] = []
    _prune(value, node, root or (node is not None and node.embedded), "", dropped)
    dropped.sort()
    return dropped


def _prune(
    value: Any, node: Node | None, resource: bool, path: str, dropped: list[str], preserve: bool = False
) -> None:
    """`preserve`: a list around this keeps unknown fields, and so do its items."""
    kind = value.__class__
    if kind is dict:
        _prune_object(value, node, resource, path, dropped, preserve)
    elif kind is list:
        _prune_list(value, node, preserve or (node is not None and node.preserve), path, dropped)


def _prune_list(value: list[Any], node: Node | None, preserve: bool, path: str, dropped: list[str]) -> None:
    item = node.items if node is not None else None
    if preserve and item is None:
        return
    embedded = item is not None and item.embedded
    for index, element in enumerate(value):
        if element.__class__ is dict or element.__class__ is list:
            _prune(element, item, embedded, f"{path}[{index}]", dropped, preserve)


def _prune_object(
    value: dict[str, Any], node: Node | None, resource: bool, path: str, dropped: list[str], preserve: bool
) -> None:
    properties = node.properties if node is not None else {}
    preserve = preserve or (node is not None and node.preserve)
    additional, element = node.additional if node is not None else (False, None)
    unknown: list[str] = []
    for key, item in value.items():
        if resource and key in META_FIELDS:
            continue
        below = properties.get(key)
        if below is not None:
            if item.__class__ is dict or item.__class__ is list:
                _prune(item, below, below.embedded, f"{path}.{key}" if path else key, dropped)
        elif additional:
            if item.__class__ is dict or item.__class__ is list:
                embedded = element is not None and element.embedded
                _prune(item, element, embedded, f"{path}.{key}" if path else key, dropped)
        elif not preserve:
            unknown.append(key)
    for key in unknown:
        del value[key]
        dropped.append(f"{path}.{key}" if path else key)
