"""List: at the newest revision, not older than one, or exactly at one; whole or in pages."""

from __future__ import annotations

import base64
import posixpath
import string
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from knarr.meta import errors, fields, gojson
from knarr.meta.gofmt import quote
from knarr.meta.strconv import parse_uint
from knarr.registry import encoding
from knarr.registry.context import Request
from knarr.registry.options import ListOptions
from knarr.registry.result import Pieces, Result
from knarr.registry.storage import Object, View
from knarr.store.base import Compacted, FutureRevision
from knarr.watchcache import Entry

#: how long a list or get waits for a revision the cache has not seen
REVISION_WAIT_SECONDS = 3.0
URL_SAFE = frozenset(string.ascii_letters + string.digits + "-_")
TOO_LARGE_CAUSES = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list"
    " without the continue parameter, or use the continue token in this response to retrieve the remainder of the"
    " results. Continuing with the provided token results in an inconsistent list - objects that were created,"
    " modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


def too_large(asked: int, current: int) -> errors.StatusError:
    """504 with the causes clients look for."""
    error = errors.timeout(f"Timeout: Too large resource version: {asked}, current: {current}", 1)
    error.status["details"] = {"causes": TOO_LARGE_CAUSES, "retryAfterSeconds": 1}
    return error


def parse_revision(text: str) -> int:
    """A list's resourceVersion. Raises 400 in ParseUint's words."""
    try:
        return _revision(text)
    except ValueError as error:
        raise errors.bad_request(f"invalid resource version: {error}") from None


def parse_bare_revision(text: str) -> int:
    """A get's or watch's resourceVersion, which Kubernetes checks elsewhere. Raises 500 without a reason."""
    try:
        return _revision(text)
    except ValueError as error:
        raise errors.StatusError(errors.failure(500, "", str(error))) from None


def _revision(text: str) -> int:
    """Raises ValueError as Kubernetes' versioner has it."""
    try:
        return parse_uint(text) if text else 0
    except ValueError as error:
        raise ValueError(f"resourceVersion: Invalid value: {quote(text)}: {error}") from None


def encode_continue(revision: int, start: str) -> str:
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def decode_continue(text: str) -> tuple[int, str]:
    """(revision, or -1 for the newest; key below the prefix). Raises 400."""
    revision, start, why = _read_continue(text)
    if why:
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {why}")
    return revision, start


def _read_continue(text: str) -> tuple[int, str, str]:
    """(revision, start, what is wrong)."""
    if (fault := _not_base64(text)) is not None:
        return 0, "", f"illegal base64 data at input byte {fault}"
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    try:
        token = orjson.loads(data)
    except orjson.JSONDecodeError:
        return 0, "", gojson.syntax_error(data)
    if not isinstance(token, dict):
        name = gojson.GO_NAMES.get(type(token), "null")
        return 0, "", f"json: cannot unmarshal {name} into Go value of type storage.continueToken"
    version, revision, start = token.get("v", ""), token.get("rv", 0), token.get("start", "")
    if version != "meta.k8s.io/v1":
        return 0, "", f"server does not recognize this encoded version {version}"
    if type(revision) is not int or type(start) is not str:
        return 0, "", "json: cannot unmarshal into Go struct field continueToken"
    if revision == 0:
        return 0, "", "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
    if not start:
        return 0, "", "encoded start key empty (version meta.k8s.io/v1)"
    # A key may not lead out of the resource's folder.
    rooted = "/" + start.removeprefix("/")
    if posixpath.normpath(rooted) != rooted:
        return 0, "", start
    return revision, rooted[1:], ""


def _not_base64(text: str) -> int | None:
    """Where Go's decoder of unpadded URL-safe base64 stops; None when all is well."""
    for at, char in enumerate(text):
        if char not in URL_SAFE:
            return at
    return len(text) - 1 if len(text) % 4 == 1 else None


async def list_(view: View, request: Request, options: ListOptions) -> Result:
    """A list's body in the view's kind, as JSON."""
    return await answer(view, await select(view, request, options))


