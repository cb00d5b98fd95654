"""Watch over HTTP: events framed once for all watchers and written straight to each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import orjson

from knarr.api.kind import Kind
from knarr.api.scheme import without_nulls
from knarr.apiserver import negotiate, table
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.http import HTTPRequest, Stream, chunk
from knarr.apiserver.respond import NO_CACHE, warning_headers
from knarr.apiserver.streaming import websocket
from knarr.apiserver.transform import metadata_of
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.registry import routes
from knarr.registry.context import Request
from knarr.registry.lists import REVISION_WAIT_SECONDS, parse_bare_revision, stored_fields, too_large
from knarr.registry.options import ListOptions, list_options
from knarr.registry.registry import Registry
from knarr.registry.storage import View
from knarr.watchcache import EVENTS, JSON, Frames, Representation, Selection, WatchEvent
from knarr.world import World

if TYPE_CHECKING:
    from knarr.apiserver.convertedwatch import ConvertedWatch
    from knarr.apiserver.watchsocket import SocketStream

#: where there is no `--min-request-timeout`
NEVER = 1e9
#: a client that has this much unread is cut off and watches again
UNSENT_BYTES_MAX = 4 << 20


class Watches:
    """Serves the verb watch."""

    def __init__(self, registry: Registry, handler: APIHandler, world: World) -> None:
        self._registry, self._handler, self._world = registry, handler, world
        handler.streams["watch"] = self.serve

    async def serve(self, x: Exchange) -> None:
        request = x.request
        view = routes.find(self._registry, request)
        options = list_options(request.query)
        x.custom = view.custom
        x.representation = accepted(x, view)
        selection = selection_of(view, request, options)
        if wants_socket(x.http):
            from knarr.apiserver import watchsocket

            if watchsocket.refuse(x.http):
                return
        session = _Session(self, x, view, options, selection)
        try:
            session.since = await self._since(view, options)
        except StatusError as error:
            if not options.send_initial_events or error.code != 504:
                raise
            session.refuse(error)
            return
        await session.run()

    async def _since(self, view: View, options: ListOptions) -> int | None:
        """After which revision events are sent; None begins with the present state. Raises 400, 504."""
        revision = parse_bare_revision(options.resource_version)
        cacher = view.storage.cacher
        if options.send_initial_events:
            if revision > cacher.revision and not await cacher.wait_until(revision, REVISION_WAIT_SECONDS):
                raise too_large(revision, cacher.revision)
            return None
        if revision == 0:
            return cacher.revision
        return revision


def wants_socket(http: HTTPRequest) -> bool:
    headers = http.headers
    return "upgrade" in headers and websocket.wanted(http)


def accepted(x: Exchange, view: View) -> negotiate.Representation:
    """What the events are sent as. Raises 406."""
    header = x.http.headers.get("accept", "")
    found = negotiate.accept(header, protobuf=not view.custom)
    if found is None and (view.custom or "as=" in header):
        raise negotiate.only_these()
    if found is None:
        raise negotiate.not_acceptable(negotiate.SERVED + negotiate.STREAMED)
    if found.media_type == negotiate.YAML:
        raise negotiate.only_these(negotiate.STREAMED)
    return found


def selection_of(view: View, request: Request, options: ListOptions) -> Selection:
    """Raises 400 for fields that cannot be selected by, and for another name than the path's."""
    fields = options.field_selector
    if fields is not None:
        fields = stored_fields(view, fields)
        if request.name and not fields.empty and fields.exact("metadata.name") != request.name:
            raise errors.bad_request("fieldSelector metadata.name doesn't match requested name")
    # A namespace is asked for as if it were in itself, and is in none.
    namespace = request.namespace if view.row.namespaced else ""
    return Selection(namespace, request.name, options.label_selector, fields)


