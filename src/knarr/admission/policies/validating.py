"""What the verdicts of validating policies mean for a request: refusals, warnings, audit annotations."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from knarr.admission.attributes import Attributes
from knarr.admission.cel.authorizer import Authorizer, Decisions, answered, bindings
from knarr.admission.policies.counts import Counts, error_type
from knarr.admission.policies.invocations import Invocation, Lookup, Misconfigured
from knarr.admission.policies.source import Binding, Source
from knarr.admission.policies.validator import Denial, Validator, Verdict
from knarr.meta.errors import StatusError
from knarr.registry.equivalents import Equivalents
from knarr.registry.reader import Reader
from knarr.world import Clock

Object = dict[str, Any]
FAILURE_KEY = "validation.policy.admission.k8s.io/validation_failure"
ANNOTATION_BYTES_MAX = 10 * 1024
#: reasons that a validation may give -> the code of the answer
CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}


class Refusal(NamedTuple):
    policy: str
    binding: str
    message: str
    reason: str

    def __str__(self) -> str:
        with_binding = f" with binding '{self.binding}'" if self.binding else ""
        return f"ValidatingAdmissionPolicy '{self.policy}'{with_binding} denied request: {self.message}"


class Validating:
    """Carries the policies of a source out."""

    def __init__(
        self, reader: Reader, equivalents: Equivalents, authorizer: Authorizer, clock: Clock, counts: Counts
    ) -> None:
        self._lookup, self._authorizer = Lookup(reader, equivalents), authorizer
        self._clock, self._counts = clock, counts

    async def validate(self, source: Source[Validator], a: Attributes) -> None:
        """Raises StatusError for the first refusal; the others count too, for their warnings and annotations."""
        decisions = Decisions(self._authorizer)
        refusals: list[Refusal] = []
        notes = _Notes()
        async for found in self._lookup.find(source, a):
            if isinstance(found, Misconfigured):
                if found.policy.fails:
                    binding = found.binding.name if found.binding else ""
                    refusals.append(Refusal(found.policy.name, binding, found.message, ""))
                continue
            started = self._clock.monotonic()
            verdict = await self._judge(found, a, decisions)
            seconds = self._clock.monotonic() - started
            refusals += self._carry_out(verdict, found, a, notes, seconds)
        notes.publish(a)
        if refusals:
            raise _refused(a, refusals[0])

    async def _judge(self, call: Invocation[Validator], a: Attributes, decisions: Decisions) -> Verdict:
        inputs = await self._lookup.inputs(a, call.matched, call.param, bindings(decisions, a))
        return await answered(decisions, lambda: call.policy.evaluator.validate(inputs))

    def _carry_out(
        self, verdict: Verdict, call: Invocation[Validator], a: Attributes, notes: _Notes, seconds: float
    ) -> list[Refusal]:
        """What the binding's actions make of the denials; gives those that refuse the request."""
        policy, binding = call.policy.name, call.binding
        refusals = []
        for denial in verdict.denials:
            kind = error_type(denial.message)
            if denial.ignored:
                self._counts.check(seconds, policy, binding.name, kind, "allow")
                continue
            for action in binding.spec.get("validationActions") or ():
                if action == "Deny":
                    refusals.append(Refusal(policy, binding.name, denial.message, denial.reason))
                elif action == "Warn":
                    a.request.warn(
                        f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding"
                        f" '{binding.name}': {denial.message}"
                    )
                elif action == "Audit":
                    a.request.annotations.setdefault(FAILURE_KEY, _failure(denial, binding))
                self._counts.check(seconds, policy, binding.name, kind, action.lower())
        for annotation in verdict.annotations:
            if annotation.error:
                refusals.append(Refusal(policy, binding.name, annotation.error, ""))
                self._counts.check(seconds, policy, binding.name, error_type(annotation.error), "deny")
            else:
                notes.add(f"{policy}/{annotation.key}", annotation.value)
        return refusals


def _failure(denial: Denial, binding: Binding) -> str:
    """The audit annotation of a denial: a list, though there is one only."""
    value = {
        "message": denial.message,
        "policy": binding.policy,
        "binding": binding.name,
        "expressionIndex": denial.position,
        "validationActions": binding.spec.get("validationActions") or [],
    }
    text = orjson.dumps([value]).decode()
    # Go's encoder escapes what HTML would take for markup.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class _Notes:
    """Audit annotations of policies: different values of several parameters are joined."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, None]] = {}

    def add(self, key: str, value: str) -> None:
        value = value.encode()[:ANNOTATION_BYTES_MAX].decode(errors="ignore")
        self._values.setdefault(key, {})[value] = None

    def publish(self, a: Attributes) -> None:
        for key, values in self._values.items():
            a.request.annotations.setdefault(key, ", ".join(values))


def _refused(a: Attributes, refusal: Refusal) -> StatusError:
    error = a.forbidden(str(refusal))
    reason = refusal.reason or "Invalid"
    error.status["reason"] = reason
    error.status["code"] = CODES.get(reason, 422)
    error.status["details"]["causes"] = [{"message": str(refusal)}]
    return error
