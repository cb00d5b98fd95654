"""Functions: their overloads, as the checker sees them, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from knarr.meta.cel import types
from knarr.meta.cel.types import Type
from knarr.meta.cel.values import (
    DefaultMap,
    Duration,
    NoSuchOverload,
    Optional,
    Struct,
    Timestamp,
    TypeValue,
    UInt,
)

Implementation = Callable[..., Any]


class Overload:
    """One signature of a function; `member`: the first parameter stands before the dot."""

    __slots__ = ("function", "id", "impl", "member", "params", "result")

    def __init__(
        self,
        id_: str,
        function: str,
        member: bool,
        params: tuple[Type, ...],
        result: Type,
        impl: Implementation,
    ) -> None:
        self.id, self.function, self.member = id_, function, member
        self.params, self.result, self.impl = params, result, impl

    def accepts(self, args: Iterable[Any]) -> bool:
        return all(is_of(type_, value) for type_, value in zip(self.params, args, strict=True))


def overload(signature: str, impl: Implementation) -> Overload:
    """`size_string: size(string) -> int`, or with a receiver: `x: string.contains(string) -> bool`."""
    id_, _, rest = signature.partition(":")
    call, _, result = rest.partition("->")
    call = call.strip()
    head, _, inside = call.partition("(")
    inside = inside.rpartition(")")[0]
    params = _split(inside)
    member = "::" in head
    receiver, _, function = head.partition("::") if member else ("", "", head)
    if member:
        params.insert(0, receiver)
    types_ = tuple(types.parse_type(p) for p in params)
    return Overload(id_.strip(), function, member, types_, types.parse_type(result.strip()), impl)


def _split(inside: str) -> list[str]:
    found, depth, start = [], 0, 0
    for at, char in enumerate(inside):
        depth += (char == "<") - (char == ">")
        if char == "," and depth == 0:
            found.append(inside[start:at].strip())
            start = at + 1
    last = inside[start:].strip()
    return [*found, last] if last else found


Functions = dict[str, list[Overload]]


def table(*groups: Iterable[Overload]) -> Functions:
    found: Functions = {}
    for group in groups:
        for item in group:
            found.setdefault(item.function, []).append(item)
    return found


def is_of(type_: Type, value: Any) -> bool:
    """Whether a runtime value can be an argument of a type; parameters take anything."""
    match type_[0]:
        case "dyn" | "param":
            return True
        case "list":
            return isinstance(value, list)
        case "map":
            return value.__class__ is dict or value.__class__ is DefaultMap
        case "object":
            return value.__class__ is dict or value.__class__ is Struct
        case "opaque":
            if type_[1] == "optional_type":
                return value.__class__ is Optional
            return getattr(value, "cel_type", "") == type_[1]
    return PYTHON_TYPES.get(value.__class__) == type_[0]


PYTHON_TYPES: dict[type, str] = {
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null",
    Timestamp: "timestamp",
    Duration: "duration",
    TypeValue: "type",
}


def choose(candidates: list[Overload], args: list[Any]) -> Implementation:
    """The first overload that fits the values. Raises NoSuchOverload."""
    for candidate in candidates:
        if len(candidate.params) == len(args) and candidate.accepts(args):
            return candidate.impl
    raise NoSuchOverload
