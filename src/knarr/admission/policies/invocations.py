"""Which policies a request meets, under which bindings and with which parameters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, NamedTuple

from knarr.admission.attributes import Attributes
from knarr.admission.cel.evaluation import Inputs
from knarr.admission.cel.request import admission_request, namespace_object
from knarr.admission.matching import Matched
from knarr.admission.policies import params
from knarr.admission.policies.constraints import ConfigurationError
from knarr.admission.policies.source import E_, Binding, Policy, Source
from knarr.meta import errors
from knarr.registry.equivalents import Equivalents
from knarr.registry.reader import Reader

Object = dict[str, Any]


class Invocation(NamedTuple, Generic[E_]):
    """One evaluation of a policy."""

    policy: Policy[E_]
    binding: Binding
    matched: Matched
    param: Object | None


class Misconfigured(NamedTuple, Generic[E_]):
    """A policy (or with `binding` that one) that may be meant for the request, but cannot be applied."""

    policy: Policy[E_]
    binding: Binding | None
    message: str


class Lookup:
    """What finding and preparing invocations takes."""

    def __init__(self, reader: Reader, equivalents: Equivalents) -> None:
        self.reader, self.equivalents = reader, equivalents

    async def find(
        self, source: Source[E_], a: Attributes
    ) -> AsyncIterator[Invocation[E_] | Misconfigured[E_]]:
        """In the order in which they count."""
        for policy, bindings in source.hooks(a.target):
            try:
                matched = policy.constraints.match(a, self.equivalents, self.reader)
                if matched is None:
                    continue
                resource = params.resource_of(policy.spec.get("paramKind"), self.equivalents)
            except ConfigurationError as error:
                yield Misconfigured(policy, None, f"failed to configure policy: {error}")
                continue
            for binding in bindings:
                try:
                    if binding.constraints.match(a, self.equivalents, self.reader) is None:
                        continue
                    ref = binding.spec.get("paramRef")
                    found = await params.collect(resource, ref, a, self.equivalents, self.reader)
                except ConfigurationError as error:
                    yield Misconfigured(policy, binding, f"failed to configure binding: {error}")
                    continue
                for param in found:
                    yield Invocation(policy, binding, matched, param)

    def namespace(self, a: Attributes) -> Object | None:
        """Raises 404 for a namespace that is not there."""
        found = namespace_object(self.reader, a)
        if found is None and a.namespace and a.kind != ("", "v1", "Namespace"):
            raise errors.not_found("", "namespaces", a.namespace)
        return found

    async def inputs(
        self, a: Attributes, matched: Matched, param: Object | None, authorizer: Object
    ) -> Inputs:
        obj, old = await self._shown(a.obj, matched), await self._shown(a.old, matched)
        request = admission_request(a, matched.resource, matched.kind)
        return Inputs(obj, old, request, self.namespace(a), param, authorizer)

    async def _shown(self, obj: Object | None, matched: Matched) -> Object | None:
        return None if obj is None else await self.equivalents.shown(obj, matched.resource, matched.kind)
