"""Match conditions: whether a webhook or a policy is meant for a request that its rules cover."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.admission.cel.evaluation import MATCH_CONDITIONS_BUDGET, Activation, Inputs, OutOfBudget
from knarr.admission.cel.expressions import Compiled, Variables
from knarr.api.admissionregistration.expressions import environment
from knarr.meta.cel.types import BOOL
from knarr.meta.fielderrors import aggregate

Object = dict[str, Any]


class Match(NamedTuple):
    """`error` says why it cannot be told where that has to fail the request; `failed` is the false condition."""

    matches: bool
    error: str = ""
    failed: str = ""


MATCHES = Match(True)


class MatchConditions:
    """The compiled conditions of one webhook, or of a policy with its `variables`.

    `ignore_failure`: failurePolicy Ignore, where an error means that the request does not match.
    """

    def __init__(
        self,
        conditions: Iterable[Object] | None,
        ignore_failure: bool,
        variables: Variables | None = None,
        params: bool = False,
    ) -> None:
        self._ignore_failure, self._variables = ignore_failure, variables
        self._conditions: list[tuple[str, Compiled]] = []
        if conditions:
            env = environment(params, variables=None if variables is None else variables.types)
            self._conditions = [
                (c.get("name", ""), Compiled(env, c.get("expression", ""), (BOOL,))) for c in conditions
            ]

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def match(self, inputs: Inputs) -> Match:
        """All are evaluated, and one that is false decides. Raises Unanswered (authorizer.py)."""
        if not self._conditions:
            return MATCHES
        activation = Activation(inputs, MATCH_CONDITIONS_BUDGET, self._variables)
        try:
            results = [(name, activation.evaluate(compiled)) for name, compiled in self._conditions]
        except OutOfBudget as error:
            return self._failed([str(error)])
        faults: list[str] = []
        for name, result in results:
            if result.error:
                faults.append(result.error)
            elif result.value is False:
                return Match(False, failed=name)
        return self._failed(faults) if faults else MATCHES

    def _failed(self, faults: list[str]) -> Match:
        return Match(False) if self._ignore_failure else Match(False, aggregate(faults))
