"""One request handed on to another HTTP server, and its answer handed back: bodies as they come, upgrades as tunnels.

Shared by the proxy subresources and by aggregation. Bytes are pumped with the slower side's speed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import httptools

from knarr.apiserver.exchange import Exchange
from knarr.apiserver.http import Stream
from knarr.apiserver.respond import NO_CACHE
from knarr.auth.authenticate import without_token
from knarr.egress import words
from knarr.meta import errors

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
PRIVATE = frozenset(
    {"authorization", "host", "content-length", "expect", "x-forwarded-for", "x-forwarded-uri"}
)
PROTOCOLS = "sec-websocket-protocol"
PRIVATE_PREFIXES = ("impersonate-", "x-remote-")
READ_BYTES = 64 * 1024
#: how long the head of an answer may take
HEAD_SECONDS = 60.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def unreachable(why: object) -> errors.StatusError:
    """503 in the words of the API server's proxy."""
    return errors.unavailable(f"error trying to reach service: {why}")


class NoAnswer(errors.StatusError):
    """The connection ended before there was an answer."""


def broken(error: Exception) -> str:
    """What ended a connection, in the words of Go's net/http."""
    if isinstance(error, httptools.HttpParserError):
        return f"net/http: HTTP/1.x transport connection broken: malformed HTTP response: {error}"
    return words.handshake(error) if isinstance(error, ssl.SSLError) else words.breaking(error)


def upgrade_of(x: Exchange) -> str:
    """The protocol that the client wants to change to; "" for none."""
    headers = x.http.headers
    return headers.get("upgrade", "") if "upgrade" in headers.get("connection", "").lower() else ""


def request_head(
    x: Exchange, target: str, more: Iterable[tuple[str, str]] = (), lasting: bool = False
) -> bytes:
    """The client's request as the backend gets it: at `target` (path and query), with `more` headers. A `lasting`
    connection may be used again."""
    http, upgrade = x.http, upgrade_of(x)
    lines = [f"{http.method} {target} HTTP/1.1", f"Host: {http.headers.get('host', 'localhost')}"]
    named = {part.strip().lower() for part in http.headers.get("connection", "").split(",")}
    for name, value in http.raw_headers:
        if (
            name not in HOP_BY_HOP
            and name not in PRIVATE
            and name not in named
            and not name.startswith(PRIVATE_PREFIXES)
        ):
            lines.append(f"{name}: {without_token(value) if name == PROTOCOLS else value}")
    lines += [f"{name}: {value}" for name, value in more]
    if http.body or http.method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(http.body)}")
    before = http.headers.get("x-forwarded-for")
    lines.append(f"x-forwarded-for: {before}, {http.remote}" if before else f"x-forwarded-for: {http.remote}")
    if upgrade:
        lines += ["connection: Upgrade", f"upgrade: {upgrade}"]
    else:
        lines.append(f"x-forwarded-uri: {http.escaped_path}")
        if not lasting:
            lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def forward(
    x: Exchange,
    streams: Streams,
    head: bytes,
    stop: asyncio.Event,
    location: Callable[[str], str] | None = None,
    upgraded: Callable[[], None] = lambda: None,
    keep: Callable[[Streams], None] | None = None,
) -> None:
    """Send the request over a connection and hand the answer on.

    `location` rewrites where redirects, and links in HTML, lead to. `upgraded` is called when the connection becomes
    something else than HTTP. It ends with the request, but where `keep` takes it for the next one. Raises 503 where no
    answer comes.
    """
    reader, writer = streams
    x.http.cancel_on_hang_up()
    answer = Answer(reader)
    try:
        writer.write(head + x.http.body)
        try:
            await writer.drain()
            async with asyncio.timeout(HEAD_SECONDS):
                await answer.head()
        except TimeoutError:
            raise unreachable("net/http: timeout awaiting response headers") from None
        except (OSError, EOFError, httptools.HttpParserError) as error:
            raise NoAnswer(unreachable(broken(error)).status) from None
        if upgrade_of(x) and answer.code == 101:
            upgraded()
            await _tunnel(x, answer, reader, writer, stop)
        elif upgrade_of(x) and answer.code < 400:
            raise errors.StatusError(
                errors.failure(500, "", f"invalid upgrade response: status code {answer.code}")
            )
        else:
            await _hand_on(x, answer, location)
    finally:
        if keep is not None and answer.reusable:
            keep(streams)
        else:
            writer.close()


