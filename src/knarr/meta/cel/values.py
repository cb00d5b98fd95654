"""CEL values that Python has no type of its own for, and what equality means.

int, float, str, bytes, bool, None, list and dict stand for themselves; `type(True)` is told from `type(1)` everywhere.
"""

from __future__ import annotations

from typing import Any


class CelError(Exception):
    """An evaluation that failed; the text is cel-go's."""


class NoSuchOverload(CelError):
    def __init__(self) -> None:
        super().__init__("no such overload")


class UInt(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


class Timestamp(int):
    """Nanoseconds since the epoch."""

    __slots__ = ()


class Duration(int):
    """Nanoseconds."""

    __slots__ = ()


class Optional:
    """A value that may be none."""

    __slots__ = ("present", "value")

    def __init__(self, value: Any = None, present: bool = True) -> None:
        self.value, self.present = value, present


NONE = Optional(present=False)


class TypeValue(str):
    """What type(x) gives: the type's name."""

    __slots__ = ()


class Fields:
    """A value whose fields are made when they are read; expressions can do nothing else with it."""

    __slots__ = ()

    def has(self, name: str) -> bool:
        raise NotImplementedError

    def get(self, name: str) -> Any:
        """Raises CelError for a field that is not there."""
        raise NotImplementedError


class Struct(dict[str, Any]):
    """An object that an expression made with `name{...}`."""

    __slots__ = ("name",)

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.name = name


class DefaultMap(dict[Any, Any]):
    """A map that has a value for every key, though it contains only some."""

    __slots__ = ("default",)

    def __init__(self, items: dict[Any, Any], default: Any) -> None:
        super().__init__(items)
        self.default = default

    def __missing__(self, key: Any) -> Any:
        return self.default


class SetList(list[Any]):
    """A list of x-kubernetes-list-type set: order does not matter to equality."""

    __slots__ = ()


class MapList(list[Any]):
    """A list of x-kubernetes-list-type map, whose items are told apart by `keys`."""

    __slots__ = ("keys",)

    def __init__(self, items: Any, keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def key_of(self, item: Any) -> tuple[Any, ...]:
        return tuple(repr(item.get(key)) for key in self.keys) if isinstance(item, dict) else (id(item),)


NUMBERS = frozenset({int, UInt, float})
INT_MIN, INT_MAX, UINT_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


def equals(a: Any, b: Any) -> bool:
    """CEL's ==: numbers compare by value, nothing else equals a value of another type."""
    kind, other = a.__class__, b.__class__
    if kind in NUMBERS and other in NUMBERS:
        return a == b
    if issubclass(kind, list):
        return issubclass(other, list) and _lists_equal(a, b)
    if kind is dict:
        if other is not dict or len(a) != len(b):
            return False
        return all(key in b and equals(value, b[key]) for key, value in a.items())
    if kind is Struct:
        return other is Struct and a.name == b.name and equals(dict(a), dict(b))
    if kind is Optional:
        if other is not Optional or a.present != b.present:
            return False
        return not a.present or equals(a.value, b.value)
    return kind is other and a == b


def _lists_equal(a: Any, b: Any) -> bool:
    if len(a) != len(b):
        return False
    if a.__class__ is SetList:
        return all(any(equals(x, y) for y in b) for x in a) and all(any(equals(x, y) for x in a) for y in b)
    if a.__class__ is MapList:
        theirs = {a.key_of(item): item for item in b}
        return all(a.key_of(x) in theirs and equals(x, theirs[a.key_of(x)]) for x in a)
    return all(map(equals, a, b))


def concat(a: Any, b: Any) -> Any:
    """The + of lists: sets and map lists take over what is new in the right one."""
    if a.__class__ is SetList:
        return SetList([*a, *(y for y in b if not any(equals(x, y) for x in a))])
    if a.__class__ is MapList:
        theirs = {a.key_of(item): item for item in b}
        kept = [theirs.pop(a.key_of(item), item) for item in a]
        return MapList([*kept, *theirs.values()], a.keys)
    return [*a, *b]


def size_of(value: Any) -> int:
    """What a value counts for in costs: the length of texts, containers and addresses, 1 for the rest."""
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    return getattr(value, "cel_size", 1)
