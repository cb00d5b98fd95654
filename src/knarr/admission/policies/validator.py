"""A validating policy, compiled: what it says of one object."""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.admission.cel.evaluation import BUDGET, CALL_MAX, Activation, Inputs, OutOfBudget, Result
from knarr.admission.cel.expressions import Compiled, Variables
from knarr.admission.cel.matchconditions import MatchConditions
from knarr.api.admissionregistration.expressions import environment
from knarr.meta.cel.functions import PYTHON_TYPES
from knarr.meta.cel.types import BOOL, NULL, STRING

Object = dict[str, Any]
MESSAGE_BYTES_MAX = 5 * 1024


class Denial(NamedTuple):
    """A validation that failed, or could not be evaluated; an empty `reason` means Invalid.

    `ignored`: an error that failurePolicy Ignore lets pass.
    """

    position: int
    message: str
    reason: str = ""
    ignored: bool = False


class Annotation(NamedTuple):
    """An audit annotation to publish, or with `error` one that could not be evaluated."""

    key: str
    value: str
    error: str = ""


class Verdict(NamedTuple):
    denials: list[Denial]
    annotations: list[Annotation]


NOTHING = Verdict([], [])


class Validator:
    """The expressions of one policy."""

    def __init__(self, spec: Object) -> None:
        params = spec.get("paramKind") is not None
        self._fails = spec.get("failurePolicy") != "Ignore"
        self._variables = Variables(spec.get("variables") or (), params)
        self._conditions = MatchConditions(
            spec.get("matchConditions"), not self._fails, self._variables, params
        )
        env = environment(params, variables=self._variables.types)
        message_env = environment(params, authorizer=False, variables=self._variables.types)
        self._specs: list[Object] = spec.get("validations") or []
        self._validations = [Compiled(env, v.get("expression", ""), (BOOL,)) for v in self._specs]
        self._messages = [
            Compiled(message_env, v["messageExpression"], (STRING,)) if v.get("messageExpression") else None
            for v in self._specs
        ]
        self._annotations = [
            (a.get("key", ""), Compiled(env, a.get("valueExpression", ""), (STRING, NULL)))
            for a in spec.get("auditAnnotations") or ()
        ]

    def validate(self, inputs: Inputs) -> Verdict:
        """Raises Unanswered (cel/authorizer.py)."""
        match = self._conditions.match(inputs)
        if match.error:
            return Verdict([Denial(0, match.error)], [])
        if not match.matches:
            return NOTHING
        activation = Activation(inputs, BUDGET, self._variables)
        try:
            results = [activation.evaluate(validation) for validation in self._validations]
            denials = self._denials(results, inputs, activation.budget)
            return Verdict(denials, self._annotate(inputs.without_authorizer()))
        except OutOfBudget as error:
            return Verdict([self._fault(0, str(error))], [])

    def _denials(self, results: list[Result], inputs: Inputs, budget: int) -> list[Denial]:
        broken = [r for r in results if not r.error and r.value is not True]
        messages: list[Result | None] = [None] * len(results)
        if broken or self._messages_may_exceed(budget):
            try:
                messages = self._say(inputs.without_authorizer(), budget)
            except OutOfBudget as error:
                return self._unsaid(results, f"failed messageExpression: {error}")
        denials = []
        for index, (result, said) in enumerate(zip(results, messages, strict=True)):
            if result.error:
                denials.append(self._fault(index, result.error))
            elif result.value is not True:
                spec = self._specs[index]
                denials.append(Denial(index, _message(spec, said), spec.get("reason", "")))
        return denials

    def _messages_may_exceed(self, budget: int) -> bool:
        """All message expressions count, even of validations that hold: but evaluating them can be left out unless
        they could matter."""
        calls = sum(message is not None for message in self._messages)
        return bool(calls) and budget < CALL_MAX * (calls + len(self._variables.compiled))

    def _say(self, inputs: Inputs, budget: int) -> list[Result | None]:
        activation = Activation(inputs, budget, self._variables)
        return [None if m is None else activation.evaluate(m) for m in self._messages]

    def _unsaid(self, results: list[Result], error: str) -> list[Denial]:
        return [self._fault(index, result.error or error) for index, result in enumerate(results)]

    def _fault(self, index: int, error: str) -> Denial:
        return Denial(index, error, ignored=not self._fails)

    def _annotate(self, inputs: Inputs) -> list[Annotation]:
        if not self._annotations:
            return []
        activation = Activation(inputs, BUDGET, self._variables)
        found = []
        for key, compiled in self._annotations:
            result = activation.evaluate(compiled)
            if result.error:
                found += [Annotation(key, "", result.error)] if self._fails else []
            elif isinstance(result.value, str):
                value = result.value.strip()
                found += [Annotation(key, value)] if value else []
            elif result.value is not None:
                type_ = PYTHON_TYPES.get(result.value.__class__, "map")
                error = (
                    f"valueExpression '{compiled.source}' resulted in unsupported return type: {type_}."
                    " Return type must be either string or null."
                )
                found.append(Annotation(key, "", error))
        return found


def _message(spec: Object, said: Result | None) -> str:
    """messageExpression, else message, else the expression itself."""
    if said is not None and not said.error and isinstance(said.value, str):
        text = said.value.strip()
        if text and len(text.encode()) <= MESSAGE_BYTES_MAX and "\n" not in text:
            return text
    message = (spec.get("message") or "").strip()
    return message or f"failed expression: {spec.get('expression', '').strip()}"
