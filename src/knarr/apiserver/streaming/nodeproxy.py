"""nodes/proxy: a kubelet's own HTTP endpoints. Those about containers are asked of the node one by one."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from knarr.api.nodeapi import LogOptions, NodeAPI, NodeError, Terminal
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.streaming import websocket
from knarr.apiserver.streaming.pods import flag

TEXT = "text/plain; charset=utf-8"
#: endpoints of one container: /<name>/<namespace>/<pod>[/<uid>]/<container>
CONTAINERS = {"run", "exec", "attach", "containerLogs", "portForward"}
#: what a kubelet's router answers elsewhere
NO_METHOD = (405, TEXT, b"405: Method Not Allowed")
NOT_FOUND = (404, TEXT, b"404: Page Not Found")


async def serve(handler: APIHandler, x: Exchange, api: NodeAPI, path: str) -> None:
    """Answer what the kubelet would. Its refusals are its own, not Statuses of this server."""
    parts = [unquote(part) for part in path.split("/") if part]
    if parts and parts[0] in CONTAINERS and len(parts) > 2:
        try:
            await _container(handler, x, api, parts)
        except NodeError as error:
            _answer(x, error.code, TEXT, str(error).encode())
        return
    if x.http.method not in ("GET", "HEAD"):
        _answer(x, *(NO_METHOD if parts else NOT_FOUND))
        return
    _answer(x, *await api.http(path or "/", x.http.query))


def _answer(x: Exchange, code: int, kind: str, body: bytes) -> None:
    x.code = code
    x.http.respond(code, [("content-type", kind), *x.headers], body)


async def _container(handler: APIHandler, x: Exchange, api: NodeAPI, parts: list[str]) -> None:
    what, namespace, pod, *rest = parts
    if what == "portForward":
        from knarr.apiserver.streaming import portforward

        await portforward.run(x, portforward.Target(api, namespace, pod, ""), handler.stop)
        return
    if not rest:
        _answer(x, *NOT_FOUND)
        return
    container = rest[-1]
    if what == "containerLogs":
        if x.http.method not in ("GET", "HEAD"):
            _answer(x, *NO_METHOD)
        else:
            await _logs(handler, x, api, namespace, pod, container)
    elif what == "run":
        if x.http.method not in ("GET", "POST"):
            _answer(x, *NO_METHOD)
        else:
            await _run(x, api, namespace, pod, container)
    else:
        await _session(handler, x, api, what, namespace, pod, container)


# -- run: a command and all it printed ---------------------------------------------------------------------------


class _Output(Terminal):
    """Collects both streams in the order they came."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    async def write(self, channel: int, data: bytes) -> None:
        self.pieces.append(data)


async def _run(x: Exchange, api: NodeAPI, namespace: str, pod: str, container: str) -> None:
    command = x.http.query.get("cmd", "").split(" ")
    output = _Output()
    exit_ = await api.exec(namespace, pod, container, command, output)
    text = b"".join(output.pieces)
    if exit_.code or exit_.message:
        why = exit_.message or f"command 'CMD' exited with {exit_.code}".replace("CMD", " ".join(command))
        _answer(x, 500, TEXT, f"{why}: {text.decode('utf-8', 'replace')}\n".encode())
        return
    _answer(x, 200, TEXT, text)


# -- exec and attach ------------------------------------------------------------------------------------------------


async def _session(
    handler: APIHandler, x: Exchange, api: NodeAPI, what: str, namespace: str, pod: str, container: str
) -> None:
    """The kubelet names the streams `input`, `output` and `error`."""
    from knarr.apiserver.streaming import remotecommand

    query = x.http.query
    wants = remotecommand.Wants(
        stdin=flag(query, "input"),
        stdout=flag(query, "output"),
        stderr=flag(query, "error"),
        tty=flag(query, "tty"),
    )
    if not (wants.stdin or wants.stdout or wants.stderr):
        _answer(x, 400, TEXT, b"you must specify at least 1 of stdin, stdout, stderr\n")
        return
    upgrade = x.http.headers.get("upgrade", "").lower()
    if upgrade == remotecommand.SPDY_UPGRADE.lower():
        session: Any = remotecommand.SPDYSession(x, wants)
    elif websocket.wanted(x.http):
        session = remotecommand.WebSocketSession(x, wants)
    else:
        _answer(x, 400, TEXT, b"unable to upgrade: missing upgrade headers in request\n")
        return
    command = x.http.query_all("command")

    def run(terminal: Terminal) -> Any:
        if what == "exec":
            return api.exec(namespace, pod, container, command, terminal)
        return api.attach(namespace, pod, container, terminal)

    x.code = 101
    await session.run(run, handler.stop)


# -- logs -------------------------------------------------------------------------------------------------------------


async def _logs(
    handler: APIHandler, x: Exchange, api: NodeAPI, namespace: str, pod: str, container: str
) -> None:
    query = x.http.query
    try:
        options = LogOptions(
            container,
            follow=flag(query, "follow"),
            previous=flag(query, "previous"),
            timestamps=flag(query, "timestamps"),
            tail_lines=_number(query, "tailLines"),
            since_seconds=_number(query, "sinceSeconds"),
            since_time=query.get("sinceTime"),
            limit_bytes=_number(query, "limitBytes"),
        )
    except ValueError:
        _answer(x, 400, TEXT, b'{"message": "Unable to decode query."}')
        return
    pieces = aiter(api.logs(namespace, pod, options))
    first = await anext(pieces, b"")
    x.code = 200
    x.http.cancel_on_hang_up()
    stream = x.http.stream(200, [("content-type", TEXT), *x.headers])
    x.running()
    stop = asyncio.ensure_future(handler.stop.wait())
    try:
        stream.write(first)
        while not stop.done():
            following = asyncio.ensure_future(anext(pieces, None))
            await asyncio.wait((following, stop), return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                following.cancel()
                break
            piece = following.result()
            if piece is None:
                break
            stream.write(piece)
            await stream.drain()
        stream.finish()
    except NodeError:
        stream.abort()
    finally:
        stop.cancel()


def _number(query: dict[str, str], name: str) -> int | None:
    """Raises ValueError."""
    return int(query[name]) if name in query else None
