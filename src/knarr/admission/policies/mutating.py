"""Carrying mutating policies out: in the order of their names, each on what those before it made of the object."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any, NamedTuple

from knarr.admission.attributes import CONNECT, Attributes
from knarr.admission.cel.authorizer import Authorizer, Decisions, answered, bindings
from knarr.admission.policies.counts import NO_ERROR, Counts, error_type
from knarr.admission.policies.invocations import Invocation, Lookup, Misconfigured
from knarr.admission.policies.mutators import MutationError, Mutators
from knarr.admission.policies.source import Source
from knarr.admission.reinvocation import Calls, Reinvocation
from knarr.admission.webhooks.versions import copied, replace
from knarr.meta.errors import StatusError
from knarr.registry.equivalents import Equivalents
from knarr.registry.reader import Reader
from knarr.world import Clock

Object = dict[str, Any]
PLUGIN = "MutatingAdmissionPolicy"


class Fault(NamedTuple):
    """Why a policy could not be carried out; `reason` is empty for one that could not even be tried."""

    policy: str
    binding: str
    message: str
    reason: str = ""

    def __str__(self) -> str:
        if self.binding:
            return f"policy '{self.policy}' with binding '{self.binding}' denied request: {self.message}"
        return f'policy "{self.policy}" denied request: {self.message}'


class Mutating:
    """Carries the policies of a source out."""

    def __init__(
        self, reader: Reader, equivalents: Equivalents, authorizer: Authorizer, clock: Clock, counts: Counts
    ) -> None:
        self._lookup, self._equivalents = Lookup(reader, equivalents), equivalents
        self._authorizer, self._clock, self._counts = authorizer, clock, counts

    async def admit(self, source: Source[Mutators], a: Attributes) -> None:
        """Raises StatusError, with a cause for each policy that could not be carried out."""
        faults: list[Fault] = []
        calls: list[Invocation[Mutators]] = []
        # All are chosen before the first one changes the object.
        async for found in self._lookup.find(source, a):
            if isinstance(found, Invocation):
                calls.append(found)
            elif found.policy.fails:
                faults.append(_misconfigured(found))
        if calls:
            faults += await self._carry_out(calls, a)
        if faults:
            raise _refused(a, faults)

    async def _carry_out(self, calls: list[Invocation[Mutators]], a: Attributes) -> list[Fault]:
        if a.reinvocation is None:
            a.reinvocation = Reinvocation()
        state = a.reinvocation.of(PLUGIN)
        if a.reinvocation.again and state.last_output != a.obj:
            # Plugins of the API server changed the object in their second round.
            state.changed()
        decisions = Decisions(self._authorizer)
        faults: list[Fault] = []
        touched = False
        for call in calls:
            made, failures = await self._call(call, a, state, decisions)
            touched |= made
            if call.policy.fails:
                faults += [Fault(call.policy.name, call.binding.name, why, "Invalid") for why in failures]
        if touched:
            state.changed()
            a.reinvocation.wanted = True
        state.last_output = None if a.obj is None else copied(a.obj)
        return faults

    async def _call(
        self, call: Invocation[Mutators], a: Attributes, state: Calls, decisions: Decisions
    ) -> tuple[bool, list[str]]:
        """(mutations were made, even if they changed nothing; why others could not be made)."""
        authorizer, evaluator = bindings(decisions, a), call.policy.evaluator
        inputs = await self._lookup.inputs(a, call.matched, call.param, authorizer)
        match = await answered(decisions, lambda: evaluator.match(inputs))
        if match.error:
            return False, [match.error]
        key = _key(call)
        assert a.reinvocation is not None
        if not match.matches or (a.reinvocation.again and not state.is_due(key)):
            return False, []
        touched = False
        failures: list[str] = []
        # Options of connections have no schema.
        view = None if a.operation == CONNECT else self._equivalents.view(*call.matched)
        for index in range(len(evaluator)):
            started, kind = self._clock.monotonic(), NO_ERROR
            try:
                new = await answered(decisions, partial(evaluator.mutate, index, inputs, view))
            except MutationError as failure:
                failures.append(str(failure))
                kind = error_type(str(failure))
                continue
            finally:
                seconds = self._clock.monotonic() - started
                self._counts.check(seconds, call.policy.name, call.binding.name, kind)
            touched = True
            inputs = inputs._replace(object=new)
        if touched:
            await self._put_back(inputs.object, call, a)
        if call.policy.spec.get("reinvocationPolicy") == "IfNeeded":
            state.made(key)
        return touched, failures

    async def _put_back(self, new: Object | None, call: Invocation[Mutators], a: Attributes) -> None:
        assert new is not None and a.obj is not None
        resource, kind = call.matched
        replace(a.obj, await self._equivalents.held(new, resource, kind, a.obj))


def _key(call: Invocation[Mutators]) -> Hashable:
    metadata = (call.param or {}).get("metadata") or {}
    return call.policy.name, call.binding.name, metadata.get("namespace", ""), metadata.get("name", "")


def _misconfigured(found: Misconfigured[Mutators]) -> Fault:
    return Fault(found.policy.name, found.binding.name if found.binding else "", found.message)


def _refused(a: Attributes, faults: list[Fault]) -> StatusError:
    error = a.forbidden("")
    error.status["message"] = str(faults[0])
    error.status["reason"] = faults[0].reason or "Forbidden"
    error.status["details"]["causes"] = [{"message": str(fault)} for fault in faults]
    return error
