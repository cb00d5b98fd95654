"""The transport over HTTP/1.1 and TLS, by aiohttp (imported when the first request is made).

Connections are kept and reused; a watch holds one for itself. 429, and 5xx with Retry-After, are retried as the
server asks; 401 once with fresh credentials. A failure to reach the server is a StatusError of code 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from knarr.api.resources import Resource
from knarr.client.credentials import Credentials
from knarr.client.kubeconfig import Access
from knarr.client.tls import identity, tls_context
from knarr.client.transport import JSON, NO_QUERY, WatchEvent
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.world import World

if TYPE_CHECKING:
    import aiohttp

METHODS = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
RETRIES_MAX = 10
RETRY_AFTER_SECONDS_MAX = 60.0
CONNECT_SECONDS, REQUEST_SECONDS = 30.0, 75.0
#: one line of a watch; etcd refuses objects beyond 1.5 MB, so a longer line is no event
FRAME_BYTES_MAX = 16 << 20


class _Frame(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_frame = msgspec.json.Decoder(_Frame)


def path_of(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """/api/v1/namespaces/<namespace>/pods/<name>/log and the like."""
    parts = ["/apis", resource.group, resource.version] if resource.group else ["/api", resource.version]
    if namespace and resource.namespaced:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.name)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


class HTTP:
    """A transport to the server of an `Access` (see `kubeconfig.load`)."""

    def __init__(self, access: Access, user_agent: str = "knarr", world: World | None = None) -> None:
        self.access = access
        self._user_agent = user_agent
        self._world = world or World()
        self._credentials = Credentials(access, self._world.clock)
        self._session: aiohttp.ClientSession | None = None
        self._session_of: tuple[bytes | None, bytes | None] = (None, None)

    async def request(
        self,
        verb: str,
        resource: Resource,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        query: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
        content_type: str = JSON,
    ) -> bytes:
        path = path_of(resource, namespace, name, subresource)
        return await self._call(METHODS[verb], path, query, body, content_type)

    async def raw(self, path: str, query: Mapping[str, str] = NO_QUERY) -> bytes:
        return await self._call("GET", path, query, None, JSON)

    async def post(self, path: str, body: bytes, query: Mapping[str, str] = NO_QUERY) -> bytes:
        """The body of the answer to JSON that is no request to a resource; raises StatusError."""
        return await self._call("POST", path, query, body, JSON)

    async def watch(
        self, resource: Resource, namespace: str = "", query: Mapping[str, str] = NO_QUERY
    ) -> AsyncIterator[list[WatchEvent]]:
        query = {**query, "watch": "true"}
        # a server that has gone without a word is noticed soon after it should have ended the stream
        seconds_max = float(query["timeoutSeconds"]) + CONNECT_SECONDS if "timeoutSeconds" in query else None
        path = path_of(resource, namespace)
        async with await self._open("GET", path, query, None, JSON, seconds_max) as response:
            buffer = bytearray()
            try:
                async for chunk in response.content.iter_any():
                    buffer += chunk
                    while events := _split(buffer):
                        yield events
            except (OSError, _client_error()) as error:
                raise _unreachable(self.access.server, error) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # -- one request -------------------------------------------------------------------------------------

    async def _call(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, content_type: str
    ) -> bytes:
        try:
            async with await self._open(method, path, query, body, content_type, REQUEST_SECONDS) as response:
                return await response.read()
        except (OSError, _client_error()) as error:
            raise _unreachable(self.access.server, error) from error

    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        seconds_max: float | None,
    ) -> aiohttp.ClientResponse:
        """A successful response, not yet read; the caller closes it."""
        renewed = False
        for attempt in range(RETRIES_MAX + 1):
            response = await self._send(method, path, query, body, content_type, seconds_max)
            if response.status < 400:
                return response
            async with response:
                error = _status_error(response.status, await response.read(), response.headers)
            if error.code == 401 and not renewed and self._credentials.expire():
                renewed = True
                continue
            delay = _retry_after(error)
            if delay is None or attempt == RETRIES_MAX:
                raise error
            await asyncio.sleep(delay)
        raise AssertionError("unreachable")

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        seconds_max: float | None,
    ) -> aiohttp.ClientResponse:
        import aiohttp

        access = await self._credentials.current()
        session = await self._open_session(access)
        headers = [("Accept", JSON), ("User-Agent", self._user_agent), *identity(access)]
        if body is not None:
            headers.append(("Content-Type", content_type))
        try:
            return await session.request(
                method,
                access.server + path,
                params=query,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=seconds_max, sock_connect=CONNECT_SECONDS),
                server_hostname=access.tls_server_name or None,
                allow_redirects=False,
            )
        except (OSError, aiohttp.ClientError) as error:
            raise _unreachable(access.server, error) from error

    async def _open_session(self, access: Access) -> aiohttp.ClientSession:
        """The one session; another when a plugin has issued another client certificate."""
        import aiohttp

        pair = access.client_certificate, access.client_key
        if self._session is not None and pair == self._session_of:
            return self._session
        old, self._session, self._session_of = self._session, None, pair
        # limit=0: every watch holds a connection for minutes, and must not keep requests waiting
        connector = aiohttp.TCPConnector(limit=0, ssl=tls_context(access))
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        if old is not None:
            await old.close()
        return self._session


# -- reading answers ------------------------------------------------------------------------------------------


def _split(buffer: bytearray) -> list[WatchEvent]:
    """Take the complete lines out of a buffer. Raises the StatusError of an ERROR event."""
    end = buffer.rfind(b"\n")
    if end < 0:
        if len(buffer) > FRAME_BYTES_MAX:
            raise errors.internal(f"a watch event is larger than {FRAME_BYTES_MAX} bytes")
        return []
    lines = bytes(buffer[:end])
    del buffer[: end + 1]
    events = []
    for line in lines.split(b"\n"):
        if not line:
            continue
        frame = _frame.decode(line)
        if frame.type == "ERROR":
            if events:  # what came before it counts; the next call raises
                buffer[:0] = line + b"\n"
                return events
            raise _status_error(0, bytes(frame.object), {})
        events.append(WatchEvent(frame.type, bytes(frame.object)))
    return events


def _status_error(code: int, body: bytes, headers: Mapping[str, str]) -> StatusError:
    """From an answer that is not a success, a Status or not."""
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = body.decode("utf-8", "replace").strip()[:2048] or f"the server answered {code}"
        status = errors.failure(code or 500, _REASONS.get(code, ""), text)
    kept = {"Retry-After": headers["Retry-After"]} if "Retry-After" in headers else None
    return StatusError(status, kept)


#: for answers without a Status (a proxy's, say)
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def _retry_after(error: StatusError) -> float | None:
    """Seconds to wait before asking again, or None: do not."""
    if error.code != 429 and error.code < 500:
        return None
    text = error.headers.get("Retry-After", "")
    return min(float(text), RETRY_AFTER_SECONDS_MAX) if text.isdigit() else None


def _client_error() -> type[Exception]:
    import aiohttp

    return aiohttp.ClientError


def _unreachable(server: str, error: Exception) -> StatusError:
    return errors.unavailable(f"{server}: {str(error) or type(error).__name__}")
