"""Kubernetes' list functions."""

from __future__ import annotations

from typing import Any

from knarr.meta.cel.functions import overload
from knarr.meta.cel.library.standard import checked, unsigned
from knarr.meta.cel.library.times import duration
from knarr.meta.cel.values import CelError, Duration, NoSuchOverload, UInt, equals

COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
SUMMABLE = ("int", "uint", "double", "duration")


def is_sorted(items: list[Any]) -> bool:
    try:
        return all(a <= b for a, b in zip(items, items[1:], strict=False))
    except TypeError:
        raise NoSuchOverload from None


def smallest(items: list[Any]) -> Any:
    if not items:
        raise CelError("min called on empty list")
    return min(items)


def largest(items: list[Any]) -> Any:
    if not items:
        raise CelError("max called on empty list")
    return max(items)


def sum_(items: list[Any]) -> Any:
    if not items:
        return 0
    total = sum(items)
    if items[0].__class__ is UInt:
        return unsigned(total)
    if items[0].__class__ is Duration:
        return duration(total)
    return total if isinstance(total, float) else checked(total)


def index_of(items: list[Any], wanted: Any) -> int:
    return next((i for i, item in enumerate(items) if equals(item, wanted)), -1)


def last_index_of(items: list[Any], wanted: Any) -> int:
    return next((i for i in range(len(items) - 1, -1, -1) if equals(items[i], wanted)), -1)


OVERLOADS = (
    *(overload(f"list_{t}_is_sorted_bool: list<{t}>::isSorted() -> bool", is_sorted) for t in COMPARABLE),
    *(overload(f"list_{t}_sum_{t}: list<{t}>::sum() -> {t}", sum_) for t in SUMMABLE),
    *(overload(f"list_{t}_min_{t}: list<{t}>::min() -> {t}", smallest) for t in COMPARABLE),
    *(overload(f"list_{t}_max_{t}: list<{t}>::max() -> {t}", largest) for t in COMPARABLE),
    overload("list_a_index_of_int: list<A>::indexOf(A) -> int", index_of),
    overload("list_a_last_index_of_int: list<A>::lastIndexOf(A) -> int", last_index_of),
)
