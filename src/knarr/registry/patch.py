"""PATCH: what each of the four patch types makes of the live object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import orjson

from knarr.api import schema, unstructured
from knarr.api.decoding import find_duplicates
from knarr.api.scheme import has_duplicates, scheme
from knarr.meta import errors, fielderrors, gojson, times
from knarr.meta.managed import apply, in_order, invalid_type
from knarr.meta.patch import json_patch, merge_patch, strategic
from knarr.registry import encoding
from knarr.registry.context import Request
from knarr.registry.decode import Decoder, MissingKind, warn_of
from knarr.registry.storage import Object, View
from knarr.registry.update import Transform

JSON, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
#: what a resource accepts, in the order a 415 lists them
TYPES = (JSON, MERGE, STRATEGIC, APPLY)
CUSTOM_TYPES = (JSON, MERGE, APPLY)


#: what the route of a built-in resource consumes; anything else never reaches it
ROUTED = frozenset(TYPES)


_DEEP = "exceeded max depth"
TOO_DEEP = {
    JSON: f"error decoding patch: {_DEEP}",
    MERGE: f"error decoding patch: {_DEEP}",
    STRATEGIC: _DEEP,
    APPLY: f"error decoding YAML: error converting YAML to JSON: yaml: {_DEEP}",
}


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
    """A function from the live object to the patched one. Raises at once for a configuration that cannot be applied."""
    with _as_far_as_seen(content_type):
        if content_type == APPLY:
            change = _apply(view, request, body, decoder)
        else:
            change = _patch(view, request, content_type, body, decoder)

    async def followed(live: Object | None) -> Object:
        with _as_far_as_seen(content_type):
            return await change(live)

    return followed


@contextmanager
def _as_far_as_seen(content_type: str) -> Iterator[None]:
    """What is nested deeper than anybody here can follow is refused, as Go refuses what is ten times as deep."""
    try:
        yield
    except (RecursionError, TypeError) as error:
        if not encoding.is_too_deep(error):
            raise
        raise errors.bad_request(TOO_DEEP[content_type]) from None


def _patch(view: View, request: Request, content_type: str, body: bytes, decoder: Decoder) -> Transform:
    @cache
    def read() -> tuple[_Change, list[str]]:
        """Once, and not before there is an object: a name that is not there is 404 whatever the patch says."""
        patch = _parse(request, content_type, body)
        return _change(view, request, content_type, patch), _strict_findings(
            request, content_type, patch, body
        )

    async def patched(live: Object | None) -> Object:
        assert live is not None
        change, found = read()
        new = change.of(live)
        if b"[]" in body or b"{}" in body:
            # for messages that tell empty lists and maps from nothing
            request.sent = orjson.dumps(new)
        return _decode_patched(view, request, change, live, new, decoder, found)

    return patched


def _change(view: View, request: Request, content_type: str, patch: Any) -> _Change:
    if content_type == STRATEGIC:
        # It is no JSON any more when it meets the types: what has no fraction is a whole number to them.
        gojson.whole_numbers([patch])
        return _Strategic(view, patch)
    apply = json_patch.apply if content_type == JSON else merge_patch.apply
    return _Change(view, apply, patch, validated=request.field_validation != "Ignore")


class _Change:
    """A JSON or merge patch: what it makes of a live object, and how a message shows that."""

    #: its result is JSON, which says what it is
    names_type = True

    def __init__(
        self, view: View, apply: Callable[[Object, Any, bool], Any], patch: Any, validated: bool
    ) -> None:
        self.view, self.patch, self._apply, self._validated = view, patch, apply, validated

    def of(self, live: Object) -> Any:
        return self._apply(live, self.patch, self._validated)

    def shown(self, live: Object) -> str:
        """The patched object as JSON in the order of Go's encoder, but for the maps on the patch's way: those are
        sorted."""
        if self.view.custom:
            return _as_go(orjson.dumps(self.of(live), option=orjson.OPT_SORT_KEYS))
        live = scheme().normalize(self.view.definition, live)[0]
        if entries := live["metadata"].get("managedFields"):
            live["metadata"]["managedFields"] = in_order(entries)
        new = self.of(live)
        return _as_go(orjson.dumps(dict(sorted(new.items())) if isinstance(new, dict) else new))

    def complaint(self, new: Any, error: ValueError) -> str:
        """What is wrong with a result that has not the type's shape."""
        return str(error)


