"""A load of prepared HTTP requests over TLS, as cheap as Python can make it: the client shares the server's cores."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Report:
    """Requests per second, and latencies in milliseconds."""

    count: int
    seconds: float
    latencies: list[float] = field(repr=False)
    errors: int = 0

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


class Connection(asyncio.Protocol):
    """One keep-alive connection; `send` answers with (status, body length)."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self._parts: list[bytes] = []
        self._have = 0
        self._need = -1
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def send(self, data: bytes) -> asyncio.Future[tuple[int, bytes]]:
        self._waiter = asyncio.get_running_loop().create_future()
        self._parts, self._have, self._need = [], 0, -1
        assert self.transport is not None
        self.transport.write(data)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._have += len(data)
        if self._need < 0:
            head = b"".join(self._parts)
            end = head.find(b"\r\n\r\n")
            if end < 0:
                return
            self._status = int(head[9:12])
            at = head.lower().index(b"content-length:") + 15
            length = int(head[at : head.index(b"\r\n", at)])
            self._need = end + 4 + length
            self._parts = [head]
        if self._have >= self._need and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result((self._status, b"".join(self._parts)))

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error or ConnectionResetError())


def insecure_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def connect(host: str, port: int) -> Connection:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(Connection, host, port, ssl=insecure_context())
    return protocol


def request(
    method: str, path: str, token: str, body: bytes = b"", content_type: str = "application/json"
) -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        f"User-Agent: bench\r\nContent-Length: {len(body)}\r\n"
    )
    if body:
        head += f"Content-Type: {content_type}\r\n"
    return head.encode() + b"\r\n" + body


async def run(host: str, port: int, clients: int, total: int, make: Callable[[int], bytes]) -> Report:
    """`total` requests, `make(i)` each (made before the clock starts), over `clients` connections."""
    prepared = [make(i) for i in range(total)]
    connections = [await connect(host, port) for _ in range(clients)]
    latencies: list[float] = []
    errors = 0
    requests = iter(prepared)

    async def worker(connection: Connection) -> None:
        nonlocal errors
        for data in requests:
            began = time.perf_counter()
            status, _ = await connection.send(data)
            latencies.append(time.perf_counter() - began)
            errors += status >= 400

    began = time.perf_counter()
    await asyncio.gather(*(worker(c) for c in connections))
    seconds = time.perf_counter() - began
    for connection in connections:
        if connection.transport is not None:
            connection.transport.close()
    return Report(total, seconds, latencies, errors)
