"""Joins the registry's writes to the admission chain."""

from __future__ import annotations

from typing import Any

from knarr.admission.attributes import Attributes
from knarr.admission.chain import Chain
from knarr.registry.context import Request
from knarr.registry.hooks import GVK, Object

BROKEN_ENTRIES = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating"
    " admission controller; please fix your requests: "
)


def _managed(obj: Object | None) -> Any:
    return ((obj or {}).get("metadata") or {}).get("managedFields")


class _Review:
    __slots__ = ("_attributes", "_chain")

    def __init__(self, chain: Chain, attributes: Attributes) -> None:
        self._chain, self._attributes = chain, attributes

    async def admit(self) -> None:
        before = _managed(self._attributes.obj)
        await self._chain.admit(self._attributes)
        after = _managed(self._attributes.obj)
        if after is not before and after != before:
            self._check_managed(before, after)

    def _check_managed(self, before: Any, after: Any) -> None:
        """Field owners that a plugin left broken are put back as they were, with a warning."""
        from knarr.meta.managed import entries

        if not after:
            return
        try:
            entries.decode(after)
        except ValueError as error:
            obj = self._attributes.obj
            assert obj is not None
            if before is None:
                obj["metadata"].pop("managedFields")
            else:
                obj["metadata"]["managedFields"] = before
            self._attributes.request.warn(BROKEN_ENTRIES + str(error))

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
