"""SPDY/3.1 as far as kubectl uses it: streams with headers, data both ways, half-closes, resets and pings.

`Connection` is fed bytes and gives bytes to a writer; it knows no socket, so that it serves an upgraded connection and
the tunnel inside a WebSocket alike. There are no flow-control windows: neither side of Kubernetes' client and server
opens any, they rely on TCP. Bound: when BUFFERED_BYTES_MAX lie unread in all streams together, `full` says so and the
owner stops reading until `drained` is called back.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator

from knarr.apiserver.streaming.spdydictionary import DICTIONARY

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
VERSION = 3
BUFFERED_BYTES_MAX = 4 << 20
#: a frame's length has 24 bits; what we send is cut to this
FRAME_BYTES_MAX = 64 * 1024
HEADER_BYTES_MAX = 64 * 1024
REFUSED_STREAM = 3


class ProtocolError(Exception):
    """The peer does not speak SPDY/3.1."""


class Stream:
    """One stream that the client opened."""

    def __init__(self, connection: Connection, id_: int, headers: dict[str, str]) -> None:
        self.id, self.headers = id_, headers
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._closed = False
        #: the client reset it, or is gone
        self.reset_by_peer = False

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        while not self._pieces:
            if self._ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        piece = self._pieces.popleft()
        self._connection.consumed(len(piece))
        return piece

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError when the client is gone or has reset the stream."""
        if self.reset_by_peer or self._connection.closed:
            raise ConnectionResetError("stream closed")
        if not self._closed:
            await self._connection.send_data(self.id, data, 0)

    async def close(self) -> None:
        """We send nothing more."""
        if not self._closed and not self._connection.closed:
            self._closed = True
            if not self.reset_by_peer:
                await self._connection.send_data(self.id, b"", FIN)

    def reset(self) -> None:
        """Neither side has anything more to say."""
        self._closed = True
        self._connection.forget(self)
        self.end()

    # -- the connection's side ------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)
        self._arrived.set()

    def end(self, reset: bool = False) -> None:
        self._ended = True
        self.reset_by_peer = self.reset_by_peer or reset
        self._arrived.set()


