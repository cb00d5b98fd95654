"""A WebSocket over a connection that the HTTP server hands over; the framing is `websockets`' sans-io protocol.

Bounds: MESSAGES_MAX messages wait for their reader, then the socket is no longer read; a sender waits while the
client is slow.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from knarr.apiserver.http import HTTPRequest
from knarr.meta import errors

MESSAGES_MAX = 64
MESSAGE_BYTES_MAX = 32 << 20
WRITE_BYTES_MAX = 256 * 1024
#: from RFC 6455
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: how long a clean end may wait for the client's own close frame
CLOSE_SECONDS = 2.0


class Message(NamedTuple):
    data: bytes
    text: bool


def wanted(http: HTTPRequest) -> bool:
    """Whether the client asks for a WebSocket."""
    headers = http.headers
    return (
        headers.get("upgrade", "").lower() == "websocket"
        and "upgrade" in headers.get("connection", "").lower()
    )


def offered(http: HTTPRequest) -> list[str]:
    """The subprotocols the client knows, without the one that carries its token."""
    header = http.headers.get("sec-websocket-protocol", "")
    every = [part.strip() for part in header.split(",") if part.strip()]
    return [name for name in every if not name.startswith("base64url.bearer.authorization.k8s.io.")]


def select(http: HTTPRequest, supported: Sequence[str]) -> str:
    """The first of the client's subprotocols that we know; "" where it names none and that will do. Raises 400."""
    names = offered(http)
    if not names and "" in supported:
        return ""
    for name in names:
        if name in supported:
            return name
    known = " ".join(name for name in supported if name)
    raise errors.bad_request(
        f"requested protocol(s) are not supported: [{' '.join(names)}]; supports [{known}]"
    )


def accept(http: HTTPRequest, supported: Sequence[str]) -> WebSocket:
    """Answer the handshake. Raises 400 for a bad one."""
    protocol = select(http, supported)
    key = http.headers.get("sec-websocket-key", "")
    if not key or http.headers.get("sec-websocket-version") != "13":
        raise errors.bad_request("websocket: bad handshake")
    digest = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", digest)]
    if protocol:
        headers.append(("Sec-WebSocket-Protocol", protocol))
    transport, _, become = http.upgrade(headers)
    socket = WebSocket(transport, protocol)
    become(socket)
    return socket


class WebSocket(asyncio.Protocol):
    """Messages both ways. `protocol` is the subprotocol that was agreed on."""

    def __init__(self, transport: asyncio.Transport, protocol: str) -> None:
        from websockets.protocol import Protocol, Side, State

        self.protocol = protocol
        self._transport = transport
        self._frames = Protocol(Side.SERVER, state=State.OPEN, max_size=MESSAGE_BYTES_MAX)
        self._messages: deque[Message] = deque()
        self._parts: list[bytes] = []
        self._text = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()
        self._ignoring = False
        self._ended: Callable[[], None] | None = None
        transport.set_write_buffer_limits(WRITE_BYTES_MAX)

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    async def receive(self) -> Message | None:
        """The next message; None when the client has closed or gone."""
        while not self._messages:
            if self.closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        if len(self._messages) == MESSAGES_MAX - 1:
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()
        return message

    def ignore(self, ended: Callable[[], None]) -> None:
        """Whatever the client says from now on is dropped; `ended` is called when it goes."""
        self._ignoring, self._ended = True, ended
        if self.closed:
            ended()

    @property
    def unsent(self) -> int:
        """Bytes written but not yet taken by the kernel."""
        return self._transport.get_write_buffer_size()

    async def send(self, data: bytes, text: bool = False) -> None:
        """Waits while the client is slow. Raises ConnectionError when it is gone."""
        if self.closed:
            raise ConnectionResetError("client hung up")
        self.post(data, text)
        await self.drain()

    def post(self, data: bytes, text: bool = False) -> None:
        """Without waiting: the caller minds `unsent`."""
        if not self.closed:
            (self._frames.send_text if text else self._frames.send_binary)(data)
            self._flush()

    async def drain(self) -> None:
        """Wait while the client is slow. Raises ConnectionError when it goes meanwhile."""
        if not self._writable.is_set():
            await self._writable.wait()
            if self.closed:
                raise ConnectionResetError("client hung up")

    def hang_up(self) -> None:
        """Say good-bye and end without waiting for the answer."""
        if not self.closed:
            with contextlib.suppress(Exception):
                self._frames.send_close(1000, "")
                self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye, wait a little for the answer, end the connection."""
        if not self.closed:
            with contextlib.suppress(Exception):
                self._frames.send_close(code, reason)
                self._flush()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._closed.wait()
        self._transport.close()

    # -- the transport's side -----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._frames.receive_data(data)
        for event in self._frames.events_received():
            self._frame(event)
        self._flush()
        if self._frames.close_expected():
            self._end()

    def _frame(self, event: Any) -> None:
        from websockets.frames import Opcode

        if event.opcode is Opcode.CLOSE:
            self._end()
            return
        if event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if event.opcode is not Opcode.CONT:
            self._text = event.opcode is Opcode.TEXT
            self._parts = []
        self._parts.append(bytes(event.data))
        if event.fin and self._ignoring:
            self._parts = []
        elif event.fin:
            self._messages.append(Message(b"".join(self._parts), self._text))
            self._parts = []
            self._arrived.set()
            if len(self._messages) >= MESSAGES_MAX:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._frames.receive_eof()
        self._end()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _end(self) -> None:
        self._closed.set()
        self._arrived.set()
        self._writable.set()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def _flush(self) -> None:
        for data in self._frames.data_to_send():
            if data:
                self._transport.write(data)
