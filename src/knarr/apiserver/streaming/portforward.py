"""pods/portforward: SPDY/3.1 on an upgraded connection, SPDY/3.1 inside a WebSocket (kubectl 1.30 and later), and
plain WebSocket channels, two for each port, as the Python client has it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

from knarr.api.nodeapi import NodeAPI, NodeConnections, NodeError
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.streaming import connect, pods, spdy, websocket
from knarr.apiserver.streaming.remotecommand import SPDY_UPGRADE, may_upgrade, select_spdy
from knarr.meta import errors
from knarr.registry.registry import Registry

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"{SPDY_UPGRADE}+{PROTOCOL}"
CHANNELS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
READ_BYTES = 64 * 1024
#: connections of one client at a time
PAIRS_MAX = 512


class PortForwards:
    """Serves GET and POST of pods/portforward."""

    def __init__(self, handler: APIHandler, registry: Registry, connections: NodeConnections) -> None:
        self._handler, self._registry, self._connections = handler, registry, connections

    async def serve(self, x: Exchange) -> None:
        request = x.request
        await may_upgrade(self._handler, x)
        await connect.admit(self._registry, x, "PodPortForwardOptions", connect.port_forward(x))
        pod = pods.find(self._registry, "pods", request.namespace, request.name)
        node = pods.node_of(pod)
        api = pods.connection(self._registry, self._connections, node)
        target = Target(api, request.namespace, request.name, pod["metadata"].get("uid", ""))
        await run(x, target, self._handler.stop)


async def run(x: Exchange, target: Target, stop: asyncio.Event) -> None:
    """One client's connections, until it goes. Raises 400 for a request that is no upgrade."""
    if x.http.headers.get("upgrade", "").lower() == SPDY_UPGRADE.lower():
        session: Any = _Upgraded(x, target)
    elif websocket.wanted(x.http) and TUNNEL in websocket.offered(x.http):
        session = _Tunnelled(x, target)
    elif websocket.wanted(x.http):
        session = _Channels(x, target)
    else:
        raise errors.bad_request("Upgrade request required")
    x.code = 101
    await session.run(stop)


