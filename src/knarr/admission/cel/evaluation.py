"""Evaluating compiled expressions under Kubernetes' cost limits."""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.admission.cel.expressions import Compiled, Variables
from knarr.meta.cel.values import CelError, Fields

Object = dict[str, Any]
#: cost units: of one evaluation; of all that one policy evaluates for one request; of all match conditions
CALL_MAX, BUDGET, MATCH_CONDITIONS_BUDGET = 1_000_000, 10_000_000, 2_500_000
SPENT = "validation failed due to running out of cost budget, no further validation rules will be run"


class OutOfBudget(Exception):
    """The budget is spent; what was not evaluated yet is not evaluated any more."""

    def __init__(self) -> None:
        super().__init__(SPENT)


class Inputs(NamedTuple):
    """The values of the variables. Objects are in the version that was matched and carry apiVersion and kind.

    `authorizer` holds what `authorizer.bindings` gives; empty where expressions may not use it.
    """

    object: Object | None
    old: Object | None
    request: Object
    namespace: Object | None = None
    params: Object | None = None
    authorizer: dict[str, Any] = {}

    def without_authorizer(self) -> Inputs:
        return self._replace(authorizer={})


class Result(NamedTuple):
    """What one expression gave: a value, or with `error` none."""

    value: Any
    error: str = ""


class Activation:
    """Evaluates expressions over the same inputs; composed variables are evaluated once, when first used."""

    def __init__(self, inputs: Inputs, budget: int, variables: Variables | None = None) -> None:
        self.budget = budget
        self.values: dict[str, Any] = {
            "object": inputs.object,
            "oldObject": inputs.old,
            "request": inputs.request,
            "namespaceObject": inputs.namespace,
            "params": inputs.params,
            **inputs.authorizer,
        }
        self._lazy: _Lazy | None = None
        if variables is not None:
            self._lazy = self.values["variables"] = _Lazy(variables.compiled, self.values)

    def evaluate(self, compiled: Compiled) -> Result:
        """Raises OutOfBudget."""
        if compiled.expression is None:
            return Result(None, f"compilation error: {compiled.error}")
        error = ""
        value: Any = None
        try:
            value, cost = compiled.expression.program.evaluate(self.values, CALL_MAX)
        except CelError as failure:
            cost = getattr(failure, "cost", 0)
            error = f"expression '{compiled.source}' resulted in error: {failure}"
        if self._lazy is not None:
            self._spend(self._lazy.taken())
        self._spend(cost)
        return Result(value, error)

    def _spend(self, cost: int) -> None:
        if cost > self.budget:
            raise OutOfBudget
        self.budget -= cost


class _Lazy(Fields):
    """`variables`: fields that are evaluated when they are first read. Their cost is not the reader's."""

    def __init__(self, compiled: dict[str, Compiled], values: dict[str, Any]) -> None:
        self._compiled, self._values = compiled, values
        self._known: dict[str, Any] = {}
        self._cost = 0

    def has(self, name: str) -> bool:
        if name in self._compiled:
            self.get(name)
        return name in self._compiled

    def get(self, name: str) -> Any:
        if name not in self._compiled:
            raise CelError(f"no such key: {name}")
        if name not in self._known:
            self._known[name] = self._evaluate(name, self._compiled[name])
        found = self._known[name]
        if isinstance(found, CelError):
            raise found
        return found

    def _evaluate(self, name: str, compiled: Compiled) -> Any:
        if compiled.expression is None:
            return CelError(f'composited variable "{name}" fails to compile: {compiled.error}')
        try:
            value, cost = compiled.expression.program.evaluate(self._values, CALL_MAX)
        except CelError as error:
            self._cost += getattr(error, "cost", 0)
            return CelError(f'composited variable "{name}" fails to evaluate: {error}')
        self._cost += cost
        return value

    def taken(self) -> int:
        """What was spent since it was last asked."""
        cost, self._cost = self._cost, 0
        return cost
