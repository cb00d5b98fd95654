"""Lists that are sets or maps hold no two items alike."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.schema.node import Node
from knarr.meta import fielderrors
from knarr.meta.fielderrors import FieldError
from knarr.meta.gofmt import go_json

NO_OBJECT = "must be an object for an array of list-type map"


def has_list_types(node: Node) -> bool:
    return node.list_type in ("set", "map") or any(has_list_types(child) for child in node.children())


def errors(value: Any, node: Node, path: str = "") -> list[FieldError]:
    """Duplicates in everything below `value`."""
    found: list[FieldError] = []
    _walk(value, node, path, found)
    return found


def _walk(value: Any, node: Node, path: str, found: list[FieldError]) -> None:
    if value.__class__ is dict:
        for key in sorted(value):
            below = node.properties.get(key)
            if below is not None:
                _walk(value[key], below, f"{path}.{key}" if path else key, found)
            elif node.additional[1] is not None:
                _walk(value[key], node.additional[1], f"{path}[{key}]", found)
    elif value.__class__ is list:
        if node.list_type == "set":
            _duplicates(value, path, found)
        elif node.list_type == "map":
            _map_errors(value, node, path, found)
        if node.items is not None:
            for index, item in enumerate(value):
                _walk(item, node.items, f"{path}[{index}]", found)


def _map_errors(value: list[Any], node: Node, path: str, found: list[FieldError]) -> None:
    """An item that is null has no keys."""
    for index, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            found.append(fielderrors.invalid(f"{path}[{index}]", item, NO_OBJECT))
            return
    keyed = [{key: item[key] for key in node.list_keys if key in item} if item else {} for item in value]
    _duplicates(keyed, path, found)


def _duplicates(values: list[Any], path: str, found: list[FieldError]) -> None:
    """Each repeated value once, where it is first repeated."""
    seen: dict[str, int] = {}
    for index, item in enumerate(values):
        shown = go_json(item) if not isinstance(item, dict) else go_json(dict(sorted(item.items())))
        count = seen[shown] = seen.get(shown, 0) + 1
        if count == 2:
            found.append(fielderrors.duplicate(f"{path}[{index}]", item))
