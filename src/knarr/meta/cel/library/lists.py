"""Kubernetes' list functions, and cel-go's (the third version of its library)."""

from __future__ import annotations

from typing import Any

from knarr.meta.cel.functions import PYTHON_TYPES, overload
from knarr.meta.cel.library.standard import checked, unsigned
from knarr.meta.cel.library.times import duration
from knarr.meta.cel.macros import SORT_BY_KEYS
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


# -- cel-go's -----------------------------------------------------------------------------------------------


def slice_(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise CelError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        why = "start index must be less than or equal to end index"
        raise CelError(f"cannot slice({start}, {end}), {why}")
    if len(items) < end:
        raise CelError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


def flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    found: list[Any] = []
    for item in items:
        if isinstance(item, list) and depth:
            found += flatten(item, depth - 1)
        else:
            found.append(item)
    return found


def sort(items: list[Any]) -> list[Any]:
    return sort_by_keys(items, items)


def sort_by_keys(items: list[Any], keys: list[Any]) -> list[Any]:
    if keys and PYTHON_TYPES.get(keys[0].__class__) not in COMPARABLE:
        raise CelError("list elements must be comparable")
    if any(key.__class__ is not keys[0].__class__ for key in keys):
        raise CelError("list elements must have the same type")
    return [items[i] for i in sorted(range(len(items)), key=keys.__getitem__)]


def distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not any(equals(item, known) for known in found):
            found.append(item)
    return found


OVERLOADS = (
    *(overload(f"list_{t}_is_sorted_bool: list<{t}>::isSorted() -> bool", is_sorted) for t in COMPARABLE),
    *(overload(f"list_{t}_sum_{t}: list<{t}>::sum() -> {t}", sum_) for t in SUMMABLE),
    *(overload(f"list_{t}_min_{t}: list<{t}>::min() -> {t}", smallest) for t in COMPARABLE),
    *(overload(f"list_{t}_max_{t}: list<{t}>::max() -> {t}", largest) for t in COMPARABLE),
    overload("list_a_index_of_int: list<A>::indexOf(A) -> int", index_of),
    overload("list_a_last_index_of_int: list<A>::lastIndexOf(A) -> int", last_index_of),
    overload("list_slice: list<A>::slice(int,int) -> list<A>", slice_),
    overload("list_flatten: list<list<A>>::flatten() -> list<A>", flatten),
    overload("list_flatten_int: list<dyn>::flatten(int) -> list<dyn>", flatten),
    *(overload(f"list_{t}_sort: list<{t}>::sort() -> list<{t}>", sort) for t in COMPARABLE),
    *(
        overload(
            f"list_{t}_sortByAssociatedKeys: list<A>::{SORT_BY_KEYS}(list<{t}>) -> list<A>", sort_by_keys
        )
        for t in COMPARABLE
    ),
    overload("lists_range: lists.range(int) -> list<int>", lambda n: list(range(n))),
    overload("list_reverse: list<A>::reverse() -> list<A>", lambda items: items[::-1]),
    overload("list_distinct: list<A>::distinct() -> list<A>", distinct),
)
