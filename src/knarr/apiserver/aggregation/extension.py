"""Extension API servers: TLS connections to their services, with the front proxy's certificate."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import httptools

from knarr.apiserver.aggregation.connections import Idle
from knarr.apiserver.streaming import forward
from knarr.apiserver.streaming.forward import Streams
from knarr.auth.certificates import Pair
from knarr.auth.requestheader import headers_of
from knarr.egress import EgressError, words
from knarr.egress.routes import Resolve, Route, route_of
from knarr.egress.trust import Contexts, Trust
from knarr.registry.context import UserInfo
from knarr.world import Clock

Object = dict[str, Any]
HTTPS_PORT = 443
#: a longer document of an extension server is refused
DOCUMENT_BYTES_MAX = 64 << 20
#: requests that may be sent twice: over a connection that the other side was about to close, and over a new one. A
#: write might be carried out though nobody answers, so it gets a connection of its own
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
#: who asks for documents
AGGREGATOR = UserInfo("system:kube-aggregator", groups=("system:masters",))


class Fetched(NamedTuple):
    """A whole answer; names of headers in lower case."""

    code: int
    headers: dict[str, str]
    body: bytes


class Extensions:
    """Reaches the services that APIServices name. `pair` is the front proxy's."""

    def __init__(self, resolve: Resolve, pair: Pair, clock: Clock) -> None:
        self._resolve, self._clock = resolve, clock
        self._certificate = base64.b64encode(pair.certificate.encode()).decode()
        self._key = base64.b64encode(pair.key.encode()).decode()
        self._contexts = Contexts()
        self._idle = Idle()

    def close(self) -> None:
        self._idle.close()

    async def route(self, spec: Object) -> Route:
        """Where the service of an APIService's spec is. Raises EgressError."""
        service = spec["service"]
        port = service.get("port") or HTTPS_PORT
        return route_of(await self._resolve(service["namespace"], service["name"], port))

    def idle(self, spec: Object, route: Route, verified: bool = True) -> Streams | None:
        """A connection that has answered before; `keep` takes it back."""
        return self._idle.take(self._same(spec, route, verified))

    def keep(self, streams: Streams, spec: Object, route: Route, verified: bool = True) -> None:
        self._idle.put(self._same(spec, route, verified), streams)

    def _same(self, spec: Object, route: Route, verified: bool) -> Hashable:
        return tuple(route.addresses), _server_name(spec), self._context(spec, verified)

    async def connect(self, spec: Object, route: Route, verified: bool = True) -> Streams:
        """A new connection over TLS. Raises EgressError in the words of Go's net/http."""
        name = _server_name(spec)
        context = self._context(spec, verified)
        try:
            reader, writer = await _open(route)
        except OSError as error:
            raise EgressError(words.dialling(error, route.shown)) from None
        try:
            await writer.start_tls(context, server_hostname=name)
        except ssl.SSLCertVerificationError:
            writer.close()
            raise EgressError(words.certificate(await self._shown(route), name, self._clock.now())) from None
        except ssl.SSLError as error:
            writer.close()
            raise EgressError(words.handshake(error)) from None
        except OSError as error:
            writer.close()
            raise EgressError(words.breaking(error)) from None
        return reader, writer

    def _context(self, spec: Object, verified: bool) -> ssl.SSLContext:
        insecure = bool(spec.get("insecureSkipTLSVerify")) or not verified
        trust = Trust("" if insecure else spec.get("caBundle") or "", insecure, self._certificate, self._key)
        try:
            return self._contexts.of(trust)
        except ValueError as error:
            raise EgressError(str(error)) from None

    async def _shown(self, route: Route) -> bytes | None:
        """The certificate that was not accepted, for saying why."""
        context = self._contexts.of(Trust("", True, self._certificate, self._key))
        try:
            _, writer = await _open(route)
            await writer.start_tls(context)
        except (OSError, ssl.SSLError):
            return None
        try:
            return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()

    async def fetch(
        self,
        spec: Object,
        target: str,
        *,
        user: UserInfo = AGGREGATOR,
        method: str = "GET",
        headers: Mapping[str, str] = {},
        body: bytes = b"",
        verified: bool = True,
        timeout: float = 5.0,
    ) -> Fetched:
        """One request of this API server's own, within `timeout` seconds. Raises EgressError."""
        route = await self.route(spec)
        url = f"https://{route.shown}{target}"
        sent = request_head(method, target, route.shown, user, headers.items(), len(body)) + body
        try:
            async with asyncio.timeout(timeout):
                used = self.idle(spec, route, verified) if method in REPEATABLE else None
                if used is not None:
                    try:
                        return await self._ask(used, sent, spec, route, verified)
                    except (OSError, EOFError):
                        pass  # the other side closes idle connections when it likes to
                streams = await self.connect(spec, route, verified)
                return await self._ask(streams, sent, spec, route, verified)
        except TimeoutError:
            why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            raise EgressError(f'{method.capitalize()} "{url}": {why}', why) from None
        except EgressError as error:
            raise EgressError(f'{method.capitalize()} "{url}": {error.cause}', error.cause) from None
        except (OSError, EOFError, httptools.HttpParserError) as error:
            cause = forward.broken(error)
            raise EgressError(f'{method.capitalize()} "{url}": {cause}', cause) from None

    async def _ask(
        self, streams: Streams, sent: bytes, spec: Object, route: Route, verified: bool
    ) -> Fetched:
        reader, writer = streams
        answer = forward.Answer(reader)
        try:
            writer.write(sent)
            await writer.drain()
            return await _whole(answer)
        finally:
            if answer.reusable:
                self.keep(streams, spec, route, verified)
            else:
                writer.close()


def _server_name(spec: Object) -> str:
    service = spec["service"]
    return f"{service['name']}.{service['namespace']}.svc"


async def _open(route: Route) -> Streams:
    """To the first of the addresses that answers."""
    failure: OSError = ConnectionRefusedError(111, "Connection refused")
    for host, port in route.addresses:
        try:
            return await asyncio.open_connection(host, port)
        except OSError as error:
            failure = error
    raise failure


def request_head(
    method: str, target: str, host: str, user: UserInfo, headers: Iterable[tuple[str, str]], size: int
) -> bytes:
    """A request of this server's own, in the name of `user`."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: kube-aggregator"]
    lines += [f"{name}: {value}" for name, value in (*headers, *headers_of(user))]
    if size or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {size}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def _whole(answer: forward.Answer) -> Fetched:
    await answer.head()
    pieces, size = [], 0
    async for piece in answer.pieces():
        pieces.append(piece)
        size += len(piece)
        if size > DOCUMENT_BYTES_MAX:
            raise EgressError("http: response body too large")
    headers = {name.lower(): value for name, value in answer.headers}
    return Fetched(answer.code, headers, b"".join(pieces))
