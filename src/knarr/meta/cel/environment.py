"""Compiling expressions: parse, check, price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from knarr.meta.cel import estimate
from knarr.meta.cel.check import CheckError, check
from knarr.meta.cel.functions import Functions
from knarr.meta.cel.library import functions
from knarr.meta.cel.parse import ParseError, parse
from knarr.meta.cel.program import Program
from knarr.meta.cel.sizes import Range, SizeAt
from knarr.meta.cel.syntax import Call, Const, Expr, Ident, Select, nodes
from knarr.meta.cel.types import Type


class CompileError(ValueError):
    """An expression that cannot be compiled; the text is cel-go's, `ERROR: <input>:1:1: ...`."""


class Expression:
    """A compiled expression."""

    def __init__(self, expr: Expr) -> None:
        self._expr = expr

    @property
    def type(self) -> Type:
        return self._expr.type

    @cached_property
    def program(self) -> Program:
        return Program(self._expr)

    @cached_property
    def names(self) -> frozenset[str]:
        """The variables it refers to, its own included."""
        return frozenset(node.name for node in nodes(self._expr) if isinstance(node, Ident))

    def selects(self, variable: str, field: str) -> bool:
        """Whether `variable.field` or `variable.?field` stands somewhere in it."""
        return any(_selects(node, variable, field) for node in nodes(self._expr))

    def cost(self, size_at: SizeAt) -> Range:
        """The estimated cost, at least and at most."""
        return estimate.cost(self._expr, size_at)


def _selects(node: Expr, variable: str, field: str) -> bool:
    if isinstance(node, Select):
        return node.field == field and isinstance(node.operand, Ident) and node.operand.name == variable
    if not isinstance(node, Call) or node.function != "_?._" or len(node.args) != 2:
        return False
    operand, name = node.args
    return (
        isinstance(operand, Ident)
        and operand.name == variable
        and isinstance(name, Const)
        and name.value == field
    )


class Environment:
    """Variables and their types; the functions are Kubernetes' and what `more` adds.

    `structs` gives the type that `Name{...}` makes, None for names it does not know.
    """

    def __init__(
        self,
        variables: Mapping[str, Type],
        more: Functions | None = None,
        structs: Callable[[str], Type | None] = lambda name: None,
    ) -> None:
        self.variables, self._structs = dict(variables), structs
        self._functions = {**functions(), **more} if more else functions()

    def compile(self, source: str) -> Expression:
        """Raises CompileError."""
        try:
            expr = parse(source)
            check(expr, source, self.variables, self._functions, self._structs)
        except (ParseError, CheckError) as error:
            raise CompileError(str(error)) from None
        return Expression(expr)
