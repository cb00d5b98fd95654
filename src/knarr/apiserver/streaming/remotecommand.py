"""pods/exec and pods/attach: over WebSocket (v5 to v1 and their base64 forms) and over SPDY/3.1.

A session pairs a client's streams with a Terminal that the node's kubelet writes to and reads from.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson

from knarr.api.nodeapi import Exit, NodeAPI, NodeConnections, NodeError, Terminal
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.streaming import connect, pods, spdy, websocket
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.registry.registry import Registry

log = logging.getLogger("knarr.apiserver")

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
#: WebSocket subprotocols, newest first
WEBSOCKET_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "v3.base64.channel.k8s.io",
    "v2.base64.channel.k8s.io",
    "base64.channel.k8s.io",
    "",
)
#: values of X-Stream-Protocol-Version, newest first
SPDY_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
SPDY_UPGRADE = "SPDY/3.1"
#: pieces of input that may wait for the process
STDIN_PIECES_MAX = 64
#: how long the client may take to open its SPDY streams
STREAMS_SECONDS = 30.0

Run = Callable[[Terminal], Awaitable[Exit]]
Object = dict[str, Any]


class RemoteCommands:
    """Serves GET and POST of pods/exec and pods/attach."""

    def __init__(self, handler: APIHandler, registry: Registry, connections: NodeConnections) -> None:
        self._handler, self._registry, self._connections = handler, registry, connections

    async def exec(self, x: Exchange) -> None:
        request = x.request
        options = await self._options(x, "PodExecOptions")
        command = options.get("command") or []

        def run(api: NodeAPI, container: str) -> Run:
            return lambda terminal: api.exec(request.namespace, request.name, container, command, terminal)

        if "command" in x.http.query and not command:
            raise errors.bad_request("you must specify at least 1 command for the container")
        await self._serve(x, options, run)

    async def attach(self, x: Exchange) -> None:
        request = x.request

        def run(api: NodeAPI, container: str) -> Run:
            return lambda terminal: api.attach(request.namespace, request.name, container, terminal)

        await self._serve(x, await self._options(x, "PodAttachOptions"), run)

    async def _options(self, x: Exchange, kind: str) -> Object:
        """What the client asks for, once it may and admission has seen it."""
        await may_upgrade(self._handler, x)
        asked = connect.remote_command(x, command=kind == "PodExecOptions")
        return await connect.admit(self._registry, x, kind, asked)

    async def _serve(self, x: Exchange, options: Object, run: Callable[[NodeAPI, str], Run]) -> None:
        request = x.request
        pod = pods.find(self._registry, "pods", request.namespace, request.name)
        container = pods.container_of(pod, options.get("container") or "")
        node = pods.node_of(pod)
        api = pods.connection(self._registry, self._connections, node)
        wants = Wants(**{name: bool(options.get(name)) for name in connect.STREAMS})
        if not (wants.stdin or wants.stdout or wants.stderr):
            raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        if x.http.headers.get("upgrade", "").lower() == SPDY_UPGRADE.lower():
            session: Any = SPDYSession(x, wants)
        elif websocket.wanted(x.http):
            session = WebSocketSession(x, wants)
        else:
            raise errors.bad_request("Upgrade request required")
        x.code = 101
        await session.run(run(api, container), self._handler.stop)


async def may_upgrade(handler: APIHandler, x: Exchange) -> None:
    """A WebSocket begins as a GET, yet it does what a POST does: `create` is needed as well. Raises 403."""
    if x.request.verb == "get" and websocket.wanted(x.http):
        await handler.authorizer.require(replace(x.request, verb="create"))


class Wants:
    """The streams a client asked for; with a tty there is no separate stderr."""

    def __init__(self, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> None:
        self.stdin, self.stdout, self.tty = stdin, stdout, tty
        self.stderr = stderr and not tty


def outcome(exit_: Exit) -> dict[str, Any]:
    """The Status of the error channel."""
    if exit_.message:
        return errors.internal(exit_.message).status
    if exit_.code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {exit_.code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(exit_.code)}]},
    }


def refusal(error: Exception) -> dict[str, Any]:
    if isinstance(error, StatusError):
        return error.status
    if isinstance(error, NodeError):
        if error.code == 500:
            return errors.internal(f"unable to upgrade connection: {error}").status
        return pods.refused(error).status
    return errors.internal(str(error)).status


def error_text(status: dict[str, Any], version: int) -> bytes:
    """What goes over the error channel: a Status from v4 on, before that a sentence, or nothing for success."""
    if version >= 4:
        return orjson.dumps(status)
    if status["status"] == "Success":
        return b""
    for cause in status.get("details", {}).get("causes", ()):
        if cause.get("reason") == "ExitCode":
            return f"command terminated with non-zero exit code: exit status {cause['message']}".encode()
    return status.get("message", "").encode()


def version_of(protocol: str) -> int:
    """4 of `v4.channel.k8s.io`; the one without a number is the first."""
    return int(protocol[1]) if protocol[:1] == "v" and protocol[1:2].isdigit() else 1


def size_of(data: bytes) -> tuple[int, int] | None:
    """(columns, rows) of a resize message."""
    try:
        size = orjson.loads(data)
        return int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError):
        return None


async def run_until(
    command: Awaitable[Exit], reader: asyncio.Task[None], stop: asyncio.Event
) -> dict[str, Any] | None:
    """The command's outcome; None when the client went away first (the command is then cancelled)."""
    task = asyncio.ensure_future(command)
    halt = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((task, reader, halt), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return None
        try:
            return outcome(task.result())
        except (NodeError, StatusError) as error:
            return refusal(error)
        except (ConnectionError, asyncio.CancelledError):
            return None
        except Exception as error:
            log.exception("exec")
            return refusal(error)
    finally:
        halt.cancel()
        task.cancel()


class _SocketTerminal(Terminal):
    def __init__(self, session: WebSocketSession, wants: Wants) -> None:
        super().__init__(
            tty=wants.tty,
            stdin=asyncio.Queue(STDIN_PIECES_MAX) if wants.stdin else None,
            want_stdout=wants.stdout,
            want_stderr=wants.stderr,
        )
        self._session, self._wants = session, wants

    async def write(self, channel: int, data: bytes) -> None:
        if (channel == STDOUT and self._wants.stdout) or (channel == STDERR and self._wants.stderr):
            await self._session.send(channel, data)


class WebSocketSession:
    """One message is a channel number and bytes (or, in the base64 protocols, a digit and base64)."""

    def __init__(self, x: Exchange, wants: Wants) -> None:
        self._wants = wants
        self._socket = websocket.accept(x.http, WEBSOCKET_PROTOCOLS)
        protocol = self._socket.protocol
        self._base64 = "base64" in protocol
        self._version = version_of(protocol)
        self._terminal = _SocketTerminal(self, wants)

    async def run(self, run: Run, stop: asyncio.Event) -> None:
        reader = asyncio.get_running_loop().create_task(self._read())
        try:
            # an empty message tells the client that the session stands
            wants = self._wants
            await self.send(STDOUT if wants.stdout else STDERR if wants.stderr else ERROR, b"")
            status = await run_until(run(self._terminal), reader, stop)
            if status is not None:
                await self.send(ERROR, error_text(status, self._version))
        except ConnectionError:
            return
        finally:
            reader.cancel()
            await self._socket.close()

    async def send(self, channel: int, data: bytes) -> None:
        if self._base64:
            await self._socket.send(b"%d" % channel + base64.b64encode(data), text=True)
        else:
            await self._socket.send(bytes((channel,)) + data)

    async def _read(self) -> None:
        """Until the client is gone."""
        terminal = self._terminal
        while (message := await self._socket.receive()) is not None:
            parsed = self._parse(message.data)
            if parsed is None:
                continue
            channel, data = parsed
            if channel == STDIN and terminal.stdin is not None:
                if data:
                    await terminal.stdin.put(data)
            elif channel == RESIZE and (size := size_of(data)) is not None:
                if not terminal.resizes.full():
                    terminal.resizes.put_nowait(size)
            elif channel == CLOSE and data[:1] == bytes((STDIN,)) and terminal.stdin is not None:
                await terminal.stdin.put(b"")

    def _parse(self, data: bytes) -> tuple[int, bytes] | None:
        if not data:
            return None
        if not self._base64:
            return data[0], data[1:]
        try:
            return int(data[:1]), base64.b64decode(data[1:])
        except ValueError:
            return None


class _StreamTerminal(Terminal):
    def __init__(self, session: SPDYSession, wants: Wants) -> None:
        super().__init__(
            tty=wants.tty,
            stdin=asyncio.Queue(STDIN_PIECES_MAX) if wants.stdin else None,
            want_stdout=wants.stdout,
            want_stderr=wants.stderr,
        )
        self._session = session

    async def write(self, channel: int, data: bytes) -> None:
        stream = self._session.streams.get("stdout" if channel == STDOUT else "stderr")
        if stream is not None and data:
            await stream.write(data)


class SPDYSession:
    """One SPDY stream each for error, stdin, stdout, stderr and resize."""

    def __init__(self, x: Exchange, wants: Wants) -> None:
        self._wants = wants
        self._protocol = select_spdy(x)
        self.streams: dict[str, spdy.Stream] = {}
        self._complete = asyncio.Event()
        self._terminal = _StreamTerminal(self, wants)
        self._needed = {"error"}
        for name in ("stdin", "stdout", "stderr"):
            if getattr(wants, name):
                self._needed.add(name)
        if wants.tty and version_of(self._protocol) >= 3:
            self._needed.add("resize")
        transport, _, become = x.http.upgrade(
            [
                ("Connection", "Upgrade"),
                ("Upgrade", SPDY_UPGRADE),
                ("X-Stream-Protocol-Version", self._protocol),
            ]
        )
        self._transport = spdy.Transport(transport, self._opened)
        become(self._transport)

    def _opened(self, stream: spdy.Stream) -> None:
        kind = stream.headers.get("streamtype", "")
        connection = self._transport.connection
        if kind not in ("error", "stdin", "stdout", "stderr", "resize") or kind in self.streams:
            connection.refuse(stream)
            return
        connection.accept(stream)
        self.streams[kind] = stream
        if self._needed <= self.streams.keys():
            self._complete.set()

    async def run(self, run: Run, stop: asyncio.Event) -> None:
        readers: list[asyncio.Task[None]] = []
        gone = asyncio.get_running_loop().create_task(self._gone())
        try:
            async with asyncio.timeout(STREAMS_SECONDS):
                await self._complete.wait()
            create = asyncio.get_running_loop().create_task
            readers = [create(self._read_stdin()), create(self._read_resizes())]
            status = await run_until(run(self._terminal), gone, stop)
            if status is not None:
                for name in ("stdout", "stderr"):
                    if name in self.streams:
                        await self.streams[name].close()
                await self.streams["error"].write(error_text(status, version_of(self._protocol)))
                await self.streams["error"].close()
        except (TimeoutError, ConnectionError):
            pass
        finally:
            for task in (*readers, gone):
                task.cancel()
            self._transport.close()

    async def _gone(self) -> None:
        await self._transport.ended.wait()

    async def _read_stdin(self) -> None:
        stream, stdin = self.streams.get("stdin"), self._terminal.stdin
        if stream is None or stdin is None:
            return
        while data := await stream.read():
            await stdin.put(data)
        await stdin.put(b"")

    async def _read_resizes(self) -> None:
        stream = self.streams.get("resize")
        if stream is None:
            return
        while data := await stream.read():
            for line in data.splitlines():
                if (size := size_of(line)) is not None and not self._terminal.resizes.full():
                    self._terminal.resizes.put_nowait(size)


def select_spdy(x: Exchange, supported: tuple[str, ...] = SPDY_PROTOCOLS) -> str:
    """The newest stream protocol that both know. Raises 403 as Kubernetes does when there is none."""
    offered = [value.strip() for name, value in x.http.raw_headers if name == "x-stream-protocol-version"]
    names = [part.strip() for value in offered for part in value.split(",")]
    if not names and "channel.k8s.io" in supported:
        return "channel.k8s.io"
    for name in names:
        if name in supported:
            return name
    message = f"unable to upgrade: unable to negotiate protocol: client supports {names}, server accepts {list(supported)}"
    raise StatusError(errors.failure(403, "Forbidden", message))
