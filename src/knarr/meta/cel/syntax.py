"""The syntax tree of an expression. Macros are already expanded; every node has its position for messages."""

from __future__ import annotations

from typing import Any

#: the variable that a comprehension folds into
ACCUMULATOR = "@result"


class Expr:
    """A node; `offset` counts code points from the start of the source. `type` and `overloads` are the checker's."""

    __slots__ = ("id", "offset", "overloads", "type")

    def __init__(self, id_: int, offset: int) -> None:
        self.id, self.offset = id_, offset
        self.type: Any = None
        self.overloads: list[Any] = []


class Const(Expr):
    """A literal, as a CEL value."""

    __slots__ = ("value",)

    def __init__(self, id_: int, offset: int, value: Any) -> None:
        super().__init__(id_, offset)
        self.value = value


class Ident(Expr):
    __slots__ = ("name",)

    def __init__(self, id_: int, offset: int, name: str) -> None:
        super().__init__(id_, offset)
        self.name = name


class Select(Expr):
    """`operand.field`; `test_only` for has()."""

    __slots__ = ("field", "operand", "test_only")

    def __init__(self, id_: int, offset: int, operand: Expr, field: str, test_only: bool) -> None:
        super().__init__(id_, offset)
        self.operand, self.field, self.test_only = operand, field, test_only


class Call(Expr):
    __slots__ = ("args", "function", "target")

    def __init__(self, id_: int, offset: int, function: str, target: Expr | None, args: list[Expr]) -> None:
        super().__init__(id_, offset)
        self.function, self.target, self.args = function, target, args


class ListExpr(Expr):
    """`optional` holds the indices of elements that are left out when they are none."""

    __slots__ = ("elements", "optional")

    def __init__(self, id_: int, offset: int, elements: list[Expr], optional: frozenset[int]) -> None:
        super().__init__(id_, offset)
        self.elements, self.optional = elements, optional


class MapExpr(Expr):
    """A map, or with `name` an object; entries are (key or field name, value, left out when none)."""

    __slots__ = ("entries", "name")

    def __init__(self, id_: int, offset: int, name: str, entries: list[tuple[Any, Expr, bool]]) -> None:
        super().__init__(id_, offset)
        self.name, self.entries = name, entries


class Comprehension(Expr):
    """A fold: what all(), map() and their like become."""

    __slots__ = ("accu", "condition", "init", "iter_range", "result", "step", "var", "var2")

    def __init__(
        self,
        id_: int,
        offset: int,
        var: str,
        var2: str,
        iter_range: Expr,
        accu: str,
        init: Expr,
        condition: Expr,
        step: Expr,
        result: Expr,
    ) -> None:
        super().__init__(id_, offset)
        self.var, self.var2, self.iter_range, self.accu = var, var2, iter_range, accu
        self.init, self.condition, self.step, self.result = init, condition, step, result


def located(source: str, offset: int, message: str) -> str:
    """A message with its place, its line and a mark below it, as cel-go shows it."""
    start = source.rfind("\n", 0, offset) + 1
    line, column = source.count("\n", 0, offset) + 1, offset - start
    text = source[start:].partition("\n")[0].replace("\t", " ")
    dots = "".join("." if letter.isascii() else "．" for letter in text[:column])
    mark = "^" if text[column : column + 1].isascii() else "＾"
    return f"ERROR: <input>:{line}:{column + 1}: {message}\n | {text}\n | {dots}{mark}"


def children(expr: Expr) -> list[Expr]:
    """The nodes directly below."""
    if isinstance(expr, Select):
        return [expr.operand]
    if isinstance(expr, Call):
        return [*([expr.target] if expr.target is not None else []), *expr.args]
    if isinstance(expr, ListExpr):
        return expr.elements
    if isinstance(expr, MapExpr):
        return [
            part
            for key, value, _ in expr.entries
            for part in ((key, value) if isinstance(key, Expr) else (value,))
        ]
    if isinstance(expr, Comprehension):
        return [expr.iter_range, expr.init, expr.condition, expr.step, expr.result]
    return []


def nodes(expr: Expr) -> list[Expr]:
    """The node and all below it that were checked."""
    found = [expr]
    for child in children(expr):
        found += nodes(child) if child.type is not None else []
    return found