class Connection:
    """`write(data)` sends to the client and may wait; `opened(stream)` is called for each new stream."""

    def __init__(self, write: Callable[[bytes], object], opened: Callable[[Stream], None]) -> None:
        self._write, self._opened = write, opened
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._streams: dict[int, Stream] = {}
        self._buffered = 0
        self._out: asyncio.Lock = asyncio.Lock()
        self.closed = False
        #: called when there is room again
        self.drained: Callable[[], None] = lambda: None
        #: waits while the client is slow
        self.drain: Callable[[], object] | None = None

    # -- reading ----------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        return self._buffered >= BUFFERED_BYTES_MAX

    def consumed(self, count: int) -> None:
        was_full = self.full
        self._buffered -= count
        if was_full and not self.full:
            self.drained()

    def feed(self, data: bytes) -> None:
        """Raises ProtocolError."""
        self._buffer += data
        for first, second, payload in self._frames():
            if first & 0x80000000:
                self._control(first, second >> 24, payload)
            else:
                self._data(first, second >> 24, payload)

    def _frames(self) -> Iterator[tuple[int, int, bytes]]:
        buffer = self._buffer
        at = 0
        while len(buffer) - at >= 8:
            first, second = struct.unpack_from(">II", buffer, at)
            size = second & 0xFFFFFF
            if len(buffer) - at - 8 < size:
                break
            payload = bytes(buffer[at + 8 : at + 8 + size])
            at += 8 + size
            yield first, second, payload
        del buffer[:at]

    def _data(self, id_: int, flags: int, payload: bytes) -> None:
        stream = self._streams.get(id_)
        if stream is None:
            return
        if payload:
            self._buffered += len(payload)
            stream.feed(payload)
        if flags & FIN:
            stream.end()

    def _control(self, first: int, flags: int, payload: bytes) -> None:
        if (first >> 16) & 0x7FFF != VERSION:
            raise ProtocolError("only SPDY version 3 is spoken here")
        kind = first & 0xFFFF
        if kind == SYN_STREAM:
            self._syn(flags, payload)
        elif kind == RST_STREAM and len(payload) >= 4:
            stream = self._streams.pop(struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF, None)
            if stream is not None:
                stream.end(reset=True)
        elif kind == PING and len(payload) >= 4:
            self._send(struct.pack(">II", 0x80030000 | PING, 4) + payload[:4])
        elif kind == HEADERS and len(payload) >= 4:
            # nothing here uses them, but the compression's state must go on
            self._headers(payload[4:])

    def _syn(self, flags: int, payload: bytes) -> None:
        if len(payload) < 10:
            raise ProtocolError("short SYN_STREAM")
        id_ = struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF
        stream = self._streams[id_] = Stream(self, id_, self._headers(payload[10:]))
        if flags & FIN:
            stream.end()
        self._opened(stream)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._inflate.decompress(block, HEADER_BYTES_MAX)
        except zlib.error as error:
            raise ProtocolError(f"headers: {error}") from None
        if self._inflate.unconsumed_tail:
            raise ProtocolError("headers too large")
        try:
            return dict(_pairs(raw))
        except (struct.error, UnicodeDecodeError, IndexError) as error:
            raise ProtocolError(f"headers: {error}") from None

    # -- writing ----------------------------------------------------------------------------------------------

    def accept(self, stream: Stream, headers: dict[str, str] | None = None) -> None:
        """Answer a new stream."""
        block = self._block(headers or {})
        size = 4 + len(block)
        self._send(struct.pack(">III", 0x80030000 | SYN_REPLY, size, stream.id) + block)

    def refuse(self, stream: Stream) -> None:
        self._streams.pop(stream.id, None)
        self._send(struct.pack(">IIII", 0x80030000 | RST_STREAM, 8, stream.id, REFUSED_STREAM))

    async def send_data(self, id_: int, data: bytes, flags: int) -> None:
        # one writer at a time: a frame is never cut by another
        async with self._out:
            for at in range(0, max(len(data), 1), FRAME_BYTES_MAX):
                piece = data[at : at + FRAME_BYTES_MAX]
                self._send(struct.pack(">II", id_, flags << 24 | len(piece)) + piece)
                if self.drain is not None:
                    await self.drain()  # type: ignore[misc]

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream.id, None)

    def lost(self) -> None:
        """The client is gone."""
        self.closed = True
        for stream in list(self._streams.values()):
            stream.end(reset=True)

    def _block(self, headers: dict[str, str]) -> bytes:
        raw = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                raw += struct.pack(">I", len(text)) + text
        return self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def _send(self, data: bytes) -> None:
        if not self.closed:
            self._write(data)


def _pairs(raw: bytes) -> Iterator[tuple[str, str]]:
    count = struct.unpack_from(">I", raw)[0]
    at = 4
    for _ in range(count):
        texts = []
        for _ in range(2):
            size = struct.unpack_from(">I", raw, at)[0]
            at += 4
            if at + size > len(raw):
                raise IndexError("truncated")
            texts.append(raw[at : at + size].decode())
            at += size
        yield texts[0].lower(), texts[1]


class Transport(asyncio.Protocol):
    """A Connection over an upgraded socket."""

    def __init__(self, transport: asyncio.Transport, opened: Callable[[Stream], None]) -> None:
        self._transport = transport
        self._writable = asyncio.Event()
        self._writable.set()
        self.ended = asyncio.Event()
        self.connection = Connection(transport.write, opened)
        self.connection.drained = self._resume
        self.connection.drain = self._writable.wait
        transport.set_write_buffer_limits(256 * 1024)

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        try:
            self.connection.feed(data)
        except ProtocolError:
            self._transport.close()
            return
        if self.connection.full:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.connection.lost()
        self._writable.set()
        self.ended.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def close(self) -> None:
        """After everything written has gone out."""
        self._transport.close()
