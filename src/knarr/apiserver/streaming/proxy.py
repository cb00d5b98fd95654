"""The proxy subresources: HTTP to a pod, to a service's endpoint, to a node's kubelet."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools

from knarr.api.nodeapi import NodeConnections, NodeError
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.http import Stream
from knarr.apiserver.streaming import pods
from knarr.meta import errors
from knarr.registry import endpoints
from knarr.registry.registry import Registry

#: they concern one hop only and are not handed on
HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
#: the client's identity towards us is nothing for the backend
PRIVATE = frozenset({"authorization", "host", "content-length", "expect"})
READ_BYTES = 64 * 1024
#: how long the head of an answer may take
HEAD_SECONDS = 60.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Name:
    """`[scheme:]name[:port]`"""

    name: str
    scheme: str = ""
    port: str = ""


def parse_name(text: str) -> Name:
    """Raises 400."""
    parts = text.split(":")
    if len(parts) == 1:
        return Name(parts[0])
    if len(parts) == 2:
        return Name(parts[0], port=parts[1])
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return Name(parts[1], parts[0], parts[2])
    raise errors.bad_request(f'invalid name "{text}"')


class Proxies:
    """Serves pods/proxy, services/proxy and nodes/proxy, with every method."""

    def __init__(self, handler: APIHandler, registry: Registry, connections: NodeConnections) -> None:
        self._handler, self._registry, self._connections = handler, registry, connections

    # -- where to -----------------------------------------------------------------------------------------------

    async def pod(self, x: Exchange) -> None:
        name = parse_name(x.request.name)
        pod = pods.find(self._registry, "pods", x.request.namespace, name.name)
        port = _number(name.port) or _first_port(pod) or 80
        if not pod.get("status", {}).get("podIP"):
            raise errors.bad_request("address not allowed")
        await self._forward(x, await self._dial_pod(pod, port), name)

    async def service(self, x: Exchange) -> None:
        name = parse_name(x.request.name)
        namespace = x.request.namespace
        service = pods.find(self._registry, "services", namespace, name.name)
        port_name = _service_port(service, name.port)
        ready = list(endpoints.ready(self._registry, namespace, name.name, port_name))
        if not ready:
            raise errors.unavailable(f'no endpoints available for service "{x.request.name}"')
        endpoint, port = self._handler.world.chance.choice(ready)
        target = endpoint.get("targetRef") or {}
        if target.get("kind") == "Pod":
            pod = pods.find(self._registry, "pods", namespace, target["name"])
            streams = await self._dial_pod(pod, port)
        else:
            streams = await _connect(endpoint["addresses"][0], port)
        await self._forward(x, streams, name)

    async def node(self, x: Exchange) -> None:
        name = parse_name(x.request.name)
        pods.find(self._registry, "nodes", "", name.name)
        api = pods.connection(self._registry, self._connections, name.name)
        if x.http.method not in ("GET", "HEAD"):
            raise errors.method_not_allowed("", "nodes/proxy", x.request.verb)
        code, kind, body = await api.http(_rest(x), x.http.query)
        x.code = code
        x.http.respond(code, [("content-type", kind)], body)

    async def _dial_pod(self, pod: dict[str, Any], port: int) -> Streams:
        meta = pod["metadata"]
        api = pods.connection(self._registry, self._connections, pods.node_of(pod))
        try:
            return await api.dial(meta["namespace"], meta["name"], port)
        except (NodeError, OSError) as error:
            raise errors.unavailable(f"error trying to reach service: {error}") from None

    # -- how ------------------------------------------------------------------------------------------------------

    async def _forward(self, x: Exchange, streams: Streams, name: Name) -> None:
        reader, writer = streams
        x.http.cancel_on_hang_up()
        try:
            if name.scheme == "https":
                writer = await _over_tls(writer)
            upgrade = _upgrade_of(x)
            writer.write(_request_head(x, upgrade) + x.http.body)
            await writer.drain()
            answer = _Answer(reader)
            try:
                async with asyncio.timeout(HEAD_SECONDS):
                    await answer.head()
            except (TimeoutError, OSError, httptools.HttpParserError) as error:
                raise errors.unavailable(f"error trying to reach service: {error or 'no answer'}") from None
            if upgrade and answer.code == 101:
                await self._tunnel(x, answer, reader, writer)
            else:
                await _hand_on(x, answer)
        finally:
            writer.close()

    async def _tunnel(self, x: Exchange, answer: _Answer, reader: Any, writer: Any) -> None:
        x.code = 101
        transport, _, become = x.http.upgrade(answer.headers)
        pipe = _Pipe(writer, transport)
        become(pipe)
        if answer.tail:
            transport.write(answer.tail)
        stop = asyncio.ensure_future(self._handler.stop.wait())
        copy = asyncio.ensure_future(_copy(reader, transport, pipe))
        try:
            await asyncio.wait(
                (copy, stop, asyncio.ensure_future(pipe.ended.wait())), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            stop.cancel()
            copy.cancel()
            transport.close()


def _number(port: str) -> int:
    """0 where none is given. Raises 400."""
    if not port:
        return 0
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise errors.bad_request(f'invalid port "{port}"')
    return int(port)


def _first_port(pod: dict[str, Any]) -> int:
    for container in pod["spec"].get("containers", ()):
        for port in container.get("ports", ()):
            return port["containerPort"]
    return 0


def _service_port(service: dict[str, Any], wanted: str) -> str:
    """The name of the port that is asked for by name or number. Raises 503."""
    ports = service["spec"].get("ports", ())
    if not wanted:
        if len(ports) == 1:
            return ports[0].get("name", "")
        wanted_name = ""
    else:
        wanted_name = wanted
        for port in ports:
            if wanted.isdigit() and port["port"] == int(wanted):
                return port.get("name", "")
    for port in ports:
        if port.get("name", "") == wanted_name:
            return wanted_name
    name = service["metadata"]["name"]
    raise errors.unavailable(f'no service port "{wanted}" found for service "{name}"')


async def _connect(host: str, port: int) -> Streams:
    try:
        return await asyncio.open_connection(host, port)
    except OSError as error:
        raise errors.unavailable(f"error trying to reach service: {error}") from None


async def _over_tls(writer: asyncio.StreamWriter) -> asyncio.StreamWriter:
    """Backends have certificates of their own making: nothing is checked, as in Kubernetes' proxy."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        await writer.start_tls(context)
    except (OSError, ssl.SSLError) as error:
        raise errors.unavailable(f"error trying to reach service: {error}") from None
    return writer


