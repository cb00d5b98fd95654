"""A watch over a WebSocket, which is how browsers watch: every event is a message of its own."""

from __future__ import annotations

from collections.abc import Callable

from knarr.apiserver.http import HTTPRequest
from knarr.apiserver.streaming import websocket


def refuse(http: HTTPRequest) -> bool:
    """Whether the handshake was refused, in as few words as Go's library has: browsers say where they come from, and
    offer one subprotocol at most."""
    from urllib.parse import urlsplit

    code = 0
    origin = urlsplit(http.headers.get("origin", ""))
    if not (origin.scheme or origin.path.startswith("/")):
        code = 403
    elif len(websocket.offered(http)) > 1:
        code = 400
    if code:
        http.keep_alive = False
        http.respond(code, [], b"")
    return bool(code)


class SocketStream:
    """What a watch session writes to, in place of a chunked answer. `gone` is told when the client has closed."""

    def __init__(
        self, http: HTTPRequest, headers: list[tuple[str, str]], gone: Callable[[str], None]
    ) -> None:
        """Answers the handshake. Raises 400 for a bad one."""
        kind = next(value for name, value in headers if name == "content-type")
        self._text = kind == "application/json"
        self._socket = websocket.accept(http, tuple(websocket.offered(http)) or ("",))
        self._socket.ignore(lambda: gone("gone"))

    @property
    def unsent(self) -> int:
        return self._socket.unsent

    def write_framed(self, messages: list[bytes]) -> None:
        for message in messages:
            self.write(message)

    def write(self, message: bytes) -> None:
        self._socket.post(message, self._text)

    async def drain(self) -> None:
        await self._socket.drain()

    def finish(self) -> None:
        self._socket.hang_up()

    def abort(self) -> None:
        self._socket.abort()
