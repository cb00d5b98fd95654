"""SPDY/3.1 frames: against recorded bytes, with a client of our own, and with rubbish."""

from __future__ import annotations

import asyncio
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apiserver.streaming.spdy import Connection, ProtocolError, Stream
from knarr.apiserver.streaming.spdydictionary import DICTIONARY


class Client:
    """The other side, as simple as can be."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def syn(self, id_: int, headers: dict[str, str], fin: bool = False) -> bytes:
        raw = struct.pack(">I", len(headers))
        for pair in headers.items():
            for text in pair:
                raw += struct.pack(">I", len(text)) + text.encode()
        block = self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        body = struct.pack(">IIBB", id_, 0, 0, 0) + block
        return struct.pack(">II", 0x80030001, int(fin) << 24 | len(body)) + body

    @staticmethod
    def data(id_: int, payload: bytes, fin: bool = False) -> bytes:
        return struct.pack(">II", id_, int(fin) << 24 | len(payload)) + payload

    def parse(self, sent: bytes) -> list[tuple[str, int, Any]]:
        """(kind, stream, what) of everything the server sent."""
        seen: list[tuple[str, int, Any]] = []
        while sent:
            first, second = struct.unpack_from(">II", sent)
            size = second & 0xFFFFFF
            payload, sent = sent[8 : 8 + size], sent[8 + size :]
            if not first & 0x80000000:
                seen.append(("fin" if second >> 24 else "data", first, payload))
                continue
            kind, id_ = first & 0xFFFF, struct.unpack_from(">I", payload)[0]
            if kind == 2:
                seen.append(("reply", id_, self._inflate.decompress(payload[4:])))
            else:
                seen.append(({3: "reset", 6: "ping", 7: "away"}[kind], id_, payload[4:]))
        return seen


class Wire:
    """A connection whose output is kept."""

    def __init__(self) -> None:
        self.sent = b""
        self.streams: list[Stream] = []
        self.client = Client()
        self.connection = Connection(self._write, self._opened)

    def _write(self, data: bytes) -> None:
        self.sent += data

    def _opened(self, stream: Stream) -> None:
        self.streams.append(stream)
        self.connection.accept(stream)

    def take(self) -> list[tuple[str, int, Any]]:
        seen, self.sent = self.client.parse(self.sent), b""
        return seen


def test_the_dictionary_is_the_protocols() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_streams_data_and_ends() -> None:
    async def main() -> None:
        wire = Wire()
        client = wire.client
        wire.connection.feed(client.syn(1, {"streamtype": "stdin", "Port": "80"}))
        wire.connection.feed(client.syn(3, {"streamtype": "stdout"}, fin=True))
        assert [s.headers for s in wire.streams] == [
            {"streamtype": "stdin", "port": "80"},
            {"streamtype": "stdout"},
        ]
        wire.connection.feed(client.data(1, b"hello") + client.data(1, b"", fin=True))
        stdin, stdout = wire.streams
        assert [await stdin.read(), await stdin.read(), await stdout.read()] == [b"hello", b"", b""]
        await stdout.write(b"x" * 100_000)
        await stdout.close()
        replies = wire.take()
        assert [kind for kind, _, _ in replies] == ["reply", "reply", "data", "data", "fin"]
        assert b"".join(data for kind, _, data in replies if kind == "data") == b"x" * 100_000
        await stdout.close()
        assert wire.sent == b""

    asyncio.run(main())


def test_pings_are_answered_and_resets_end_both_ways() -> None:
    async def main() -> None:
        wire = Wire()
        wire.connection.feed(struct.pack(">III", 0x80030006, 4, 77))
        assert wire.take() == [("ping", 77, b"")]
        wire.connection.feed(wire.client.syn(1, {"streamtype": "data"}))
        (stream,) = wire.streams
        wire.connection.feed(struct.pack(">IIII", 0x80030003, 8, 1, 5))
        assert await stream.read() == b""
        with pytest.raises(ConnectionError):
            await stream.write(b"x")

    asyncio.run(main())


def test_a_lost_connection_wakes_every_reader() -> None:
    async def main() -> None:
        wire = Wire()
        wire.connection.feed(wire.client.syn(1, {"streamtype": "data"}))
        reading = asyncio.ensure_future(wire.streams[0].read())
        await asyncio.sleep(0)
        wire.connection.lost()
        assert await reading == b""

    asyncio.run(main())


def test_unread_data_is_bounded() -> None:
    async def main() -> None:
        wire = Wire()
        drained: list[bool] = []
        wire.connection.drained = lambda: drained.append(True)
        wire.connection.feed(wire.client.syn(1, {"streamtype": "data"}))
        for _ in range(64):
            assert not wire.connection.full
            wire.connection.feed(wire.client.data(1, b"x" * 65536))
        assert wire.connection.full
        await wire.streams[0].read()
        assert drained == [True] and not wire.connection.full

    asyncio.run(main())


@given(st.lists(st.integers(1, 40), max_size=30))
def test_frames_may_come_in_any_pieces(cuts: list[int]) -> None:
    async def main() -> None:
        wire = Wire()
        client = wire.client
        data = client.syn(1, {"streamtype": "error"}) + client.data(1, b"abc") + client.syn(3, {"a": "b"})
        data += client.data(3, b"", fin=True)
        for cut in cuts:
            wire.connection.feed(data[:cut])
            data = data[cut:]
        wire.connection.feed(data)
        assert [s.headers for s in wire.streams] == [{"streamtype": "error"}, {"a": "b"}]
        assert await wire.streams[0].read() == b"abc"
        assert await wire.streams[1].read() == b""

    asyncio.run(main())


@given(st.binary(max_size=200))
def test_rubbish_is_refused_or_ignored(data: bytes) -> None:
    async def main() -> None:
        wire = Wire()
        try:
            wire.connection.feed(data)
        except ProtocolError:
            return
        assert all(isinstance(s, Stream) for s in wire.streams)

    asyncio.run(main())


def test_headers_that_unpack_to_much_are_refused() -> None:
    wire = Wire()
    with pytest.raises(ProtocolError, match="too large"):
        wire.connection.feed(Client().syn(1, {"a": "x" * 1_000_000}))