def _rest(x: Exchange) -> str:
    """The path behind `/proxy`, still escaped, with its leading slash."""
    parts = x.http.path.split("/")
    # "", "api", "v1", ["namespaces", ns,] resource, name, "proxy", rest ...
    at = 7 if parts[3:4] == ["namespaces"] else 5
    return "/" + "/".join(parts[at + 1 :])


def _prefix(x: Exchange) -> str:
    parts = x.http.path.split("/")
    at = 7 if parts[3:4] == ["namespaces"] else 5
    return "/".join(parts[: at + 1])


def _upgrade_of(x: Exchange) -> str:
    headers = x.http.headers
    return headers.get("upgrade", "") if "upgrade" in headers.get("connection", "").lower() else ""


def _request_head(x: Exchange, upgrade: str) -> bytes:
    http = x.http
    target = _rest(x) + (f"?{http.raw_query}" if http.raw_query else "")
    lines = [f"{http.method} {target} HTTP/1.1", f"Host: {http.headers.get('host', 'localhost')}"]
    named = {part.strip().lower() for part in http.headers.get("connection", "").split(",")}
    for name, value in http.raw_headers:
        if name not in HOP_BY_HOP and name not in PRIVATE and name not in named:
            lines.append(f"{name}: {value}")
    if http.body or http.method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(http.body)}")
    lines.append(f"x-forwarded-uri: {http.path}")
    if upgrade:
        lines += ["connection: Upgrade", f"upgrade: {upgrade}"]
    else:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


class _Answer:
    """A response under way: head first, then pieces of the body."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self.code = 0
        self.headers: list[tuple[str, str]] = []
        self.tail = b""
        self._head_done = self._done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.code = self._parser.get_status_code()
        if self.code == 100:
            self.headers.clear()
        else:
            self._head_done = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._done = self._head_done

    async def head(self) -> None:
        """Raises OSError, HttpParserError."""
        while not self._head_done:
            await self._more()

    async def _more(self) -> None:
        data = await self._reader.read(READ_BYTES)
        if not data:
            if not self._head_done:
                raise ConnectionResetError("the connection was closed without an answer")
            self._done = True
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._done = True
            self.tail = data[upgrade.args[0] :]

    async def pieces(self) -> Any:
        while True:
            while self._pieces:
                yield self._pieces.pop(0)
            if self._done:
                return
            await self._more()


async def _hand_on(x: Exchange, answer: _Answer) -> None:
    x.code = answer.code
    headers = [
        (name, _location(x, value) if name.lower() == "location" else value)
        for name, value in answer.headers
        if name.lower() not in HOP_BY_HOP and name.lower() != "content-length"
    ]
    if x.http.method == "HEAD" or answer.code in (204, 304):
        x.http.respond(answer.code, headers, b"")
        return
    stream: Stream = x.http.stream(answer.code, headers)
    try:
        async for piece in answer.pieces():
            stream.write(piece)
            await stream.drain()
    except (OSError, httptools.HttpParserError):
        stream.abort()
        return
    stream.finish()


def _location(x: Exchange, value: str) -> str:
    """A redirect within the backend stays within the proxy."""
    parts = urlsplit(value)
    own = x.http.headers.get("host", "")
    if parts.netloc and parts.netloc != own:
        return value
    path = parts.path or "/"
    if not path.startswith("/"):
        return value
    return _prefix(x) + path + (f"?{parts.query}" if parts.query else "")


class _Pipe(asyncio.Protocol):
    """From an upgraded client connection into the backend."""

    def __init__(self, writer: asyncio.StreamWriter, transport: asyncio.Transport) -> None:
        self._writer, self._transport = writer, transport
        self.ended = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > 4 * READ_BYTES:
            self._transport.pause_reading()
            asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        if self._writer.can_write_eof():
            self._writer.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()


async def _copy(reader: asyncio.StreamReader, transport: asyncio.Transport, pipe: _Pipe) -> None:
    while data := await reader.read(READ_BYTES):
        transport.write(data)
        await pipe.writable.wait()