class Target:
    """The pod that connections go to."""

    def __init__(self, api: NodeAPI, namespace: str, name: str, uid: str) -> None:
        self._api, self._namespace, self._name, self._uid = api, namespace, name, uid

    async def dial(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises NodeError or OSError."""
        return await self._api.dial(self._namespace, self._name, port)

    def explain(self, port: int, error: Exception) -> bytes:
        return f"error forwarding port {port} to pod {self._name}, uid : {error}".encode()


class Pairs:
    """The streams of a SPDY connection: an error and a data stream for each connection to a port."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._half: dict[str, dict[str, spdy.Stream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.connection: spdy.Connection | None = None

    def opened(self, stream: spdy.Stream) -> None:
        connection = self.connection
        assert connection is not None
        kind, request = stream.headers.get("streamtype", ""), stream.headers.get("requestid", "")
        port = stream.headers.get("port", "")
        if kind not in ("error", "data") or not port.isdigit() or len(self._tasks) >= PAIRS_MAX:
            connection.refuse(stream)
            return
        connection.accept(stream)
        # old clients send no request id: their streams come in pairs, error first
        key = request or port
        pair = self._half.setdefault(key, {})
        pair[kind] = stream
        if len(pair) == 2:
            del self._half[key]
            task = asyncio.get_running_loop().create_task(
                self._forward(int(port), pair["data"], pair["error"])
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, port: int, data: spdy.Stream, error: spdy.Stream) -> None:
        try:
            try:
                reader, writer = await self._target.dial(port)
            except (NodeError, OSError) as why:
                await error.write(self._target.explain(port, why))
                return
            await splice(data, reader, writer)
        except ConnectionError:
            pass
        finally:
            with contextlib.suppress(ConnectionError):
                await data.close()
                await error.close()
            data.reset()
            error.reset()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def splice(stream: spdy.Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both ways until the pod has closed its side, or the client is gone."""

    async def inward() -> None:
        while data := await stream.read():
            writer.write(data)
            await writer.drain()
        if stream.reset_by_peer:
            raise ConnectionResetError("client hung up")
        if writer.can_write_eof():
            writer.write_eof()

    async def outward() -> None:
        while data := await reader.read(READ_BYTES):
            await stream.write(data)

    feeding = asyncio.ensure_future(inward())
    reading = asyncio.ensure_future(outward())
    try:
        # the client may close its side and still wait for the answer
        await asyncio.wait((feeding, reading), return_when=asyncio.FIRST_COMPLETED)
        if reading.done() or feeding.exception() is None:
            await reading
    finally:
        for task in (feeding, reading):
            task.cancel()
        await asyncio.gather(feeding, reading, return_exceptions=True)
        writer.close()


class _Upgraded:
    """SPDY on the connection itself."""

    def __init__(self, x: Exchange, target: Target) -> None:
        self._pairs = Pairs(target)
        protocol = select_spdy(x, (PROTOCOL,))
        transport, _, become = x.http.upgrade(
            [("Connection", "Upgrade"), ("Upgrade", SPDY_UPGRADE), ("X-Stream-Protocol-Version", protocol)]
        )
        self._transport = spdy.Transport(transport, self._pairs.opened)
        self._pairs.connection = self._transport.connection
        become(self._transport)

    async def run(self, stop: asyncio.Event) -> None:
        await _first(self._transport.ended.wait(), stop.wait())
        await self._pairs.stop()
        self._transport.close()


class _Tunnelled:
    """SPDY frames as binary messages."""

    def __init__(self, x: Exchange, target: Target) -> None:
        self._pairs = Pairs(target)
        self._socket = websocket.accept(x.http, (TUNNEL,))
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._sent = asyncio.Event()
        connection = spdy.Connection(self._out.put_nowait, self._pairs.opened)
        connection.drain = self._drain
        self._pairs.connection = self._connection = connection
        self._room = asyncio.Event()
        self._room.set()
        connection.drained = self._room.set

    async def _drain(self) -> None:
        """Until the sender has caught up."""
        while self._out.qsize() > 16 and not self._connection.closed:
            self._sent.clear()
            await self._sent.wait()

    async def run(self, stop: asyncio.Event) -> None:
        sender = asyncio.get_running_loop().create_task(self._send())
        try:
            await _first(self._read(), stop.wait())
        finally:
            self._connection.lost()
            self._sent.set()
            await self._pairs.stop()
            sender.cancel()
            await self._socket.close()

    async def _read(self) -> None:
        while (message := await self._socket.receive()) is not None:
            try:
                self._connection.feed(message.data)
            except spdy.ProtocolError:
                return
            if self._connection.full:
                self._room.clear()
                await self._room.wait()

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self._socket.send(await self._out.get())
                self._sent.set()
        self._connection.lost()
        self._sent.set()


class _Channels:
    """Channels 2n and 2n+1 are data and errors of the n-th `ports` parameter; each begins with the port, two bytes,
    little end first."""

    def __init__(self, x: Exchange, target: Target) -> None:
        self._target = target
        self._ports = [_port(text) for value in x.http.query_all("ports") for text in value.split(",")]
        if not self._ports:
            raise errors.bad_request('query parameter "ports" is required')
        self._socket = websocket.accept(x.http, (*CHANNELS, PROTOCOL, ""))
        self._base64 = "base64" in self._socket.protocol
        self._writers: dict[int, asyncio.StreamWriter] = {}

    async def run(self, stop: asyncio.Event) -> None:
        tasks: list[asyncio.Task[None]] = []
        try:
            for index, port in enumerate(self._ports):
                for channel in (2 * index, 2 * index + 1):
                    await self._send(channel, port.to_bytes(2, "little"))
            loop = asyncio.get_running_loop()
            ready = [loop.create_future() for _ in self._ports]
            tasks = [loop.create_task(self._port(i, p, ready[i])) for i, p in enumerate(self._ports)]
            await asyncio.wait(ready)
            await _first(self._read(), stop.wait(), asyncio.gather(*tasks))
        except ConnectionError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._socket.close()

    async def _send(self, channel: int, data: bytes) -> None:
        if self._base64:
            await self._socket.send(b"%d" % channel + base64.b64encode(data), text=True)
        else:
            await self._socket.send(bytes((channel,)) + data)

    async def _port(self, index: int, port: int, ready: asyncio.Future[None]) -> None:
        try:
            reader, writer = await self._target.dial(port)
        except (NodeError, OSError) as why:
            ready.set_result(None)
            await self._send(2 * index + 1, self._target.explain(port, why))
            return
        self._writers[2 * index] = writer
        ready.set_result(None)
        try:
            while data := await reader.read(READ_BYTES):
                await self._send(2 * index, data)
        except ConnectionError:
            pass
        finally:
            self._writers.pop(2 * index, None)
            writer.close()

    async def _read(self) -> None:
        while (message := await self._socket.receive()) is not None:
            if not message.data:
                continue
            data = message.data
            channel, payload = data[0], data[1:]
            if self._base64:
                channel, payload = int(data[:1]), base64.b64decode(data[1:])
            writer = self._writers.get(channel)
            if writer is not None and payload:
                writer.write(payload)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()


def _port(text: str) -> int:
    """Raises 400."""
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise errors.bad_request(f'unable to parse "{text}" as a port')
    return int(text)


async def _first(*waits: Any) -> None:
    """Until one of them is done; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
