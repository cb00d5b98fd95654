"""HTTP/1.1 over asyncio: httptools parses, one connection serves one request at a time, answers are written whole.

Written for what an API server needs and general servers lack: the TLS client certificate of the connection, watch
streams whose frames go straight to the transport, upgrades to a raw stream, and an import of milliseconds
(docs/decisions/0002-http.md has the measurements).

Buffers and their bounds: a request's head 1 MiB and body BODY_BYTES_MAX (413 beyond); a client that pipelines has
up to PIPELINED_MAX requests waiting here, the rest in its own socket; writes are unbounded for whole answers, and
streams say how much is unsent so that their writers can stop (Stream.unsent).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, unquote_plus

import httptools

log = logging.getLogger("knarr.http")

#: Go's: 1 MiB and what it reads ahead
HEAD_BYTES_MAX = (1 << 20) + 4096
BODY_BYTES_MAX = 3 * 1024 * 1024
HTTP_VERSIONS = ("1.0", "1.1")
#: requests of one connection that wait while one is served; then its socket is no longer read
PIPELINED_MAX = 16
#: an idle connection is closed after this
IDLE_SECONDS = 90.0
#: the head of a request must be whole by then
HEAD_SECONDS = 32.0
#: a large answer is written in parts of about this size
PART_BYTES = 256 * 1024
#: a request that has begun must be whole by then, however its bytes trickle
READ_SECONDS = 60.0
#: unsent bytes above which a writer that waits (logs, proxies) waits
HIGH_WATER_BYTES = 1 << 20

#: methods that are no reason for a parser to stop
KNOWN_METHODS = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE"}
)
#: whether a token can be a method
METHOD = re.compile(rb"[A-Z]{1,20}").fullmatch
#: a percent sign that begins no escape
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})").search
#: what proxies put before a path
AUTHORITY = re.compile(r"https?://[^/?]*", re.I)

Handler = Callable[["HTTPRequest"], Awaitable[None]]


@lru_cache(maxsize=1024)
def parse_query(text: str) -> tuple[tuple[str, str], ...]:
    """Query parameters in order, the first of each name winning as in the API server's conversion."""
    pairs: dict[str, str] = {}
    for name, value in query_pairs(text):
        pairs.setdefault(name, value)
    return tuple(pairs.items())


