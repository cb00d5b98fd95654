"""The secure port: TLS and the API's handler behind it."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING

from knarr.apiserver.http import Listener
from knarr.meta import errors

if TYPE_CHECKING:
    from knarr.apiserver.handler import APIHandler

log = logging.getLogger("knarr.apiserver")

#: connections the kernel queues while we are busy
BACKLOG = 4096
SHUTTING_DOWN = "The apiserver is shutting down, please try again later."
#: how long a stopping server waits for streams, and for clients to read their answers
SHUTDOWN_SECONDS = 5.0


class PortInUse(OSError):
    """The address is taken; the text says which."""


class Server:
    """Listens until stopped."""

    def __init__(self, handler: APIHandler, context: ssl.SSLContext | None) -> None:
        self._handler = handler
        self._context = context
        self._listener = Listener(handler)
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Bind and serve. Raises PortInUse."""
        quiet_connection_errors(asyncio.get_running_loop())
        try:
            self.port = await self._listener.listen(host, port, self._context, BACKLOG)
        except OSError as error:
            raise PortInUse(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None

    async def stop(self) -> None:
        """Take no more requests, end watches cleanly, let those under way finish.

        Requests that end are waited for as long as they may take, streams for a moment.
        """
        handler, listener = self._handler, self._listener
        if handler.limits.shutdown_send_retry_after:
            handler.refusal = errors.told_to_wait(SHUTTING_DOWN, 5)
        else:
            handler.refusal = errors.unavailable("apiserver is shutting down")
            handler.refusal.headers["Retry-After"] = "1"
            listener.deaf()
        handler.stopping()
        listener.shut()
        await handler.deadlines.wait_until_none(handler.limits.request_timeout)
        handler.deadlines.close()
        grace = handler.limits.shutdown_watch_termination_grace_period
        await listener.close(SHUTDOWN_SECONDS + grace)


def tls_context(certificate: str, key: str, client_ca: str) -> ssl.SSLContext:
    """TLS 1.2 and newer, HTTP/1.1 only, asking for (not requiring) a client certificate. All are file names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def quiet_connection_errors(loop: asyncio.AbstractEventLoop) -> None:
    """A broken handshake or a client that hangs up is that client's affair: debug, not a traceback."""
    previous = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if isinstance(error, ssl.SSLError | ConnectionError | TimeoutError):
            log.debug("connection: %s", error)
        elif previous is not None:
            previous(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
