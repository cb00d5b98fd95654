"""What functions cost when an expression is evaluated, by the arguments they are called with: cel-go's runtime costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from knarr.meta.cel.values import size_of

#: per letter of a text that is read, and of a regular expression
TRAVERSAL, REGEX = 0.1, 0.25
#: of making a list, a map, an object
LIST_BASE, MAP_BASE, STRUCT_BASE = 10, 30, 40
#: gives the cost of a call for its arguments, the target among them
Price = Callable[[Any], int]


def _share(size: int, factor: float = TRAVERSAL) -> int:
    return math.ceil(size * factor)


def _regex(args: Any) -> int:
    return _share(1 + size_of(args[0])) * _share(size_of(args[1]), REGEX)


def _traverse(value: Any) -> int:
    if isinstance(value, str | bytes):
        return int(len(value) * TRAVERSAL)
    if isinstance(value, list):
        return sum(map(_traverse, value))
    if isinstance(value, dict):
        return sum(_traverse(k) + _traverse(v) for k, v in value.items())
    return 1


def _flat_size(items: Any, depth: int = 1) -> int:
    if depth <= 1:
        return len(items)
    return sum(_flat_size(item, depth - 1) if isinstance(item, list) else 1 for item in items)


def _joined_size(items: Any, between: str = "") -> int:
    return sum(map(size_of, items)) + max(len(items) - 1, 0) * len(between)


def _parsed(address: Any) -> int:
    return _share(len(address)) if isinstance(address, str) else 0


def _selector(size: int) -> int:
    """A list, and for every two letters a requirement, which is a list and an object."""
    return LIST_BASE + _share(size) + _share(size, 0.5) * (LIST_BASE + STRUCT_BASE)


def _first(args: Any) -> int:
    return _share(size_of(args[0]))


def _smaller(args: Any) -> int:
    if isinstance(args[0], str | bytes | list | dict):
        return _share(min(size_of(args[0]), size_of(args[1])))
    return 1


#: by function; what is not here costs 1
PRICES: dict[str, Price] = {
    **dict.fromkeys(
        ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), lambda args: _traverse(args[0])
    ),
    **dict.fromkeys(
        (
            "url",
            "lowerAscii",
            "upperAscii",
            "substring",
            "trim",
            "jsonpatch.escapeKey",
            "quantity",
            "isQuantity",
        ),
        _first,
    ),
    **dict.fromkeys(("semver", "isSemver", "cidr", "isIP", "isCIDR", "bytes", "strings.quote"), _first),
    **dict.fromkeys(("fieldSelector", "labelSelector"), lambda args: _selector(size_of(args[1]))),
    "ip": lambda args: _first(args) if isinstance(args[0], str) else 1,
    "ip.isCanonical": lambda args: _share(size_of(args[0]), 2 * TRAVERSAL),
    "containsIP": lambda args: _share(2 * size_of(args[0])) + _parsed(args[1]),
    "containsCIDR": lambda args: (
        _share(2 * size_of(args[0])) + _share(size_of(args[0])) + 1 + _parsed(args[1])
    ),
    "validate": lambda args: _share(1 + size_of(args[1])) * _share(args[0].regex_size, REGEX),
    **dict.fromkeys(("sets.contains", "sets.intersects"), lambda args: 1 + len(args[0]) * len(args[1])),
    "sets.equivalent": lambda args: 1 + 2 * len(args[0]) * len(args[1]),
    **dict.fromkeys(("replace", "split"), lambda args: _share(size_of(args[0]), 2 * TRAVERSAL)),
    **dict.fromkeys(("find", "findAll", "matches"), _regex),
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _smaller),
    **dict.fromkeys(("startsWith", "endsWith"), lambda args: _share(size_of(args[1]))),
    # so that one expression can ask for no more than two decisions
    "check": lambda args: 350_000,
    "contains": lambda args: _share(size_of(args[0])) * _share(size_of(args[1])),
    "@in": lambda args: size_of(args[1]) if isinstance(args[1], list) else 1,
    "_+_": lambda args: (
        _share(size_of(args[0]) + size_of(args[1])) if isinstance(args[0], str | bytes) else 1
    ),
    "slice": lambda args: LIST_BASE + 1 + max(args[2] - args[1], 0),
    "reverse": lambda args: LIST_BASE + 1 + size_of(args[0]),
    "lists.range": lambda args: LIST_BASE + 1 + max(args[0], 0),
    "flatten": lambda args: LIST_BASE + 1 + _flat_size(*args),
    "distinct": lambda args: LIST_BASE + 1 + _share(sum(map(size_of, args[0])) * len(args[0])),
    "join": lambda args: _share(_joined_size(*args), 2 * TRAVERSAL),
    "format": lambda args: _share(size_of(args[0])),
}
