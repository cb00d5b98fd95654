"""How large values can be: of literals, of what the schema bounds, and of what functions make of them.

Sizes are (least, most) in unsigned 64 bits that do not overflow. Where the size of a value comes from the schema,
`size_at(path)` gives its most; paths lead from a variable over fields, `@items`, `@keys` and `@values`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from knarr.meta.cel.syntax import ACCUMULATOR, Const, Expr, Ident, ListExpr, MapExpr
from knarr.meta.cel.types import SCALARS, Type

MAX = (1 << 64) - 1
Path = tuple[str, ...] | None
SizeAt = Callable[[tuple[str, ...]], int | None]


class Range(NamedTuple):
    """A size or a cost: the least and the most it can be."""

    least: int
    most: int

    def plus(self, other: Range) -> Range:
        return Range(cap(self.least + other.least), cap(self.most + other.most))

    def times(self, other: Range) -> Range:
        return Range(cap(self.least * other.least), cap(self.most * other.most))

    def factor(self, factor: float) -> Range:
        return Range(scaled(self.least, factor), scaled(self.most, factor))

    def union(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.most, other.most))


UNKNOWN, ONE, ZERO = Range(0, MAX), Range(1, 1), Range(0, 0)


def cap(value: int) -> int:
    """As Go's uint64 would be, if it stopped at its end."""
    return min(value, MAX)


def scaled(value: int, factor: float) -> int:
    found = math.ceil(float(value) * factor)
    return MAX if found >= MAX else found


class Entries(NamedTuple):
    """The sizes of a container's keys and values."""

    kind: str
    keys: Range
    values: Range


class Local(NamedTuple):
    """A variable of a comprehension."""

    path: Path
    size: Range | None
    entries: Entries | None


class Node(NamedTuple):
    """An argument as functions see it."""

    path: Path
    type: Type
    expr: Expr | None
    size: Range | None


class Sizes:
    """What is known of the nodes of an expression, and of the variables of comprehensions around them."""

    def __init__(self, size_at: SizeAt) -> None:
        self._size_at = size_at
        self.paths: dict[int, tuple[str, ...]] = {}
        self.sizes: dict[int, Range] = {}
        self.entries: dict[int, Entries] = {}
        self.locals: dict[str, list[Local]] = {}

    def local(self, name: str) -> Local | None:
        stack = self.locals.get(name)
        return stack[-1] if stack else None

    def push(self, name: str, path: Path, size: Range | None, entries: Entries | None = None) -> None:
        self.locals.setdefault(name, []).append(Local(path, size, entries))

    def path_of(self, e: Expr) -> tuple[str, ...]:
        if isinstance(e, Ident) and (local := self.local(e.name)) is not None:
            return local.path or ()
        return self.paths.get(e.id, ())

    def node_of(self, e: Expr) -> Node:
        path: Path = self.path_of(e)
        if path and path[0] == ACCUMULATOR:
            path = None
        return Node(path, e.type, e, self.size_of(e))

    def known(self, node: Node) -> Range:
        return UNKNOWN if node.size is None else node.size

    def estimated(self, node: Node) -> Range:
        if node.size is not None:
            return node.size
        found = self.size_at_path(node.path)
        return UNKNOWN if found is None else found

    def size_at_path(self, path: Path) -> Range | None:
        if not path:
            return None
        most = self._size_at(path)
        return None if most is None else Range(0, most)

    def size_of(self, e: Expr) -> Range | None:
        if e.id in self.sizes:
            return self.sizes[e.id]
        own = _literal_size(e)
        if own is not None:
            return own
        found = self.size_at_path(self.path_of(e))
        if found is not None:
            self.sizes[e.id] = found
            return found
        if _is_scalar(e.type):
            return ONE
        if isinstance(e, Ident) and (local := self.local(e.name)) is not None:
            return local.size
        return None

    def size_or_unknown(self, e: Expr) -> Range:
        found = self.size_of(e)
        return UNKNOWN if found is None else found

    def set_size(self, e: Expr, size: Range | None) -> None:
        if size is not None:
            self.sizes[e.id] = size

    def entries_of(self, e: Expr) -> Entries | None:
        if e.id in self.entries:
            return self.entries[e.id]
        if isinstance(e, Ident) and (local := self.local(e.name)) is not None:
            return local.entries
        return None

    def copy(self, to: Expr, source: Expr) -> None:
        self.set_size(to, self.size_of(source))
        entries = self.entries_of(source)
        if entries is not None:
            self.entries[to.id] = entries


def _literal_size(e: Expr) -> Range | None:
    if isinstance(e, Const):
        count = len(e.value) if isinstance(e.value, str | bytes) else 1
    elif isinstance(e, ListExpr):
        count = len(e.elements)
    elif isinstance(e, MapExpr) and not e.name:
        count = len(e.entries)
    else:
        return None
    return Range(count, count)


def _is_scalar(type_: Type) -> bool:
    if type_[0] == "opaque" and type_[1] == "optional_type":
        return _is_scalar(type_[2])
    return type_[0] in SCALARS
