"""A client's request for a group that an extension API server serves, handed on to it in the client's name."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from knarr.apiserver.aggregation.conditions import is_available
from knarr.apiserver.aggregation.extension import REPEATABLE, Extensions
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.respond import NO_CACHE
from knarr.apiserver.streaming import forward
from knarr.auth.requestheader import headers_of
from knarr.egress import EgressError
from knarr.meta.errors import StatusError

Object = dict[str, Any]
PLAIN_TEXT = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")]


async def proxy(
    x: Exchange,
    service: Object,
    extensions: Extensions,
    stop: asyncio.Event,
    lasts: Callable[[Exchange], None] = lambda x: None,
) -> None:
    """Answer as the extension server does; in plain text where it cannot be reached, as the aggregator does.

    `lasts` is told of a request that became a tunnel: what upgrades there are is known to the extension server only.
    """
    spec = service["spec"]
    if not is_available(service):
        refuse(x, 503, "service unavailable")
        return
    http = x.http
    try:
        route = await extensions.route(spec)
    except EgressError:
        refuse(x, 503, "service unavailable")
        return
    try:
        used = extensions.idle(spec, route) if http.method in REPEATABLE else None
    except EgressError as error:  # its trust says nothing
        refuse(x, 503, f"error trying to reach service: {error}")
        return
    head = forward.request_head(x, http.uri, headers_of(x.request.user), lasting=True)

    def send(streams: forward.Streams) -> Awaitable[None]:
        keep = functools.partial(extensions.keep, spec=spec, route=route)
        return forward.forward(x, streams, head, stop, upgraded=lambda: lasts(x), keep=keep)

    if used is not None:
        # The other side closes idle connections when it likes to: that says nothing of this request.
        with contextlib.suppress(forward.NoAnswer):
            await _refusing(x, send(used))
            return
    try:
        streams = await extensions.connect(spec, route)
    except EgressError as error:
        refuse(x, 503, f"error trying to reach service: {error}")
        return
    try:
        await _refusing(x, send(streams))
    except forward.NoAnswer as error:
        refuse(x, 503, error.message)


async def _refusing(x: Exchange, sending: Awaitable[None]) -> None:
    """Raises NoAnswer; any other failure before an answer is the answer."""
    try:
        await sending
    except forward.NoAnswer:
        raise
    except StatusError as error:
        if x.http.answered:
            raise
        refuse(x, 503, error.message)


def refuse(x: Exchange, code: int, text: str) -> None:
    x.code = code
    x.http.respond(code, [*PLAIN_TEXT, NO_CACHE, *x.headers], f"{text}\n".encode())
