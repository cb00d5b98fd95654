"""Optional values (cel-go's cel.OptionalTypes)."""

from __future__ import annotations

from typing import Any

from knarr.meta.cel.functions import overload
from knarr.meta.cel.library.standard import find_key
from knarr.meta.cel.values import NONE, CelError, Optional


def value(optional: Optional) -> Any:
    if not optional.present:
        raise CelError("optional.none() dereference")
    return optional.value


def of_non_zero(item: Any) -> Optional:
    return Optional(item) if item or item.__class__ is Optional else NONE


def at_list(items: Any, at: Any) -> Optional:
    if isinstance(items, Optional):
        return at_list(items.value, at) if items.present else NONE
    return Optional(items[at]) if 0 <= at < len(items) else NONE


def at_map(items: Any, key: Any) -> Optional:
    if isinstance(items, Optional):
        return at_map(items.value, key) if items.present else NONE
    found = find_key(items, key)
    return NONE if found is None else Optional(found[0])


def unwrapped(items: list[Optional]) -> list[Any]:
    return [item.value for item in items if item.present]


OVERLOADS = (
    overload("optional_of: optional.of(V) -> optional<V>", Optional),
    overload("optional_ofNonZeroValue: optional.ofNonZeroValue(V) -> optional<V>", of_non_zero),
    overload("optional_none: optional.none() -> optional<V>", lambda: NONE),
    overload("optional_value: optional<V>::value() -> V", value),
    overload("optional_hasValue: optional<V>::hasValue() -> bool", lambda o: o.present),
    overload(
        "optional_or_optional: optional<V>::or(optional<V>) -> optional<V>",
        lambda o, p: o if o.present else p,
    ),
    overload(
        "optional_orValue_value: optional<V>::orValue(V) -> V", lambda o, v: o.value if o.present else v
    ),
    overload("list_optindex_optional_int: _[?_](list<V>,int) -> optional<V>", at_list),
    overload("optional_list_optindex_optional_int: _[?_](optional<list<V>>,int) -> optional<V>", at_list),
    overload("map_optindex_optional_value: _[?_](map<K,V>,K) -> optional<V>", at_map),
    overload("optional_map_optindex_optional_value: _[?_](optional<map<K,V>>,K) -> optional<V>", at_map),
    overload("list_first: list<V>::first() -> optional<V>", lambda items: at_list(items, 0)),
    overload("list_last: list<V>::last() -> optional<V>", lambda items: at_list(items, len(items) - 1)),
    overload("optional_unwrap: optional.unwrap(list<optional<V>>) -> list<V>", unwrapped),
    overload("optional_unwrapOpt: list<optional<V>>::unwrapOpt() -> list<V>", unwrapped),
    overload("optional_list_index_int: _[_](optional<list<V>>,int) -> optional<V>", at_list),
    overload("optional_map_index_value: _[_](optional<map<K,V>>,K) -> optional<V>", at_map),
)
