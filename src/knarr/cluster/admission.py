"""Joins the registry's writes to the admission chain."""

from __future__ import annotations

from typing import Any

from knarr.admission.attributes import Attributes
from knarr.admission.chain import Chain
from knarr.registry.context import Request
from knarr.registry.hooks import GVK, Object


class _Review:
    __slots__ = ("_attributes", "_chain")

    def __init__(self, chain: Chain, attributes: Attributes) -> None:
        self._chain, self._attributes = chain, attributes

    async def admit(self) -> None:
        await self._chain.admit(self._attributes)

    async def validate(self) -> None:
        await self._chain.validate(self._attributes)


class AdmissionGate:
    """`registry.hooks.Admission` over the default plugins."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def open(
        self,
        request: Request,
        operation: str,
        kind: GVK,
        obj: Object | None,
        old: Object | None,
        options: Object,
    ) -> Any:
        return _Review(self.chain, Attributes(request, operation, kind, obj, old, options))