async def over_tls(
    writer: asyncio.StreamWriter, context: ssl.SSLContext | None = None, server_name: str | None = None
) -> None:
    """Without a context nothing is checked: backends of the proxies have certificates of their own making."""
    if context is None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    await writer.start_tls(context, server_hostname=server_name)


async def _tunnel(x: Exchange, answer: Answer, reader: Any, writer: Any, stop: asyncio.Event) -> None:
    x.code = 101
    x.running()
    transport, _, become = x.http.upgrade(answer.headers)
    pipe = _Pipe(writer, transport)
    become(pipe)
    if answer.tail:
        transport.write(answer.tail)
    halt = asyncio.ensure_future(stop.wait())
    copy = asyncio.ensure_future(_copy(reader, transport, pipe))
    gone = asyncio.ensure_future(pipe.ended.wait())
    try:
        await asyncio.wait((copy, halt, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (halt, copy, gone):
            task.cancel()
        transport.close()


class Answer:
    """A response under way: head first, then pieces of the body."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self.code = 0
        self.headers: list[tuple[str, str]] = []
        self.tail = b""
        self._head_done = self._done = False
        #: it has come to its end, and another may follow on the same connection
        self.reusable = False

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
        self.reusable = self._done and self.code != 101 and self._parser.should_keep_alive()

    @property
    def length(self) -> int:
        """What Content-Length says; 0 where it says nothing."""
        value = next((value for name, value in self.headers if name.lower() == "content-length"), "")
        return int(value) if value.isdigit() else 0

    async def head(self) -> None:
        """Raises OSError, HttpParserError."""
        while not self._head_done:
            await self._more()

    async def _more(self) -> None:
        data = await self._reader.read(READ_BYTES)
        if not data:
            if not self._head_done:
                raise EOFError("EOF")
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


async def _hand_on(x: Exchange, answer: Answer, location: Callable[[str], str] | None) -> None:
    x.code = answer.code
    headers = [NO_CACHE, *x.headers] + [
        (name, location(value) if location is not None and name.lower() == "location" else value)
        for name, value in answer.headers
        if name.lower() not in HOP_BY_HOP and name.lower() != "content-length"
    ]
    if x.http.method == "HEAD" or answer.code in (204, 304):
        x.http.respond(answer.code, headers, _Unsent(answer.length))  # type: ignore[arg-type]
        return
    if location is not None and any("html" in value for _, value in answer.headers):
        from knarr.apiserver.streaming import htmllinks

        if htmllinks.is_html(answer.headers) and answer.length <= htmllinks.BYTES_MAX:
            await _hand_on_html(x, answer, headers, location)
            return
    if x.request.verb == "watch":
        x.running()
    stream: Stream = x.http.stream(answer.code, headers)
    try:
        async for piece in answer.pieces():
            stream.write(piece)
            await stream.drain()
    except (OSError, httptools.HttpParserError):
        stream.abort()
        return
    stream.finish()


async def _hand_on_html(
    x: Exchange, answer: Answer, headers: list[tuple[str, str]], rewrite: Callable[[str], str]
) -> None:
    from knarr.apiserver.streaming import htmllinks

    encoding = next((value for name, value in answer.headers if name.lower() == "content-encoding"), "")
    body = b""
    try:
        async for piece in answer.pieces():
            body += piece
            if len(body) > htmllinks.BYTES_MAX:
                raise unreachable("the document is too large to be rewritten")
        body = htmllinks.rewritten(body, encoding, rewrite)
    except (OSError, EOFError, zlib.error, httptools.HttpParserError) as error:
        raise unreachable(error) from None
    x.http.respond(answer.code, headers, body)


class _Unsent:
    """The body that an answer to HEAD is about."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


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
