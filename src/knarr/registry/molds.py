"""Replicas: controllers send the same body for each of them, and leave the name to the server.

What is made of such a body before anything is drawn (decoding, defaults, who owns which field) is the same each time;
it is kept and copied, which is a third of what a Pod's creation costs.
"""

from __future__ import annotations

from collections.abc import Hashable

import orjson

from knarr.meta import objectmeta, times
from knarr.registry.context import Request
from knarr.registry.create import manage_fields, place
from knarr.registry.decode import Decoder
from knarr.registry.storage import Object, View

#: how many bodies are remembered; those not seen for longest are forgotten
MOLDS_MAX = 256


class Molds:
    """Bodies of this process's own clients that name no object."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._kept: dict[Hashable, bytes] = {}

    def fits(self, request: Request, view: View, body: bytes, content_type: str) -> bool:
        """Whether more of the kind may come, and nobody is told more of them than that they were made."""
        return (
            request.quiet
            and request.audit is None
            and not view.custom
            and content_type == "application/json"
            and b'"generateName"' in body
        )

    async def cast(self, request: Request, view: View, body: bytes) -> Object:
        """The object of a body, placed, defaulted and with its managed fields. Raises StatusError as decoding does."""
        key = (
            view.row.group,
            view.row.version,
            view.row.name,
            request.namespace,
            request.field_manager,
            body,
        )
        kept = self._kept.pop(key, None)
        now = times.format(view.storage.world.clock.now())
        if kept is not None:
            request.sent = body
            self._kept[key] = kept
            obj: Object = orjson.loads(kept)
            for entry in obj["metadata"].get("managedFields") or ():
                entry["time"] = now
            return obj
        obj = self._decoder.body(view, request, body, "application/json")
        place(view, request, obj)
        sent = obj["metadata"].get("managedFields")
        objectmeta.wipe_system_fields(obj["metadata"])
        await manage_fields(view, request, None, obj, now)
        if not sent and not request.empty and not obj["metadata"].get("name"):
            while len(self._kept) >= MOLDS_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = orjson.dumps(obj)
        return obj