class _Session:
    """One watch from its headers to its end."""

    def __init__(
        self,
        watches: Watches,
        x: Exchange,
        view: View,
        options: ListOptions,
        selection: Selection,
    ) -> None:
        self.watches, self.x, self.view, self.options = watches, x, view, options
        self.selection = selection
        self.since: int | None = None
        self.over_socket = wants_socket(x.http)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.stream: Stream | SocketStream | None = None
        self.held: list[Any] = []

    async def run(self) -> None:
        x, view = self.x, self.view
        send: Callable[[Any], None] = self._send
        selection, representation = self.selection, self._representation()
        converted: ConvertedWatch | None = None
        if view.conversion is not None:
            from knarr.apiserver.convertedwatch import ConvertedWatch

            converted = ConvertedWatch(view, selection, representation, self._send_slowly, self._closed)
            send, selection, representation = converted.put, converted.selection, EVENTS
        try:
            watcher = view.storage.cacher.watch(
                send,
                selection,
                since=self.since,
                representation=representation,
                bookmarks=self.options.allow_watch_bookmarks,
                initial_events_end=bool(self.options.send_initial_events)
                and self.options.allow_watch_bookmarks,
                timeout=self._timeout(),
                unsent=self._unsent,
                unsent_bytes_max=UNSENT_BYTES_MAX,
                closed=self._closed,
            )
        except StatusError as error:
            if error.code != 410:
                raise
            self.refuse(error)
            return
        x.http.cancel_on_hang_up()
        stop = asyncio.ensure_future(self.watches._handler.stop.wait())
        converting = asyncio.ensure_future(converted.run()) if converted is not None else None
        try:
            self._open()
            x.running()
            await asyncio.wait((self.ended, stop), return_when=asyncio.FIRST_COMPLETED)
            if grace := self.watches._handler.limits.shutdown_watch_termination_grace_period:
                await self._linger(grace)
        finally:
            watcher.close()
            stop.cancel()
            if converting is not None:
                converting.cancel()
        assert self.stream is not None
        if self.ended.done() and self.ended.result() == "slow":
            self.stream.abort()
            return
        self.stream.finish()

    async def _linger(self, grace: float) -> None:
        """Not all watchers shall come back at once: each ends at its own time."""
        if not self.ended.done():
            await asyncio.wait((self.ended,), timeout=self.watches._world.chance.random() * grace)

    def _open(self) -> None:
        """The headers, then what `cacher.watch` already sent. No await lies between the two."""
        x = self.x
        x.code = 101 if self.over_socket else 200
        kind = "application/json" if x.representation.media_type == negotiate.JSON else PROTOBUF_STREAM
        headers = [("content-type", kind), NO_CACHE, *x.headers, *warning_headers(x.request.warnings)]
        if self.over_socket:
            from knarr.apiserver.watchsocket import SocketStream

            self.stream = SocketStream(x.http, headers, self._closed)
        else:
            self.stream = x.http.stream(200, headers)
        for data in self.held:
            self.stream.write_framed(data)
        self.held.clear()

    def refuse(self, error: StatusError) -> None:
        """A watch that is too old, or waits for too new a state, is answered 200 with one ERROR event, as the API
        server does."""
        self._open()
        assert self.stream is not None
        event = {"type": "ERROR", "object": error.status}
        if self.x.representation.media_type == negotiate.PROTOBUF:
            from knarr.api import protobuf

            message = protobuf.watch_event(event)
            self.stream.write(message if self.over_socket else protobuf.frame(message))
        else:
            self.stream.write(orjson.dumps(event) + b"\n")
        self.stream.finish()

    def _send(self, data: Any) -> None:
        if self.stream is None:
            self.held.append(data)
        else:
            self.stream.write_framed(data)

    async def _send_slowly(self, data: bytes) -> None:
        """As `_send`, but waits for a slow client: then events wait where they are converted."""
        self._send(data)
        if self.stream is not None:
            await self.stream.drain()

    def _unsent(self) -> int:
        return 0 if self.stream is None else self.stream.unsent

    def _closed(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)

    def _timeout(self) -> float:
        seconds = self.options.timeout_seconds
        if seconds is not None and seconds > 0:
            return float(seconds)
        shortest = self.watches._handler.limits.min_request_timeout
        return self.watches._world.chance.jitter(shortest) if shortest else NEVER

    def _representation(self) -> Representation:
        wanted, view = self.x.representation, self.view
        if wanted.as_kind == "Table":
            include = self.x.request.query.get("includeObject", "")
            table.check_include(include)
            return _Tables(view, include, self.watches._world, wanted.version, self.over_socket)
        if wanted.as_kind == "PartialObjectMetadataList":
            return _NotAList(self)
        key, encode = _encoding(wanted, view)
        if self.over_socket:
            return _Messages(key, encode)
        if key == PLAIN:
            return CHUNKED_JSON
        if wanted.media_type == negotiate.PROTOBUF:
            from knarr.api import protobuf

            return Frames(key, lambda event: protobuf.frame(encode(event)), chunk)
        return Frames(key, encode, chunk)