async def answer(view: View, chosen: Chosen) -> Result:
    """A list of the chosen entries, in pieces: no item is copied."""
    row = view.row
    if view.custom:
        head = _custom_head(view, chosen)
    else:
        head = encoding.list_header(
            row.kind + "List", row.api_version, chosen.revision, chosen.next, chosen.remaining
        )
    if view.conversion is not None:
        objects = await view.conversion.objects([(e.value, e.mod_revision) for e in chosen.entries])
        items: Pieces = [b",".join(map(orjson.dumps, objects))]
    elif view.custom:
        items = [b",".join(view.served(e.value, e.mod_revision) for e in chosen.entries)]
    elif view.to_served is None:
        stored = view.storage.row
        skip = encoding.item_skip(stored.kind, stored.api_version)
        items = encoding.join_items(((e.value, e.mod_revision) for e in chosen.entries), skip)
    else:
        bare = (view.served_object(e.value, e.mod_revision) for e in chosen.entries)
        items = [b",".join(orjson.dumps(without_type(o)) for o in bare)]
    return Result(b"", 200, view, is_list=True, pieces=[head, *items, b"]}"])


def without_type(obj: Object) -> Object:
    return {k: v for k, v in obj.items() if k not in ("kind", "apiVersion")}


def _custom_head(view: View, chosen: Chosen) -> bytes:
    """Lists of custom resources name their items' kinds and always carry `continue`."""
    metadata: Object = {"continue": chosen.next, "resourceVersion": str(chosen.revision)}
    if chosen.remaining is not None:
        metadata["remainingItemCount"] = chosen.remaining
    row = view.row
    kind = view.extra.get("listKind", row.kind + "List")
    head = orjson.dumps({"apiVersion": row.api_version, "kind": kind, "metadata": metadata})
    return head[:-1] + b',"items":['


class Chosen:
    """The entries of one page and where the next begins; how many were looked at for it."""

    __slots__ = ("entries", "looked_at", "next", "remaining", "revision")

    def __init__(
        self,
        entries: list[Entry],
        revision: int,
        looked_at: int,
        next_: str = "",
        remaining: int | None = None,
    ) -> None:
        self.entries, self.revision, self.looked_at = entries, revision, looked_at
        self.next, self.remaining = next_, remaining


Predicate = Callable[[Any], bool]


def predicate(view: View, request: Request, options: ListOptions) -> Predicate | None:
    """Whether an entry is wanted; None wants all. Raises 400 for a field the kind does not select by."""
    label, field = options.label_selector, options.field_selector
    tests: list[Predicate] = []
    if label is not None:
        matches = label.matches
        tests.append(lambda entry: matches(entry.labels))
    if field is not None:
        chosen = stored_fields(view, field).matches
        tests.append(lambda entry: chosen(entry.fields))
    if request.name:
        name = request.name
        tests.append(lambda entry: entry.name == name)
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda entry: all(test(entry) for test in tests)


async def _converted(
    view: View, entries: list[Entry], options: ListOptions, wanted: Predicate | None
) -> Predicate | None:
    """The predicate where a webhook says what labels and fields an object has in the view's version."""
    label, field = options.label_selector, options.field_selector
    if wanted is None or (label is None and field is None):
        return wanted
    return await view.conversion.matching(entries, view.kind, label, field)


def stored_fields(view: View, selector: fields.FieldSelector) -> fields.FieldSelector:
    """The selector by the names that stored objects are selected by. Raises 400 for an unknown field."""
    check_fields(view, selector)
    aliases = view.kind.field_aliases
    if not aliases:
        return selector
    return selector.transform(lambda field, value: (aliases.get(field, field), value))


def check_fields(view: View, selector: fields.FieldSelector) -> None:
    """Only metadata.name, metadata.namespace and the kind's own fields can be selected by.

    The namespace of what has none can be selected by only where a kind has no fields of its own.
    """
    own = set(selectable(view))
    known = {"metadata.name", *own, *view.kind.field_aliases}
    if view.row.namespaced or not (view.custom or own):
        known.add("metadata.namespace")
    for requirement in selector.requirements:
        if requirement.field not in known:
            raise errors.bad_request(unsupported_field(view, requirement.field))


