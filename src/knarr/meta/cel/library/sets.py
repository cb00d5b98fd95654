"""cel-go's set functions over lists."""

from __future__ import annotations

from typing import Any

from knarr.meta.cel.functions import overload
from knarr.meta.cel.library.standard import contains


def holds_all(a: list[Any], b: list[Any]) -> bool:
    return all(contains(item, a) for item in b)


OVERLOADS = (
    overload("list_sets_contains_list: sets.contains(list<T>,list<T>) -> bool", holds_all),
    overload(
        "list_sets_equivalent_list: sets.equivalent(list<T>,list<T>) -> bool",
        lambda a, b: holds_all(a, b) and holds_all(b, a),
    ),
    overload(
        "list_sets_intersects_list: sets.intersects(list<T>,list<T>) -> bool",
        lambda a, b: any(contains(item, b) for item in a),
    ),
)