def query_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Every pair, decoded. As in Go, one with a semicolon or a broken escape is as good as not there."""
    for part in text.split("&"):
        if part and ";" not in part and not broken_escape(part):
            name, _, value = part.partition("=")
            yield unquote_plus(name), unquote_plus(value)


def broken_escape(text: str) -> bool:
    return "%" in text and BROKEN_ESCAPE(text) is not None


#: what a client is told of a fault of the server's own
PANIC = b"This request caused apiserver to panic. Look in the logs for details.\n"


class HTTPRequest:
    """One request and the way to answer it: exactly one of `respond`, `stream` or `upgrade`."""

    __slots__ = (
        "_connection",
        "answered",
        "body",
        "escaped_path",
        "headers",
        "keep_alive",
        "method",
        "on_answer",
        "path",
        "raw_headers",
        "raw_query",
        "task",
        "too_large",
    )

    def __init__(
        self,
        connection: Connection,
        method: str,
        path: str,
        raw_query: str,
        headers: dict[str, str],
        raw_headers: list[tuple[str, str]],
    ) -> None:
        self._connection = connection
        #: every header line, names in lower case; `headers` joins repeated ones
        self.raw_headers = raw_headers
        #: `path` as it was sent; what belongs where is decided by the path decoded, slashes included, as in Go
        self.escaped_path = path
        self.path = unquote(path) if "%" in path else path
        self.method, self.raw_query, self.headers = method, raw_query, headers
        self.body = b""
        self.keep_alive = True
        #: something of an answer was already written
        self.answered = False
        self.task: asyncio.Task[None] | None = None
        #: the body was larger than BODY_BYTES_MAX and is not here
        self.too_large = False
        #: told the code when the head of the answer is written (the audit log)
        self.on_answer: Callable[[int], None] | None = None

    @property
    def uri(self) -> str:
        """Path and query as they were sent."""
        return f"{self.escaped_path}?{self.raw_query}" if self.raw_query else self.escaped_path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_query(self.raw_query)) if self.raw_query else {}

    def query_all(self, name: str) -> list[str]:
        """Every value of a repeated parameter (exec's `command`)."""
        return [value for key, value in query_pairs(self.raw_query) if key == name]

    @property
    def peer_certificate(self) -> bytes | None:
        """The client's certificate in DER, None without one."""
        return self._connection.peer_certificate

    @property
    def remote(self) -> str:
        peer = self._connection.transport.get_extra_info("peername") if self._connection.transport else None
        return peer[0] if peer else ""

    def cut_off(self, code: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer in place of the handler, whose own answer nobody will see, and close. What was begun is broken off."""
        connection = self._connection
        if self.answered:
            if connection.transport is not None:
                connection.transport.abort()
            return
        self.keep_alive = False
        self.respond(code, headers, body)
        self.on_answer = None
        connection.hang_up()
        connection.transport = None

    def cancel_on_hang_up(self) -> None:
        """From now on the handler is cancelled when the client goes away. Writes to the store must not be."""
        self._connection.cancellable = True

    def respond(self, code: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """The whole answer."""
        self._begin(code)
        head = _head(code, headers, self.keep_alive)
        if self.method == "HEAD" or code in (204, 304):
            self._connection.write(head + b"content-length: %d\r\n\r\n" % len(body))
        else:
            self._connection.write_answer(head + b"content-length: %d\r\n\r\n" % len(body), body)

    def _begin(self, code: int) -> None:
        self.answered = True
        if self.on_answer is not None:
            self.on_answer(code)

    async def respond_pieces(
        self, code: int, headers: list[tuple[str, str]], pieces: list[bytes | memoryview]
    ) -> None:
        """A large answer, joined and sent a part at a time: memory stays small and the client reads meanwhile."""
        self._begin(code)
        size = sum(map(len, pieces))
        connection = self._connection
        connection.write(_head(code, headers, self.keep_alive) + b"content-length: %d\r\n\r\n" % size)
        part: list[bytes | memoryview] = []
        waiting = 0
        for piece in pieces:
            part.append(piece)
            waiting += len(piece)
            if waiting >= PART_BYTES:
                connection.write(b"".join(part))
                part, waiting = [], 0
                await connection.drain()
        connection.write(b"".join(part))

    def stream(self, code: int, headers: list[tuple[str, str]]) -> Stream:
        """Begin an answer whose length is unknown."""
        self._begin(code)
        self._connection.write(_head(code, headers, self.keep_alive) + b"transfer-encoding: chunked\r\n\r\n")
        return Stream(self._connection)

    def upgrade(
        self, headers: list[tuple[str, str]]
    ) -> tuple[asyncio.Transport, bytes, Callable[[asyncio.Protocol], None]]:
        """Answer 101 and hand over the connection: (transport, bytes already read, set_protocol)."""
        self._begin(101)
        connection = self._connection
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        connection.write(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode())
        return connection.hand_over()


class Stream:
    """A chunked answer under way."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._connection.transport

    @property
    def closed(self) -> bool:
        return self._connection.closed

    @property
    def unsent(self) -> int:
        """Bytes written but not yet taken by the kernel."""
        transport = self._connection.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        if data:
            self._connection.write(chunk(data))

    def write_framed(self, data: bytes) -> None:
        """Bytes that already are HTTP chunks (a watch event framed once for all watchers)."""
        self._connection.write(data)

    async def drain(self) -> None:
        """Wait while the client is slow."""
        await self._connection.drain()

    def finish(self) -> None:
        """A clean end: the client knows that nothing is missing."""
        self._connection.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """An unclean end for a client that does not read."""
        if self._connection.transport is not None:
            self._connection.transport.abort()


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(maxsize=256)
def _status_line(code: int) -> bytes:
    try:
        phrase = HTTPStatus(code).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {code} {phrase}\r\n".encode()


def _head(code: int, headers: list[tuple[str, str]], keep_alive: bool) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if not keep_alive:
        lines += "connection: close\r\n"
    # As Go writes them: warnings may be in any language.
    return _status_line(code) + lines.encode("utf-8", "replace")


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._parser: httptools.HttpRequestParser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.cancellable = False
        self.peer_certificate: bytes | None = None
        self._url = b""
        #: of the request being read, where the parser does not know it
        self._method = ""
        self._headers: dict[str, str] = {}
        self._raw_headers: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._too_large = False
        self._busy = False
        self._waiting: list[HTTPRequest] = []
        self._request: HTTPRequest | None = None
        self._upgraded = False
        #: a request asks for another protocol: what comes after it belongs to that, or waits for the answer
        self._upgrading = False
        self._tail = b""
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._idle: asyncio.TimerHandle | None = None
        #: a request has begun and is not whole; its time runs when it did not come in one piece
        self._reading = self._head_whole = False
        self._deadline: asyncio.TimerHandle | None = None
        self._closing = False
        #: what is no HTTP came while requests were being answered: the answer after theirs
        self._last_words = ""

    # -- the transport's side -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._connections.add(self)
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            self.peer_certificate = ssl_object.getpeercert(True)
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)  # type: ignore[attr-defined]
        self._rest()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self.transport = None
        self._connections.discard(self)
        self._can_write.set()
        for timer in (self._idle, self._deadline):
            if timer is not None:
                timer.cancel()
        request = self._request
        if self.cancellable and request is not None and request.task is not None:
            request.task.cancel()

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        if self._upgrading:
            self._tail += data
            if len(self._tail) > HIGH_WATER_BYTES and self.transport is not None:
                self.transport.pause_reading()
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError as error:
            self._unknown_method(data, str(error))
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrading = True
            self._tail += data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            # what a callback raised comes wrapped
            self._malformed(str(error.__context__ or error))
        if self._reading and self._deadline is None and self.transport is not None:
            seconds = READ_SECONDS if self._head_whole else HEAD_SECONDS
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.transport.abort)

    def _unknown_method(self, data: bytes, why: str) -> None:
        """A method the parser has not heard of, as the first thing of what came in: read as another, and named as
        sent. So its sender is told that the resource does not have it."""
        method, space, rest = data.partition(b" ")
        if not space or self._method or not METHOD(method) or method in KNOWN_METHODS:
            self._malformed(why)
            return
        self._method = method.decode()
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"POST " + rest)

    # -- the parser's side --------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url, self._headers, self._raw_headers, self._body = b"", {}, [], []
        self._head_bytes = self._body_bytes = 0
        self._too_large = self._head_whole = False
        self._reading = True

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._raw_headers.append((key, text))
        if key in self._headers:
            text = f"{self._headers[key]}, {text}"
        self._headers[key] = text

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            raise httptools.HttpParserError("request header too large")

    def on_headers_complete(self) -> None:
        if self._parser.get_http_version() not in HTTP_VERSIONS:
            raise httptools.HttpParserError("unsupported version")
        self._head_whole = True
        if self._deadline is not None:
            # The body has its own time.
            self._deadline.cancel()
            self._deadline = None
        if self._headers.get("expect", "").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > BODY_BYTES_MAX:
            self._too_large = True
            self._body.clear()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._reading = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        try:
            url = self._url.decode("ascii")
        except UnicodeDecodeError:
            url = self._url.decode("latin-1")
        if url[:1] != "/":
            url = AUTHORITY.sub("", url, count=1)
            url = url if url[:1] in ("/", "*") else f"/{url}"
        path, _, query = url.partition("?")
        if broken_escape(path):
            raise httptools.HttpParserError("invalid URL escape")
        method, self._method = self._method or self._parser.get_method().decode(), ""
        request = HTTPRequest(self, method, path, query, self._headers, self._raw_headers)
        request.keep_alive = self._parser.should_keep_alive() and not self._closing
        if self._too_large:
            # What is said of it is the API's affair: first of all, who sends it.
            request.too_large, request.keep_alive = True, False
        request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if self._busy:
            self._waiting.append(request)
            if len(self._waiting) >= PIPELINED_MAX and self.transport is not None:
                self.transport.pause_reading()
        else:
            self._serve(request)

    def _malformed(self, why: str) -> None:
        """What is no HTTP gets Go's terse answer and the connection closes."""
        if self.transport is None or self._upgraded:
            return
        text = "431 Request Header Fields Too Large" if "too large" in why else "400 Bad Request"
        if self._request is None:
            self._end_with(text)
        elif self._request.answered:
            self.hang_up()
        else:
            # What came before it gets its answers first.
            self._last_words = text
            self.transport.pause_reading()

    def _end_with(self, text: str) -> None:
        assert self.transport is not None
        body = text.encode()
        self.write(
            f"HTTP/1.1 {text}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self.hang_up()

    # -- serving ------------------------------------------------------------------------------------------

    def _serve(self, request: HTTPRequest) -> None:
        self._busy, self._request = True, request
        self.cancellable = False
        if self.transport is not None:
            # Reading goes on while it runs, so that a hang-up is seen.
            request.task = asyncio.get_running_loop().create_task(self._run(request))

    async def _run(self, request: HTTPRequest) -> None:
        try:
            await self._handler(request)
            if not request.answered and not self.closed:
                self._send_error(request, 500, None)
        except asyncio.CancelledError:
            request.keep_alive = False
        except Exception:
            log.exception("panic serving %s %s", request.method, request.path)
            request.keep_alive = False
            if not request.answered and not self.closed:
                self._send_error(request, 500, None)
        finally:
            self._done(request)

    def _send_error(self, request: HTTPRequest, code: int, status: dict[str, Any] | None) -> None:
        import orjson

        body = orjson.dumps(status) if status else PANIC
        kind = "application/json" if status else "text/plain; charset=utf-8"
        request.respond(code, [("content-type", kind)], body)
        if not request.keep_alive:
            self.hang_up()

    def _done(self, request: HTTPRequest) -> None:
        self._busy, self._request = False, None
        self.cancellable = False
        if self._upgraded or self.transport is None:
            return
        if self._upgrading and not self._waiting and request.keep_alive:
            self._stay()
        if not request.keep_alive or self._closing:
            self.hang_up()
        elif self._waiting:
            following = self._waiting.pop(0)
            if not self._last_words:
                self.transport.resume_reading()
            self._serve(following)
        elif self._last_words:
            self._end_with(self._last_words)
        else:
            self._rest()

    def _stay(self) -> None:
        """Nothing became of the other protocol: what came meanwhile are further requests of this one."""
        self._upgrading = False
        tail, self._tail = self._tail, b""
        self._parser = httptools.HttpRequestParser(self)
        if self.transport is not None:
            self.transport.resume_reading()
        if tail:
            self._busy = True
            self.data_received(tail)
            self._busy = False

    @property
    def at_work(self) -> bool:
        """A request is being answered, or its answer is not sent yet."""
        if self._busy or self.transport is None:
            return self._busy
        try:
            return self.transport.get_write_buffer_size() > 0
        except AttributeError:
            return False  # asyncio's TLS has lost its socket and will say so in a moment

    def _rest(self) -> None:
        """Nothing to do: close after a while."""
        if self._idle is None and self.transport is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(IDLE_SECONDS, self._close_idle)

    def hang_up(self) -> None:
        """Close, once: asyncio's TLS transport, closed again, cannot be aborted any more (before Python 3.11.4)."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def _close_idle(self) -> None:
        if not self._busy:
            self.hang_up()

    def shut(self) -> None:
        """Close as soon as what is being served is answered."""
        self._closing = True
        if not self._busy:
            self.hang_up()

    # -- writing ------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def write_answer(self, head: bytes, body: bytes) -> None:
        if self.transport is None:
            return
        if len(body) < 65536:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)

    async def drain(self) -> None:
        await self._can_write.wait()
        if self.closed:
            raise ConnectionResetError("client hung up")

    def hand_over(self) -> tuple[asyncio.Transport, bytes, Callable[[asyncio.Protocol], None]]:
        self._upgraded = True
        transport = self.transport
        if transport is None:
            raise ConnectionResetError("client hung up")
        transport.resume_reading()

        def become(protocol: asyncio.Protocol) -> None:
            transport.set_protocol(protocol)
            self._connections.discard(self)
            if self._tail:
                tail, self._tail = self._tail, b""
                protocol.data_received(tail)

        return transport, self._tail, become


class Listener:
    """A listening socket and the connections it made."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int, ssl_context: Any, backlog: int) -> int:
        """Bind and accept; gives the port. `::` is every address of either family. Raises OSError."""
        port = await self._bind(host, port, ssl_context, backlog)
        if host == "::":
            # asyncio keeps the two families apart
            await self._bind("0.0.0.0", port, ssl_context, backlog)
        return port

    async def _bind(self, host: str, port: int, ssl_context: Any, backlog: int) -> int:
        handler, connections = self._handler, self._connections
        times: dict[str, Any] = {"ssl_handshake_timeout": 20.0} if ssl_context is not None else {}
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(handler, connections),
            host,
            port,
            ssl=ssl_context,
            backlog=backlog,
            reuse_address=True,
            **times,
        )
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Close connections that rest, the others after their answer."""
        for connection in list(self._connections):
            connection.shut()

    def deaf(self) -> None:
        """Accept no more connections."""
        for server in self._servers:
            server.close()

    async def close(self, grace_seconds: float) -> None:
        """Stop accepting, let answers finish for `grace_seconds`, then cut."""
        self.deaf()
        for connection in list(self._connections):
            connection.shut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                # Not until they are gone: TLS waits for the other side to say good-bye, too, and some never do.
                while any(connection.at_work for connection in self._connections):
                    await asyncio.sleep(0.01)
        for connection in list(self._connections):
            if connection.transport is not None:
                connection.transport.abort()
