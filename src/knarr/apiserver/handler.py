"""The way of a request, outermost step first. Read `serve`: it is the list."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

import orjson

from knarr.apiserver import negotiate, requestinfo
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.http import HTTPRequest
from knarr.apiserver.respond import Responder
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.registry.context import Request, UserInfo
from knarr.registry.operations import Operations, method_not_allowed
from knarr.registry.result import Pieces, Result
from knarr.world import World

log = logging.getLogger("knarr.apiserver")


class Authenticates(Protocol):
    async def authenticate(
        self, bearer: str | None, peer_certificate: Any = None, annotations: dict[str, str] | None = None
    ) -> UserInfo: ...


class Authorizes(Protocol):
    async def require(self, request: Request) -> None: ...


#: a list of more pieces than this (two to an object) is worth sending in parts
LARGE_PIECES = 200

#: methods that resources have routes for
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

#: serves what is no resource: (exchange) -> None, after answering
PathHandler = Callable[[Exchange], Awaitable[None]]
#: takes over a resource request that is a stream: watch, log, exec ...
StreamHandler = Callable[[Exchange], Awaitable[None]]


class APIHandler:
    """Everything between the socket and the registry."""

    def __init__(
        self,
        operations: Operations,
        authenticator: Authenticates,
        authorizer: Authorizes,
        world: World,
        *,
        impersonate: Callable[[Request, list[tuple[str, str]]], Awaitable[UserInfo]] | None = None,
        flow: Any = None,
        observe: Callable[[Exchange], None] | None = None,
    ) -> None:
        self.operations = operations
        self.authenticator, self.authorizer, self.world = authenticator, authorizer, world
        self.impersonate, self.flow, self.observe = impersonate, flow, observe
        self.responder = Responder(world)
        #: by path, or by the part before a trailing "/*"
        self.paths: dict[str, PathHandler] = {}
        #: by (group, resource, subresource) or by verb ("watch")
        self.streams: dict[tuple[str, str, str] | str, StreamHandler] = {}
        #: set when the server stops: long-running requests end
        self.stop = asyncio.Event()

    def stopping(self) -> None:
        self.stop.set()

    async def __call__(self, http: HTTPRequest) -> None:
        """Answer one request, whatever happens."""
        exchange = Exchange(
            http, requestinfo.parse(http.method, http.path, http.query), self.world.clock.monotonic()
        )
        try:
            await self.serve(exchange)
        except StatusError as error:
            self.responder.error(exchange, error)
        finally:
            if self.observe is not None:
                self.observe(exchange)

    async def serve(self, x: Exchange) -> None:
        """The chain: each line may raise a StatusError, which is the answer."""
        self._client(x)
        await self._authenticate(x)
        await self._impersonate(x)
        if self.flow is None:
            await self._authorize_and_dispatch(x)
        else:
            x.ticket = await self.flow.start(x.request)
            x.headers += x.ticket.headers.items()
            try:
                await self._authorize_and_dispatch(x)
            finally:
                x.running()

    async def _authorize_and_dispatch(self, x: Exchange) -> None:
        request = x.request
        if "fieldSelector" in request.query and (name := requestinfo.selected_name(request)):
            await self.authorizer.require(replace(request, name=name))
        else:
            await self.authorizer.require(request)
        if x.request.is_resource:
            await self._resource(x)
        else:
            await self._path(x)

    def _client(self, x: Exchange) -> None:
        x.request.user_agent = x.http.headers.get("user-agent", "")

    async def _authenticate(self, x: Exchange) -> None:
        headers = x.http.headers
        header = headers.get("authorization", "")
        bearer = header[7:].strip() if header[:7].lower() == "bearer " else None
        if bearer is None and "sec-websocket-protocol" in headers:
            bearer = websocket_token(headers["sec-websocket-protocol"])
        x.request.user = await self.authenticator.authenticate(
            bearer, x.http.peer_certificate, x.request.annotations
        )

    async def _impersonate(self, x: Exchange) -> None:
        if self.impersonate is not None and any(name.startswith("impersonate-") for name in x.http.headers):
            x.request.user = await self.impersonate(x.request, x.http.raw_headers)

    async def _resource(self, x: Exchange) -> None:
        request = x.request
        if not self.operations.registry.serves(request.group):
            self._no_such_page(x)
            return
        stream = self.streams.get((request.group, request.resource, request.subresource))
        if stream is None and request.verb == "watch":
            stream = self.streams["watch"]
        if stream is not None:
            self.operations.find(request)
            await stream(x)
            return
        if x.http.method not in METHODS:
            self.operations.find(request)
            raise method_not_allowed()
        custom = (request.group, request.version, request.resource) in self.operations.registry.custom
        accepted = negotiate.accept(x.http.headers.get("accept", ""), protobuf=not custom)
        if accepted is None:
            self.operations.find(request)
            raise self._unacceptable(x)
        x.representation = accepted
        result = await self.operations.serve(request, x.http.body, media_type(x.http.headers))
        if result.pieces is not None and self._streams_plainly(x, result.pieces):
            await self.responder.stream(x, result)
        else:
            self.responder.result(x, result)

    @staticmethod
    def _streams_plainly(x: Exchange, pieces: Pieces) -> bool:
        """Large lists that nobody wants compressed or in another form are sent without being put together."""
        return (
            len(pieces) > LARGE_PIECES
            and x.representation == negotiate.PLAIN
            and "gzip" not in x.http.headers.get("accept-encoding", "")
        )

    def _unacceptable(self, x: Exchange) -> StatusError:
        header = x.http.headers.get("accept", "")
        if "as=" in header:
            return negotiate.only_these()
        served = negotiate.SERVED
        return negotiate.not_acceptable(served + negotiate.STREAMED if x.request.verb == "list" else served)

    async def _path(self, x: Exchange) -> None:
        path = x.http.path
        handler = self.paths.get(path)
        if handler is None and path.endswith("/"):
            handler = self.paths.get(path.rstrip("/") or "/")
        folder = path
        while handler is None and "/" in folder[1:]:
            folder = folder.rpartition("/")[0]
            handler = self.paths.get(folder + "/*")
        if handler is None:
            if path.startswith(("/api/", "/apis/")):
                raise errors.page_not_found()
            self._no_such_page(x)
            return
        await handler(x)

    def _no_such_page(self, x: Exchange) -> None:
        """What the outermost router says of paths it knows nothing of."""
        self.responder.text(x, 404, "404 page not found\n")


def media_type(headers: dict[str, str]) -> str:
    """The Content-Type without parameters; JSON where none is given."""
    header = headers.get("content-type")
    if header is None:
        return negotiate.JSON
    return header.partition(";")[0].strip().lower()


def websocket_token(protocols: str) -> str | None:
    """The bearer token that browsers must send as a subprotocol."""
    import base64

    prefix = "base64url.bearer.authorization.k8s.io."
    for protocol in protocols.split(","):
        text = protocol.strip()
        if text.startswith(prefix):
            encoded = text.removeprefix(prefix)
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except ValueError:
                return None
    return None


def result_of(obj: dict[str, Any], code: int = 200) -> Result:
    """A bare object as a result."""
    return Result(orjson.dumps(obj), code)
