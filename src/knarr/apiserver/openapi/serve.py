"""Serves /openapi/v3, its documents and /openapi/v2; each is made when first asked for and kept until rows change."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from knarr.apiserver import negotiate
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.openapi import documents, top
from knarr.registry.registry import Registry

if TYPE_CHECKING:
    from knarr.apiserver.aggregation.aggregation import Aggregation

JSON = "application/json"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"


class OpenAPI:
    """The documents of one registry, and of the groups that `aggregation` knows of."""

    def __init__(self, registry: Registry, handler: APIHandler, aggregation: Aggregation) -> None:
        self._registry, self._handler = registry, handler
        #: what other API servers say of the groups they serve
        self._others = aggregation
        aggregation.listeners.append(self.forget)
        #: (group, version) -> {"paths": ..., "schemas": ...}; filled by the CRD machinery
        self.custom: dict[tuple[str, str], dict[str, Any]] = {}
        self._bodies: dict[str, tuple[bytes, str]] = {}
        handler.paths["/openapi/v2"] = self.v2
        handler.paths["/openapi/v3"] = self.index
        handler.paths["/openapi/v3/*"] = self.document

    def forget(self) -> None:
        """Rows or schemas changed."""
        self._bodies.clear()

    def _names(self) -> dict[str, tuple[str, str] | None]:
        """What each document is about; None is nothing below a group's version."""
        found: dict[str, tuple[str, str] | None] = dict.fromkeys(
            top.names({row.group for row in self._registry.rows()})
        )
        for row in self._registry.rows():
            name = f"apis/{row.group}/{row.version}" if row.group else f"api/{row.version}"
            found[name] = (row.group, row.version)
        for group, version in self._others.v3_stamps():
            found[f"apis/{group}/{version}"] = (group, version)
        return dict(sorted(found.items()))

    def _body(self, name: str) -> tuple[bytes, str]:
        """(JSON, hash) of a document."""
        known = self._bodies.get(name)
        if known is None:
            body = orjson.dumps(self._make(name))
            known = self._bodies[name] = (body, hashlib.sha512(body).hexdigest().upper())
        return known

    def _make(self, name: str) -> dict[str, Any]:
        custom = {(row.group, row.version, row.name) for row in self._custom_rows()}
        if name == "v2":
            rows = [r for r in self._registry.rows() if (r.group, r.version, r.name) not in custom]
            whole = documents.v2(rows, self.custom.values())
            self._others.merge_into(whole)
            return whole
        about = self._names()[name]
        if about is None:
            return documents.v3_top(name)
        group, version = about
        rows = [
            r
            for r in self._registry.rows()
            if (r.group, r.version) == (group, version) and (r.group, r.version, r.name) not in custom
        ]
        return documents.v3(group, version, rows, self.custom.get((group, version)))

    def _custom_rows(self) -> list[Any]:
        return [view.row for view in self._registry.custom.values()]

    async def index(self, x: Exchange) -> None:
        paths = {}
        for name in self._names():
            # The hash of what would be served; made without building documents nobody has asked for.
            paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={self._stamp(name)}"}
        body = orjson.dumps({"paths": paths})
        self._handler.responder.send(x, 200, "text/plain; charset=utf-8", body)

    def _stamp(self, name: str) -> str:
        about = self._names()[name]
        if about is None:
            return hashlib.sha512(name.encode()).hexdigest().upper()
        group, version = about
        if about in (stamps := self._others.v3_stamps()):
            return hashlib.sha512(stamps[about].encode()).hexdigest().upper()
        facts = [row for row in self._registry.rows() if (row.group, row.version) == (group, version)]
        text = orjson.dumps([facts, self.custom.get((group, version))], default=str)
        return hashlib.sha512(text).hexdigest().upper()

    async def document(self, x: Exchange) -> None:
        name = x.http.path.removeprefix("/openapi/v3/").strip("/")
        if name not in self._names():
            self._handler.responder.send(x, 404, "", b"")
            return
        stamp = self._stamp(name)
        asked = x.http.query.get("hash", "")
        if asked and asked != stamp:
            x.headers.append(("location", f"/openapi/v3/{name}?hash={stamp}"))
            self._handler.responder.send(x, 301, "text/plain; charset=utf-8", b"")
            return
        if asked:
            x.headers += [
                ("cache-control", "public, immutable"),
                ("expires", "Thu, 31 Dec 2099 23:59:59 GMT"),
            ]
        if (about := self._names()[name]) in self._others.v3_stamps():
            await self._hand_on(x, *about)  # type: ignore[misc]
            return
        self._answer(x, name, V3_PROTOBUF)

    async def _hand_on(self, x: Exchange, group: str, version: str) -> None:
        """Another server's document."""
        body = await self._others.v3(group, version)
        if body is None:
            self._handler.responder.text(x, 503, "service unavailable\n")
            return
        etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        x.headers += [("etag", etag), ("vary", "Accept")]
        if x.http.headers.get("if-none-match") == etag:
            self._handler.responder.send(x, 304, JSON, b"")
            return
        self._handler.responder.send(x, 200, JSON, body)

    async def v2(self, x: Exchange) -> None:
        self._answer(x, "v2", V2_PROTOBUF)

    def _answer(self, x: Exchange, name: str, protobuf: str) -> None:
        kind = chosen(x.http.headers.get("accept", ""), protobuf)
        if not kind:
            self._handler.responder.send(x, 406, "", b"")
            return
        body, etag = self._body(name)
        x.headers += [("etag", f'"{etag}"'), ("vary", "Accept")]
        if matches(x.http.headers.get("if-none-match", ""), etag):
            self._handler.responder.send(x, 304, kind, b"")
            return
        if kind == protobuf:
            body = self._protobuf(name, body)
        self._handler.responder.send(x, 200, kind, body)

    def _protobuf(self, name: str, body: bytes) -> bytes:
        """The same document in gnostic's messages."""
        key = f"{name} as protobuf"
        known = self._bodies.get(key)
        if known is None:
            from knarr.apiserver.openapi import gnostic

            encode = gnostic.v2 if name == "v2" else gnostic.v3
            known = self._bodies[key] = (encode(orjson.loads(body)), "")
        return known[0]


def chosen(accept: str, protobuf: str) -> str:
    """The media type of a document for an Accept header; "" where there is none."""
    for clause in negotiate.clauses(accept or "*/*"):
        wanted = clause.media_type.replace("@", ".")  # how the type was spelled before `@` was forbidden
        if wanted in (JSON, "*/*", "application/*", "*/json"):
            return JSON
        if wanted == protobuf:
            return protobuf
    return ""


def matches(header: str, etag: str) -> bool:
    """Whether an If-None-Match header names the tag, or any."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or f'"{etag}"' in tags
