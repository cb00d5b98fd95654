"""pods/log: checks the question, then hands on what the node reads, as slowly as the client takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

from knarr.api.nodeapi import LogOptions, NodeConnections, NodeError
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.respond import NO_CACHE
from knarr.apiserver.streaming import pods, websocket
from knarr.meta import errors, times
from knarr.meta import fielderrors as fe
from knarr.registry.options import parse_int
from knarr.registry.registry import Registry

BINARY, BASE64 = "binary.k8s.io", "base64.binary.k8s.io"


class Logs:
    """Serves GET pods/log."""

    def __init__(self, handler: APIHandler, registry: Registry, connections: NodeConnections) -> None:
        self._handler, self._registry, self._connections = handler, registry, connections

    async def serve(self, x: Exchange) -> None:
        request = x.request
        options = log_options(request.name, x.http.query)
        pod = pods.find(self._registry, "pods", request.namespace, request.name)
        container = pods.container_of(pod, options.container)
        node = pod["spec"].get("nodeName", "")
        if not node:
            # nothing can have been logged yet
            x.code = 204
            x.http.respond(204, [NO_CACHE, *x.headers], b"")
            return
        api = pods.connection(self._registry, self._connections, node)
        options = LogOptions(**{**vars(options), "container": container})
        async with aclosing(api.logs(request.namespace, request.name, options)) as pieces:  # type: ignore[type-var]
            await self._send(x, pieces)

    async def _send(self, x: Exchange, pieces: AsyncIterator[bytes]) -> None:
        """The first piece decides whether there is an answer or a refusal."""
        first = asyncio.ensure_future(anext(pieces, b""))
        follow = pods.flag(x.http.query, "follow")
        x.http.cancel_on_hang_up()
        try:
            # a log that is followed may stay silent: its headers must not wait for the first line
            done, _ = await asyncio.wait((first,), timeout=0.2 if follow else None)
            head = first.result() if done else b""
        except NodeError as error:
            raise pods.refused(error) from None
        except BaseException:
            first.cancel()
            raise
        if websocket.wanted(x.http):
            socket = websocket.accept(x.http, (BINARY, BASE64, ""))
            await self._over_websocket(socket, head, first, pieces)
            return
        x.code = 200
        stream = x.http.stream(200, [("content-type", "text/plain"), NO_CACHE, *x.headers])
        stop = asyncio.ensure_future(self._handler.stop.wait())
        try:
            stream.write(head)
            if not first.done() and not await _either(first, stop):
                return
            stream.write(first.result() if not done else b"")
            while not stop.done():
                step = asyncio.ensure_future(anext(pieces, None))  # type: ignore[arg-type]
                if not await _either(step, stop):
                    return
                piece = step.result()
                if piece is None:
                    break
                stream.write(piece)
                await stream.drain()
        except (NodeError, ConnectionError):
            # too late for a refusal; the client, if it is still there, sees where it ends
            stream.abort()
            return
        finally:
            stop.cancel()
        stream.finish()

    async def _over_websocket(
        self,
        socket: websocket.WebSocket,
        head: bytes,
        first: asyncio.Future[Any],
        pieces: AsyncIterator[bytes],
    ) -> None:
        import base64

        encode = base64.b64encode if socket.protocol == BASE64 else bytes
        try:
            if not first.done():
                head = await first
            if head:
                await socket.send(encode(head), text=socket.protocol == BASE64)
            async for piece in pieces:
                await socket.send(encode(piece), text=socket.protocol == BASE64)
        except ConnectionError:
            return
        await socket.close()


async def _either(step: asyncio.Future[Any], stop: asyncio.Future[Any]) -> bool:
    """Whether `step` came before the server's end."""
    await asyncio.wait((step, stop), return_when=asyncio.FIRST_COMPLETED)
    if step.done():
        return True
    step.cancel()
    return False


def log_options(name: str, query: dict[str, str]) -> LogOptions:
    """PodLogOptions of a request for pod `name`. Raises 400 for what is no number or time, 422 for bad ones."""
    options = LogOptions(
        container=query.get("container", ""),
        follow=pods.flag(query, "follow"),
        previous=pods.flag(query, "previous"),
        timestamps=pods.flag(query, "timestamps"),
        tail_lines=parse_int(query, "tailLines"),
        since_seconds=parse_int(query, "sinceSeconds"),
        since_time=query.get("sinceTime") or None,
        limit_bytes=parse_int(query, "limitBytes"),
    )
    if options.since_time:
        try:
            times.parse(options.since_time)
        except ValueError as error:
            raise errors.bad_request(str(error)) from None
    found = list(_violations(options))
    if "stream" in query:
        # it waits for the gate PodLogsQuerySplitStreams
        found.append(fe.forbidden("stream", "may not be specified"))
    if found:
        raise errors.invalid("", "PodLogOptions", name, found)
    return options


def _violations(options: LogOptions) -> Iterator[fe.FieldError]:
    if options.tail_lines is not None and options.tail_lines < 0:
        yield fe.invalid("tailLines", options.tail_lines, "must be greater than or equal to 0")
    if options.limit_bytes is not None and options.limit_bytes < 1:
        yield fe.invalid("limitBytes", options.limit_bytes, "must be greater than 0")
    if options.since_seconds is not None and options.since_time is not None:
        yield fe.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified")
    elif options.since_seconds is not None and options.since_seconds < 1:
        yield fe.invalid("sinceSeconds", options.since_seconds, "must be greater than 0")
