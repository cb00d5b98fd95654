"""The two plugins. What they do is imported with the first request that a policy is for: most clusters have none."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from knarr.admission.attributes import CONNECT, CREATE, UPDATE, Attributes, Target
from knarr.admission.chain import Plugin
from knarr.admission.policies.counts import Counts
from knarr.admission.policies.source import Source
from knarr.meta.metrics import Family
from knarr.registry.equivalents import Equivalents
from knarr.registry.reader import Reader
from knarr.world import Clock

Object = dict[str, Any]


class ValidatingAdmissionPolicy(Plugin):
    """Refuses, warns of or notes what policies do not allow."""

    name = "ValidatingAdmissionPolicy"

    def __init__(self, reader: Reader, equivalents: Equivalents, authorizer: Any, clock: Clock) -> None:
        self.counts = Counts("validating_admission_policy", "enforcement_action")
        self._parts = reader, equivalents, authorizer, clock, self.counts
        kinds = "validatingadmissionpolicies", "validatingadmissionpolicybindings"
        self.source: Source[Any] = Source(reader, equivalents, *kinds, _validator, self._changed)

    def handles(self, target: Target) -> bool:
        return bool(self.source.hooks(target))

    @cached_property
    def _dispatcher(self) -> Any:
        from knarr.admission.policies.validating import Validating

        return Validating(*self._parts)

    async def validate(self, a: Attributes) -> None:
        await self._dispatcher.validate(self.source, a)

    def metrics(self) -> Iterator[Family]:
        yield from self.counts.families()

    def _changed(self) -> None:
        self.forget()


class MutatingAdmissionPolicy(Plugin):
    """Makes the changes that policies ask for."""

    name = "MutatingAdmissionPolicy"

    def __init__(self, reader: Reader, equivalents: Equivalents, authorizer: Any, clock: Clock) -> None:
        self.counts = Counts("mutating_admission_policy")
        self._parts = reader, equivalents, authorizer, clock, self.counts
        kinds = "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"
        self.source: Source[Any] = Source(reader, equivalents, *kinds, _mutator, self._changed)

    def handles(self, target: Target) -> bool:
        # There is nothing to change in what goes away.
        return target.operation in (CREATE, UPDATE, CONNECT) and bool(self.source.hooks(target))

    @cached_property
    def _dispatcher(self) -> Any:
        from knarr.admission.policies.mutating import Mutating

        return Mutating(*self._parts)

    async def admit(self, a: Attributes) -> None:
        await self._dispatcher.admit(self.source, a)

    def metrics(self) -> Iterator[Family]:
        yield from self.counts.families()

    def _changed(self) -> None:
        self.forget()


def _validator(spec: Object) -> Any:
    from knarr.admission.policies.validator import Validator

    return Validator(spec)


def _mutator(spec: Object) -> Any:
    from knarr.admission.policies.mutators import Mutators

    return Mutators(spec)