class _Strategic(_Change):
    """A strategic merge patch; its result never is JSON, and messages show the patch itself."""

    names_type = False

    def __init__(self, view: View, patch: Any) -> None:
        self.view, self.patch = view, patch

    def of(self, live: Object) -> Any:
        return strategic.apply(live, self.patch, self.view.definition, schema)

    def shown(self, live: Object) -> str:
        return strategic.patch_text(self.patch)

    def complaint(self, new: Any, error: ValueError) -> str:
        return unstructured.fault(self.view.definition, new) or str(error)


def _as_go(text: bytes) -> str:
    """Go's encoder escapes what HTML would take for markup."""
    return text.decode().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _strict_findings(request: Request, content_type: str, patch: Any, body: bytes) -> list[str]:
    """What strict decoding says of the patch itself: repeated keys, unknown fields of operations."""
    if request.field_validation == "Ignore":
        return []
    repeated = find_duplicates(body) if has_duplicates(body) else []
    if content_type != JSON:
        return repeated
    unknown = json_patch.unknown_fields(patch) if isinstance(patch, list) else []
    return [*(f"json patch {text}" for text in repeated), *unknown]


def _parse(request: Request, content_type: str, body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        why, validated = gojson.syntax_error(body), request.field_validation != "Ignore"
        if validated and content_type != STRATEGIC:
            why = f"error decoding patch: {why}"
        elif content_type == MERGE:
            why = merge_patch.INVALID
        raise errors.bad_request(why) from None


def _decode_patched(
    view: View, request: Request, change: _Change, live: Object, new: Any, decoder: Decoder, found: list[str]
) -> Object:
    """Check the result against the schema and default it; it must still be the object the URL names.

    `found` is what strict decoding says of the patch.
    """
    try:
        if change.names_type:
            new, unread = decoder.check_patched_type(view, new)
            found = found + unread
        if request.subresource == "status":
            obj, findings = decoder.patched_status(view, request, new, live)
        else:
            obj, findings = decoder.patched(view, request, new)
        if not view.custom:
            obj["apiVersion"], obj["kind"] = view.row.api_version, view.row.kind
        found = found + findings
        if found and request.field_validation == "Strict":
            raise ValueError(f"strict decoding error: {', '.join(found)}")
    except ValueError as error:
        shown = change.shown(live)
        if isinstance(error, MissingKind):
            why = f"Object 'Kind' is missing in '{shown}'"
        else:
            why = change.complaint(new, error)
        problem = [fielderrors.invalid("patch", shown, why)]
        raise errors.invalid("", "", "", problem) from None
    warn_of(request, found)
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
    config, repeated = decoder.applied(request, body)
    gojson.whole_numbers(config)
    type_ = (config.get("apiVersion"), config.get("kind"))
    if type_ != (view.row.api_version, view.row.kind):
        raise invalid_type(config)
    clock = view.storage.world.clock

    async def applied(live: Object | None) -> Object:
        now = times.format(clock.now())
        who, subresource, before = request.field_manager, request.subresource, live or {}
        new = await view.manage(
            lambda: view.fields.apply(before, config, who, request.force, subresource, now)
        )
        decoder.report_repeated(request, repeated)
        managed = new["metadata"].pop("managedFields", None)
        try:
            obj, _ = decoder.patched(view, request, new)
        except ValueError as error:
            # The schema of an apply is coarser than the types: a number may yet be no int32, a text no quantity.
            why = "" if view.custom else unstructured.fault(view.definition, new)
            raise apply.unconvertible(config, why or str(error)) from None
        if managed:
            obj["metadata"]["managedFields"] = managed
        check_name(request, obj)
        return obj

    return applied