def unsupported_field(view: View, field: str) -> str:
    """What a selector by an unknown field is told; a few kinds have words of their own."""
    own = getattr(view.storage.kind, "unsupported_field", None)
    if own is not None:
        return own(field)
    if selectable(view):
        return f"field label not supported: {field}"
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def selectable(view: View) -> Iterable[str]:
    """The kind's own selectable fields: those it reports of any object."""
    return view.kind.fields({"metadata": {}, "spec": {}, "status": {}})


async def select(view: View, request: Request, options: ListOptions) -> Chosen:
    """The entries a list answers with; raises 410 for revisions that are compacted, 504 for future ones."""
    chosen = await _select(view, request, options)
    reads = view.storage.reads
    reads.lists += 1
    reads.looked_at += chosen.looked_at
    reads.returned += len(chosen.entries)
    if not options.resource_version and not options.continue_:
        reads.consistent += 1
    return chosen


async def _select(view: View, request: Request, options: ListOptions) -> Chosen:
    wanted = predicate(view, request, options)
    cacher = view.storage.cacher
    revision, start = 0, ""
    if options.continue_:
        if options.resource_version not in ("", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        revision, start = decode_continue(options.continue_)
        if options.resource_version == "0":
            # Served from the cache, which knows no pages.
            options.limit = 0
        return await _page(view, request, options, wanted, max(revision, 0), start)
    revision = parse_revision(options.resource_version)
    if options.resource_version_match == "Exact" or (
        revision and options.limit and not options.resource_version_match
    ):
        return await _page(view, request, options, wanted, revision, "")
    if revision > cacher.revision and not await cacher.wait_until(revision, REVISION_WAIT_SECONDS):
        raise too_large(revision, cacher.revision)
    if options.limit and options.resource_version != "0":
        return await _page(view, request, options, wanted, 0, "")
    entries = cacher.list(request.namespace)
    looked_at, revision = len(entries), cacher.revision
    if view.conversion is not None:
        wanted = await _converted(view, entries, options, wanted)
    if wanted is not None:
        entries = [entry for entry in entries if wanted(entry)]
    return Chosen(entries, revision, looked_at)


async def _page(
    view: View, request: Request, options: ListOptions, wanted: Predicate | None, revision: int, start: str
) -> Chosen:
    """Up to `limit` entries from `start` on, at one revision: the cache's own if that is the newest, else history."""
    storage, cacher = view.storage, view.storage.cacher
    prefix = storage.prefix
    if request.namespace and storage.row.namespaced:
        prefix += request.namespace.encode() + b"/"
    at = revision or cacher.revision
    try:
        entries = cacher.at(prefix, prefix + start.encode() if start else b"", at)
    except Compacted:
        if not options.continue_:
            raise errors.expired("The resourceVersion for the provided list is too old.") from None
        error = errors.expired(CONTINUE_EXPIRED)
        error.status["metadata"] = {"continue": encode_continue(-1, start)}
        raise error from None
    except FutureRevision:
        if await cacher.wait_until(at, REVISION_WAIT_SECONDS):
            return await _page(view, request, options, wanted, revision, start)
        raise too_large(at, cacher.revision) from None
    if view.conversion is not None:
        wanted = await _converted(view, entries, options, wanted)
    page: list[Entry] = []
    limit, count = options.limit, len(entries)
    for index, entry in enumerate(entries):
        if wanted is None or wanted(entry):
            page.append(entry)
            if limit and len(page) == limit and index + 1 < count:
                after = entry.key[len(prefix) :].decode() + "\0"
                remaining = count - index - 1 if wanted is None else None
                return Chosen(page, at, index + 1, encode_continue(at, after), remaining)
    return Chosen(page, at, count)
