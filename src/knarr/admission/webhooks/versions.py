"""The object as a webhook sees it: in the version that its rules name, with apiVersion and kind; and the way back."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.admission.attributes import CONNECT, Attributes
from knarr.admission.matching import Matched
from knarr.registry.decode import Decoder
from knarr.registry.equivalents import Equivalents

Object = dict[str, Any]


class Versions:
    """Between what the registry holds on its way to the store and what webhooks are shown."""

    def __init__(self, equivalents: Equivalents) -> None:
        self._equivalents, self._decoder = equivalents, Decoder()

    async def shown(self, obj: Object | None, matched: Matched) -> Object | None:
        """Shares with `obj` what does not differ: not to be changed. Raises StatusError where it cannot be converted."""
        if obj is None:
            return None
        return await self._equivalents.shown(obj, matched.resource, matched.kind)

    async def held(self, a: Attributes, patched: Any, matched: Matched) -> Object:
        """A patched object as the registry holds it: checked, without unknown fields, defaulted, in its version.

        Raises ValueError for what is no such object.
        """
        if a.operation == CONNECT:
            return patched
        view = self._equivalents.view(matched.resource, matched.kind)
        self._decoder.check_patched_type(view, patched)
        obj, _ = self._decoder.patched(view, a.request, patched)
        return await self._equivalents.held(obj, matched.resource, matched.kind, a.obj or {})


def copied(obj: Object) -> Object:
    """Not shared with anybody."""
    return orjson.loads(orjson.dumps(obj))


def replace(obj: Object, new: Object) -> None:
    """The new object in the old one's place: whoever holds it, or its metadata, holds the new one."""
    metadata, after = obj.get("metadata"), dict(new)
    obj.clear()
    if isinstance(metadata, dict) and isinstance(after.get("metadata"), dict):
        fresh = dict(after["metadata"])
        metadata.clear()
        metadata.update(fresh)
        after["metadata"] = metadata
    obj.update(after)
