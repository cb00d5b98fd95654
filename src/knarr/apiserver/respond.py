"""Turns a Result or an error into the representation the client asked for."""

from __future__ import annotations

import gzip
from typing import Any

import orjson

from knarr.apiserver import table, transform
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.negotiate import JSON, PROTOBUF, YAML, Representation, accept, for_people
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.registry.result import Result
from knarr.world import World

#: answers smaller than this are never compressed, as in the API server
GZIP_BYTES_MIN = 128 * 1024
#: the API server's level: speed before size
GZIP_LEVEL = 1
CACHE_CONTROL = "cache-control"
#: what is said of answers that say nothing of their own
NO_CACHE = (CACHE_CONTROL, "no-cache, private")
#: warnings of one answer, in characters, before long ones are cut; and what is left of those then
WARNING_CHARS_MAX, WARNING_CHARS_CUT = 4096, 256


class Responder:
    """Writes answers."""

    def __init__(self, world: World) -> None:
        self._world = world

    def result(self, x: Exchange, result: Result) -> None:
        """Raises 406 when this kind of result has no such representation."""
        representation = x.representation
        if x.trail is not None:
            self._recorded(x, result)
            return
        if representation.as_kind == "" and representation.media_type == JSON:
            body = result.body if not representation.pretty else indent(result.body)
            self.send(x, result.code, JSON, body)
            return
        if representation.as_kind:
            body = self._transformed(x, result, representation)
        else:
            body = result.body
        self.send(x, result.code, representation.media_type, encode(body, representation))

    def _recorded(self, x: Exchange, result: Result) -> None:
        """The same, told to the audit log, which has every object as JSON."""
        representation, record = x.representation, x.trail.record
        clock = self._world.clock.monotonic
        began = clock()
        body = self._transformed(x, result, representation) if representation.as_kind else result.body
        record.took("transform-response-object", (transformed := clock()) - began)
        record.object_answered(body)
        encoded = encode(body, representation)
        record.took("serialize-response-object", clock() - transformed)
        self.send(x, result.code, representation.media_type, encoded)

    async def stream(self, x: Exchange, result: Result) -> None:
        """A large list as it is, piece by piece."""
        assert result.pieces is not None
        x.code, x.size = result.code, sum(map(len, result.pieces))
        headers = [("content-type", JSON), NO_CACHE, *x.headers, *warning_headers(x.request.warnings)]
        await x.http.respond_pieces(result.code, headers, result.pieces)

    def _transformed(self, x: Exchange, result: Result, representation: Representation) -> bytes:
        """The Table or PartialObjectMetadata of an object; a Status stays one."""
        if result.view is None:
            if transform.kind_of(result.body) == "Status":
                return result.body
            from knarr.apiserver.negotiate import only_these

            raise only_these()
        if representation.as_kind == "Table":
            include = x.request.query.get("includeObject", "")
            return table.of(result, include, self._world.clock.now(), representation.version)
        return transform.partial(result, representation)

    def error(self, x: Exchange, error: StatusError) -> None:
        """An error in the client's media type; JSON where that cannot be served."""
        if x.http.answered:
            return
        if isinstance(error, errors.PlainText):
            x.headers += error.headers.items()
            self.text(x, error.code, f"{error.message}\n")
            return
        wanted = accept(x.http.headers.get("accept", "")) or Representation()
        wanted = for_people(wanted, x.http)
        body = orjson.dumps(error.status)
        if x.trail is not None:
            x.trail.record.object_answered(body)
        body = encode(body, wanted)
        x.headers += [(name, value) for name, value in error.headers.items()]
        seconds = (error.status.get("details") or {}).get("retryAfterSeconds")
        if seconds and "Retry-After" not in error.headers:
            x.headers.append(("Retry-After", str(seconds)))
        self.send(x, error.code, wanted.media_type, body)

    def text(self, x: Exchange, code: int, text: str) -> None:
        if code >= 400:
            x.headers.append(("x-content-type-options", "nosniff"))
        self.send(x, code, "text/plain; charset=utf-8", text.encode())

    def json(self, x: Exchange, obj: Any, code: int = 200) -> None:
        self.send(x, code, JSON, orjson.dumps(obj))

    def send(self, x: Exchange, code: int, content_type: str, body: bytes) -> None:
        x.code, x.size = code, len(body)
        headers = [("content-type", content_type), *x.headers] if content_type else [*x.headers]
        for name, _ in x.headers:
            if name == CACHE_CONTROL:
                break
        else:
            headers.append(NO_CACHE)
        if x.request.warnings:
            headers += warning_headers(x.request.warnings)
        if len(body) >= GZIP_BYTES_MIN and takes_gzip(x):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers += [("content-encoding", "gzip"), ("vary", "Accept-Encoding")]
        x.http.respond(code, headers, body)


def takes_gzip(x: Exchange) -> bool:
    """Whether the client names it, without saying how much it likes it."""
    header = x.http.headers.get("accept-encoding", "")
    return "gzip" in header and any(name.strip() == "gzip" for name in header.split(","))


def encode(body: bytes, representation: Representation) -> bytes:
    """JSON as the wanted media type."""
    if representation.media_type == YAML:
        return to_yaml(orjson.loads(body))
    if representation.media_type == PROTOBUF:
        from knarr.api import protobuf

        return protobuf.encode(orjson.loads(body))
    return indent(body) if representation.pretty else body


def indent(body: bytes) -> bytes:
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)


def to_yaml(obj: Any) -> bytes:
    """YAML as the API server writes it."""
    from knarr.apiserver import yamltext

    return yamltext.dump(obj)


def warning_headers(warnings: list[str]) -> list[tuple[str, str]]:
    """`Warning: 299 - "text"`, one header each. Where they are too much together, long ones are cut, and those that
    are too much even then are left out."""
    if sum(map(len, warnings)) > WARNING_CHARS_MAX:
        warnings = _cut(warnings)
    headers = []
    for text in warnings:
        cleaned = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", " ")
        headers.append(("warning", f'299 - "{cleaned}"'))
    return headers


def _cut(warnings: list[str]) -> list[str]:
    kept, size = [], 0
    for text in warnings:
        if size >= WARNING_CHARS_MAX:
            break
        kept.append(text[:WARNING_CHARS_CUT])
        size += len(kept[-1])
    return kept
