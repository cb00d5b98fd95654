"""PATCH: what each of the four patch types makes of the live object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from knarr.api import schema
from knarr.meta import errors, fielderrors, times
from knarr.meta.managed import invalid_type
from knarr.meta.patch import json_patch, merge_patch, strategic
from knarr.registry.context import Request
from knarr.registry.decode import Decoder
from knarr.registry.storage import Object, View
from knarr.registry.update import Transform

JSON, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
#: what a resource accepts, in the order a 415 lists them
TYPES = (JSON, MERGE, STRATEGIC, APPLY)
CUSTOM_TYPES = (JSON, MERGE, APPLY)


#: what the route of a built-in resource consumes; anything else never reaches it
ROUTED = frozenset(TYPES)


def check_content_type(content_type: str, custom: bool) -> None:
    """Raises 415: in the router's words where no route takes the type, else in the handler's."""
    accepted = CUSTOM_TYPES if custom else TYPES
    if content_type in accepted:
        return
    if content_type not in ROUTED and not custom:
        error = errors.unsupported_media_type("415: Unsupported Media Type")
        error.status["details"] = {}
        raise error
    raise errors.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    )


def transform(view: View, request: Request, content_type: str, body: bytes, decoder: Decoder) -> Transform:
    """A function from the live object to the patched one. Raises at once for a body that is no patch."""
    if content_type == APPLY:
        return _apply(view, request, body, decoder)
    patch = _parse(body, "" if content_type == STRATEGIC else "error decoding patch: ")
    apply: Callable[[Object], Any]
    if content_type == JSON:
        apply = lambda live: json_patch.apply(live, patch)  # noqa: E731
    elif content_type == MERGE:
        apply = lambda live: merge_patch.apply(live, patch)  # noqa: E731
    else:
        apply = lambda live: strategic.apply(live, patch, view.definition, schema)  # noqa: E731

    shown = strategic.patch_text(patch) if content_type == STRATEGIC else ""

    async def patched(live: Object | None) -> Object:
        assert live is not None
        new = apply(live)
        return _decode_patched(view, request, new, decoder, shown)

    return patched


def _parse(body: bytes, prefix: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        from knarr.meta import gojson

        raise errors.bad_request(f"{prefix}{gojson.syntax_error(body)}") from None


def _decode_patched(view: View, request: Request, new: Any, decoder: Decoder, shown: str) -> Object:
    """Check the result against the schema and default it; it must still be the object the URL names.

    `shown` is what a message about a result of the wrong shape shows; "" shows the result itself.
    """
    try:
        decoder.check_patched_type(view, new)
        obj = decoder.normalize(view, request, new)
    except ValueError as error:
        # The maps that the server sorts come sorted from the patch; metadata keeps its own order.
        text = shown if shown else orjson.dumps(new).decode()
        found = [fielderrors.invalid("patch", text, str(error))]
        raise errors.invalid("", "", "", found) from None
    check_name(request, obj)
    return obj


def check_name(request: Request, obj: Object) -> None:
    name = (obj.get("metadata") or {}).get("name", "")
    if not name:
        raise errors.bad_request(
            f"the name of the object ({request.name} based on URL) was undeterminable: name must be provided"
        )
    if name != request.name:
        raise errors.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({request.name})"
        )


def _apply(view: View, request: Request, body: bytes, decoder: Decoder) -> Transform:
    config = decoder.applied(view, request, body)
    type_ = (config.get("apiVersion"), config.get("kind"))
    if type_ != (view.row.api_version, view.row.kind):
        raise invalid_type(config)
    clock = view.storage.world.clock

    async def applied(live: Object | None) -> Object:
        now = times.format(clock.now())
        new = view.fields.apply(
            live or {}, config, request.field_manager, request.force, request.subresource, now
        )
        managed = new["metadata"].pop("managedFields", None)
        obj = decoder.normalize(view, request, new, quietly=True)
        if managed:
            obj["metadata"]["managedFields"] = managed
        check_name(request, obj)
        return obj

    return applied
