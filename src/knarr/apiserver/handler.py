"""The way of a request, outermost step first. Read `serve`: it is the list."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from knarr.apiserver import negotiate, requestinfo
from knarr.apiserver.deadlines import Deadlines
from knarr.apiserver.exchange import LONG_RUNNING, Exchange
from knarr.apiserver.http import BODY_BYTES_MAX, HTTPRequest
from knarr.apiserver.inflight import InFlight
from knarr.apiserver.limits import Limits
from knarr.apiserver.respond import NO_CACHE, Responder, takes_gzip
from knarr.auth.authenticate import bearer_token, websocket_token
from knarr.flowcontrol.ticket import Ticket
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.meta.gofmt import quote
from knarr.registry import routes
from knarr.registry.context import Request, UserInfo
from knarr.registry.operations import Operations
from knarr.registry.result import Pieces
from knarr.world import World, chance

if TYPE_CHECKING:
    from knarr.apiserver.audit.auditor import Auditor

log = logging.getLogger("knarr.apiserver")


class Authenticates(Protocol):
    async def authenticate(
        self,
        bearer: str | None,
        peer_certificate: Any = None,
        annotations: dict[str, str] | None = None,
        path: str = "",
        headers: Sequence[tuple[str, str]] = (),
    ) -> UserInfo: ...


class Impersonated(Protocol):
    """Who a request is made as, and the constraint that allowed it (for the audit log)."""

    @property
    def user(self) -> UserInfo: ...

    @property
    def constraint(self) -> str: ...


class Authorizes(Protocol):
    async def require(self, request: Request) -> None: ...


#: a list of more pieces than this (two to an object) is worth sending in parts
LARGE_PIECES = 200

#: a request whose sender could not be authenticated
NOBODY = UserInfo("")
#: no request takes so long
NEVER = 1e9
#: no request waits longer for a seat
WAIT_SECONDS_MAX = 60.0
#: paths that are served to the last
WATCHED = ("/readyz", "/livez", "/healthz", "/metrics")
#: the answer to what took too long, which Kubernetes writes without a kind and as text
LATE = (
    b'{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout",'
    b'"reason":"Timeout","details":{},"code":504}\n'
)
LATE_STATUS = b'{"kind":"Status","apiVersion":"v1",' + LATE[1:-1]
#: what a request is told that the audit log must have but cannot
NOT_STORED = "failed to store audit event"
#: paths of a router that does not mind a slash at the end; elsewhere a path is exact
ROUTED = ("/api", "/version", "/openapi/", "/openid/", "/.well-known/")
#: methods that resources have routes for
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
#: verbs that may create what is not there, which takes the right to do that as well
MAY_CREATE = frozenset({"update", "patch"})

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
        impersonate: Callable[[Request, list[tuple[str, str]]], Awaitable[Impersonated]] | None = None,
        flow: Any = None,
        in_flight: InFlight | None = None,
        observe: Callable[[Exchange], None] | None = None,
        auditor: Auditor | None = None,
        limits: Limits = Limits(),
    ) -> None:
        self.operations = operations
        self.authenticator, self.authorizer, self.world = authenticator, authorizer, world
        self.impersonate, self.flow, self.observe = impersonate, flow, observe
        self.auditor = auditor
        #: not the world's chance, whose draws must not depend on who asks how often
        self._draw = chance()
        # Requests are named by a UUID of this server's whose last part counts: drawing one for each costs 1.5 us.
        self._audit_ids = map((self._draw.uid()[:24] + "%012x").__mod__, count(self._draw.getrandbits(40)))
        self.responder = Responder(world)
        #: by path, or by the part before a trailing "/*"
        self.paths: dict[str, PathHandler] = {}
        #: by (group, resource, subresource) or by verb ("watch")
        self.streams: dict[tuple[str, str, str] | str, StreamHandler] = {}
        #: answers what other API servers serve (apiserver/aggregation), where there are any
        self.delegate: Callable[[Exchange], Awaitable[None] | None] | None = None
        self.limits = limits
        self._goaway_chance = limits.goaway_chance
        #: how long a request without a time of its own waits for a seat
        self._patience = patience_of(limits.request_timeout or NEVER)
        self.deadlines = Deadlines(limits.request_timeout or NEVER, self._too_late)
        #: watches, logs and sessions that are open
        self.lasting: set[Exchange] = set()
        #: without priority and fairness
        self.in_flight = in_flight
        #: what new requests are told when the server stops; None while it does not
        self.refusal: errors.StatusError | None = None
        #: the server is about to stop: it is no longer ready
        self.ending = False
        #: set when the server stops: long-running requests end
        self.stop = asyncio.Event()

    def stopping(self) -> None:
        self.ending = True
        self.stop.set()

    async def __call__(self, http: HTTPRequest) -> None:
        """Answer one request, whatever happens."""
        if http.path == "*" and http.method == "OPTIONS":
            http.respond(200, [], b"")  # a question to the HTTP server, not to the API
            return
        exchange = Exchange(
            http, requestinfo.parse(http.method, http.path, http.query), self.world.clock.monotonic()
        )
        exchange.audit_id = http.headers.get("audit-id") or next(self._audit_ids)
        exchange.headers.append(("Audit-Id", exchange.audit_id))
        lasting = exchange.long_running
        try:
            if self.refusal is not None:
                self._refuse(exchange, self.refusal)
            if lasting:
                self.lasting.add(exchange)
            else:
                self.deadlines.begin(exchange)
                if self._goaway_chance and self._draw.random() < self._goaway_chance:
                    http.keep_alive = False
            await self.serve(exchange)
        except StatusError as error:
            if exchange.seconds < 0 and self.auditor is not None:
                self._record_refused(exchange)
            self.responder.error(exchange, error)
        except ConnectionResetError:
            pass  # the client went away while it was answered: nobody's fault
        except Exception as error:
            if exchange.trail is not None:
                exchange.trail.panicked(error)
            raise
        finally:
            if lasting:
                self.lasting.discard(exchange)
            else:
                self.deadlines.end(exchange)
            if self.observe is not None and not exchange.too_late:
                self.observe(exchange)
            if exchange.trail is not None:
                await exchange.trail.complete()

    def _refuse(self, x: Exchange, refusal: errors.StatusError) -> None:
        """The server stops. Who watches over it is still served."""
        agent = x.http.headers.get("user-agent", "")
        if not (agent.startswith("kube-apiserver/") or x.http.path.startswith(WATCHED)):
            x.http.keep_alive = False
            raise refusal

    def _too_late(self, x: Exchange) -> None:
        """Answer for a handler that is still at it; what it does in the end is seen by nobody."""
        x.too_late, x.code = True, 504
        if x.trail is not None:
            x.trail.record.object_answered(LATE_STATUS)
        headers = [("content-type", "text/plain; charset=utf-8"), NO_CACHE, ("Audit-Id", x.audit_id)]
        x.http.cut_off(504, headers, LATE)
        if self.observe is not None:
            self.observe(x)

    async def serve(self, x: Exchange) -> None:
        """The chain: each line may raise a StatusError, which is the answer."""
        self._client(x)
        await self._authenticate(x)
        if self.auditor is not None and not await self._record(x):
            return
        await self._impersonate(x)
        if self.in_flight is not None:
            await self._counted(x, self.in_flight)
        elif self.flow is None or (x.request.subresource in LONG_RUNNING and x.request.verb != "watch"):
            await self._authorize_and_dispatch(x)
        else:
            seat = self.flow.arrive(x.request)
            x.ticket = seat if isinstance(seat, Ticket) else await self._wait_for(x, seat)
            x.headers += x.ticket.headers
            try:
                await self._authorize_and_dispatch(x)
            finally:
                x.running()

    async def _counted(self, x: Exchange, in_flight: InFlight) -> None:
        kind = in_flight.start(x)
        try:
            await self._authorize_and_dispatch(x)
        finally:
            in_flight.finish(kind)

    async def _authorize_and_dispatch(self, x: Exchange) -> None:
        began = self.world.clock.monotonic()
        try:
            await self._authorize(x.request)
        finally:
            x.authorizing = self.world.clock.monotonic() - began
        if x.trail is not None:
            x.trail.record.took("authorization", x.authorizing)
        if self.delegate is not None and (elsewhere := self.delegate(x)) is not None:
            await elsewhere
        elif x.request.is_resource:
            await self._resource(x)
        else:
            await self._path(x)

    async def _wait_for(self, x: Exchange, place: Any) -> Ticket:
        """Wait in a queue of flow control."""
        patience = patience_of(x.seconds) if x.seconds else self._patience
        began = self.world.clock.monotonic()
        try:
            return await self.flow.wait(place, patience)
        finally:
            if x.trail is not None:
                x.trail.record.took("apf-queue-wait", self.world.clock.monotonic() - began)

    async def _authorize(self, request: Request) -> None:
        if "fieldSelector" in request.query and (name := requestinfo.selected_name(request)):
            await self.authorizer.require(replace(request, name=name))
        else:
            await self.authorizer.require(request)

    def _client(self, x: Exchange) -> None:
        x.request.user_agent = x.http.headers.get("user-agent", "")

    async def _authenticate(self, x: Exchange) -> None:
        headers = x.http.headers
        try:
            bearer = bearer_token(headers.get("authorization", ""), x.request.warn)
            if bearer is None and "sec-websocket-protocol" in headers:
                bearer = websocket_token(headers["sec-websocket-protocol"])
            x.request.user = await self.authenticator.authenticate(
                bearer,
                x.http.peer_certificate,
                x.request.annotations,
                x.http.path,
                x.http.raw_headers,
            )
        except StatusError:
            if self.auditor is not None:
                self._record_refused(x)
            raise
        finally:
            x.known = self.world.clock.monotonic()

    async def _record(self, x: Exchange) -> bool:
        """From here on the audit log follows the request; False where it must but cannot, and that is the answer."""
        assert self.auditor is not None
        x.received = self.world.clock.now() - (self.world.clock.monotonic() - x.started)
        x.trail = self.auditor.open(x)
        if x.trail is None:
            return True
        x.trail.record.took("authentication", x.known - x.started)
        if await x.trail.received():
            return True
        x.trail = x.http.on_answer = None
        self.responder.text(x, 500, f"Internal Server Error: {quote(x.http.uri)}: {NOT_STORED}\n")
        return False

    def _record_refused(self, x: Exchange) -> None:
        """Whoever it was, nobody knows him."""
        assert self.auditor is not None
        x.request.user = NOBODY
        x.received = self.world.clock.now()
        x.trail = self.auditor.open(x)
        if x.trail is not None:
            x.trail.refused()

    async def _impersonate(self, x: Exchange) -> None:
        if self.impersonate is not None and any(name.startswith("impersonate-") for name in x.http.headers):
            found = await self.impersonate(x.request, x.http.raw_headers)
            if x.trail is not None and found.user is not x.request.user:
                x.trail.record.impersonated(found.user, found.constraint)
            x.request.user = found.user

    async def _resource(self, x: Exchange) -> None:
        request = x.request
        if not self.operations.registry.serves(request.group):
            self._no_such_page(x)
            return
        stream = self.streams.get((request.group, request.resource, request.subresource))
        if stream is None and request.verb == "watch":
            if x.http.method != "GET":
                routes.find(self.operations.registry, request)
                raise routes.method_not_allowed()
            stream = self.streams["watch"]
        if stream is not None:
            # Proxies hand on every method; OPTIONS is the one that no verb stands for.
            proxied = x.http.method == "OPTIONS" and request.subresource == "proxy"
            routes.find(self.operations.registry, replace(request, verb="get") if proxied else request)
            await stream(x)
            return
        if x.http.method not in METHODS:
            routes.find(self.operations.registry, request)
            raise routes.method_not_allowed()
        x.custom = (request.group, request.version, request.resource) in self.operations.registry.custom
        accepted = negotiate.accept(x.http.headers.get("accept", ""), protobuf=not x.custom)
        if accepted is None:
            routes.find(self.operations.registry, request)
            raise self._unacceptable(x)
        x.representation = negotiate.for_people(accepted, x.http)
        if request.verb in MAY_CREATE:
            request.may_create = self._require_create
        if x.http.too_large:
            raise errors.too_large(f"Request entity too large: limit is {BODY_BYTES_MAX}")
        result = await self.operations.serve(request, x.http.body, media_type(x.http))
        whole = x.trail is not None and x.trail.record.wants_response
        if result.pieces is not None and not whole and self._streams_plainly(x, result.pieces):
            await self.responder.stream(x, result)
        else:
            self.responder.result(x, result)

    @staticmethod
    def _streams_plainly(x: Exchange, pieces: Pieces) -> bool:
        """Large lists that nobody wants compressed or in another form are sent without being put together."""
        return len(pieces) > LARGE_PIECES and x.representation == negotiate.PLAIN and not takes_gzip(x)

    async def _require_create(self, request: Request) -> None:
        await self.authorizer.require(replace(request, verb="create"))

    def _unacceptable(self, x: Exchange) -> StatusError:
        header = x.http.headers.get("accept", "")
        if x.custom or "as=" in header:
            return negotiate.only_these()
        served = negotiate.SERVED
        return negotiate.not_acceptable(served + negotiate.STREAMED if x.request.verb == "list" else served)

    async def _path(self, x: Exchange) -> None:
        path = x.http.path
        handler = self.paths.get(path)
        if handler is None and path.endswith("/") and path.startswith(ROUTED):
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


def patience_of(seconds: float) -> float:
    """How long a request waits for a seat: a quarter of its time, and no more than a minute."""
    return min(seconds / 4, WAIT_SECONDS_MAX)


def media_type(http: HTTPRequest) -> str:
    """The Content-Type without parameters; JSON where none is given."""
    header = http.headers.get("content-type")
    if header is None:
        return negotiate.JSON
    if http.method == "PATCH":
        return header.partition(";")[0].strip().lower()
    return negotiate.content_type(header)
