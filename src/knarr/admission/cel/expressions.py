"""Expressions of stored objects: an error in one is kept until somebody evaluates it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from knarr.api.admissionregistration.expressions import compile_to, environment, variable_type
from knarr.meta.cel.environment import Environment, Expression
from knarr.meta.cel.types import DYN, Type

Object = dict[str, Any]


class Compiled:
    """An expression as it was written, and what became of it: a program, or the reason why there is none."""

    __slots__ = ("error", "expression", "source")

    def __init__(self, env: Environment, source: str, wanted: Sequence[Type] | None) -> None:
        """`wanted`: the types that its value may have; None for any."""
        self.source = source
        self.expression: Expression | None
        self.expression, self.error = compile_to(env, source, wanted)


class Variables:
    """The named expressions of a policy (`spec.variables`). Each may use those before it."""

    def __init__(self, variables: Iterable[Object], params: bool) -> None:
        self.compiled: dict[str, Compiled] = {}
        #: their types; None where there are none, so that `variables` is declared even then
        self.types: dict[str, Type] = {}
        for variable in variables:
            name = variable.get("name", "")
            env = environment(params, variables=self.types)
            found = self.compiled[name] = Compiled(env, variable.get("expression", ""), None)
            self.types[name] = variable_type(found.expression.type) if found.expression else DYN