def _encoding(wanted: negotiate.Representation, view: View) -> tuple[Hashable, Callable[[WatchEvent], bytes]]:
    """How one event is written, and the name of that way."""
    version = f"meta.k8s.io/{wanted.version}"
    if wanted.media_type == negotiate.PROTOBUF:
        from knarr.api import protobuf

        if wanted.as_kind:
            return ("partial protobuf", version), lambda event: protobuf.watch_event(_partial(event, version))
        return ("protobuf", view.row.api_version), lambda event: protobuf.watch_event(_typed(view, event))
    if wanted.as_kind:
        return ("partial", version), lambda event: orjson.dumps(_partial(event, version)) + b"\n"
    if view.to_served is not None:
        return ("served", view.row.api_version), lambda event: _served(view, event)
    return PLAIN, lambda event: event.json


#: the way of most watchers: JSON of the stored version
PLAIN = "plain"
PROTOBUF_STREAM = "application/vnd.kubernetes.protobuf;stream=watch"


class _ChunkedJson(Representation):
    """JSON lines in HTTP chunks: what most watchers get."""

    key = "chunked-json"

    def payload(self, events: list[WatchEvent]) -> bytes:
        return chunk(JSON.payload(events))


CHUNKED_JSON = _ChunkedJson()


class _Messages(Representation):
    """Each event by itself: a WebSocket has frames of its own."""

    def __init__(self, key: Hashable, encode: Callable[[WatchEvent], bytes]) -> None:
        self.key = ("messages", key)
        self._of, self._encode = key, encode

    def payload(self, events: list[WatchEvent]) -> list[bytes]:
        return [event.encoded(self._of, self._encode) for event in events]


def _object(event: WatchEvent) -> dict[str, Any]:
    return orjson.loads(event.json)["object"]


def _line(type_: str, obj: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": type_, "object": obj}) + b"\n"


def _shown(view: View, event: WatchEvent) -> dict[str, Any]:
    """The event's object in the view's version."""
    obj = _object(event)
    if view.to_served is None:
        return obj
    return {**view.to_served(obj), "kind": view.row.kind, "apiVersion": view.row.api_version}


def _typed(view: View, event: WatchEvent) -> dict[str, Any]:
    return {"type": event.type, "object": _shown(view, event)}


def _served(view: View, event: WatchEvent) -> bytes:
    """Another version than the stored one."""
    obj = _shown(view, event)
    return _line(event.type, {"kind": obj["kind"], "apiVersion": obj["apiVersion"], **obj})


def _cells_of_nothing(kind: Kind, bookmark: dict[str, Any], now: float) -> list[Any]:
    """The row of an object of which nothing is set. Printers may count on what defaulting and validation guarantee;
    those that do get a defaulted object, or leave the row blank."""
    obj = without_nulls({**bookmark, "metadata": {"name": "", **bookmark["metadata"]}})
    for prepare in (lambda obj: None, kind.default):
        try:
            prepare(obj)
            return kind.cells(obj, now)
        except (LookupError, TypeError, AttributeError, ValueError):
            continue
    return [""] * len(kind.columns)


def _partial(event: WatchEvent, version: str) -> dict[str, Any]:
    return {"type": event.type, "object": metadata_of(_object(event), version)}


class _NotAList(Representation):
    """An event's object cannot be shown as a list: the first event ends the watch."""

    def __init__(self, session: _Session) -> None:
        self.key = ("not a list", id(self))
        self._session = session

    def payload(self, events: list[WatchEvent]) -> bytes:
        self._session._closed("cannot be encoded")
        return b""


class _Tables(Representation):
    """One Table per event; only the first carries the column definitions, so each watcher has its own."""

    def __init__(self, view: View, include: str, world: World, version: str, apart: bool = False) -> None:
        """`apart`: each event by itself, not in HTTP's chunks."""
        self.key = ("table", id(self))
        self._view, self._include, self._world, self._version = view, include, world, version
        self._first, self._apart = True, apart

    def payload(self, events: list[WatchEvent]) -> bytes | list[bytes]:
        frames = [self._frame(event) for event in events]
        return frames if self._apart else chunk(b"".join(frames))

    def _frame(self, event: WatchEvent) -> bytes:
        obj = _shown(self._view, event)
        if event.type == "BOOKMARK":
            rows = [
                {
                    "cells": _cells_of_nothing(self._view.kind, obj, self._world.clock.now()),
                    "object": metadata_of(obj, f"meta.k8s.io/{self._version}"),
                }
            ]
        else:
            now = self._world.clock.now()
            rows = [table.row_of(self._view, obj, self._include, now, self._version)]
        columns, self._first = table.columns(self._view) if self._first else None, False
        return _line(
            event.type,
            {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._version}",
                "metadata": {"resourceVersion": obj["metadata"].get("resourceVersion", "")},
                "columnDefinitions": columns,
                "rows": rows,
            },
        )
