"""Compiling expressions: parse, check, price."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from knarr.meta.cel import estimate
from knarr.meta.cel.check import CheckError, check, nodes
from knarr.meta.cel.functions import Functions
from knarr.meta.cel.library import functions
from knarr.meta.cel.parse import ParseError, parse
from knarr.meta.cel.program import Program
from knarr.meta.cel.syntax import Expr, Ident
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

    def cost(self, size_at: estimate.SizeAt) -> estimate.Range:
        """The estimated cost, at least and at most."""
        return estimate.cost(self._expr, size_at)


class Environment:
    """Variables and their types; the functions are Kubernetes' and what `more` adds."""

    def __init__(self, variables: Mapping[str, Type], more: Functions | None = None) -> None:
        self.variables = dict(variables)
        self._functions = {**functions(), **more} if more else functions()

    def compile(self, source: str) -> Expression:
        """Raises CompileError."""
        try:
            expr = parse(source)
            check(expr, source, self.variables, self._functions)
        except (ParseError, CheckError) as error:
            raise CompileError(str(error)) from None
        return Expression(expr)
