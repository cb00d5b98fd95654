"""What probes and hooks do: run a command, get a URL, open a connection. Messages as Kubernetes' probers word them."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httptools

from knarr.kubelet.runtime import ProbeResult

OUTPUT_BYTES_MAX = 10 * 1024
BODY_BYTES_MAX = 10 * 1024
USER_AGENT = "kube-probe/1.36"
#: what Go says of the errors that sockets have
REFUSED = "connect: connection refused"


def port_of(container: Any, port: int | str | None) -> int:
    """By number or by the name of one of the container's ports. Raises ValueError."""
    if isinstance(port, int):
        return port
    for known in container.ports:
        if known.name == port:
            return known.containerPort
    if port and port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port: {port}")


def _why(error: OSError, address: str) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {address}: {REFUSED}"
    return f"dial tcp {address}: {error.strerror or error}"


async def tcp(host: str, port: int, seconds: float) -> ProbeResult:
    address = f"{host}:{port}"
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return ProbeResult(False, f"dial tcp {address}: i/o timeout")
    except OSError as error:
        return ProbeResult(False, _why(error, address))
    writer.close()
    return ProbeResult(True)


class _Response:
    def __init__(self) -> None:
        self.code = 0
        self.body = b""
        self.done = False
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        self.code = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.body = (self.body + body)[:BODY_BYTES_MAX]

    def on_message_complete(self) -> None:
        self.done = True


async def http(get: Any, host: str, port: int, seconds: float, hook: bool = False) -> ProbeResult:
    """An httpGet handler: 200 to 399 is success (a hook is content with any answer)."""
    scheme = (get.scheme or "HTTP").lower()
    path = get.path or "/"
    path = path if path.startswith("/") else "/" + path
    target = get.host or host
    url = f"{scheme}://{target}:{port}{path}"
    headers = {header.name.lower(): (header.name, header.value) for header in get.httpHeaders}
    headers.setdefault("host", ("Host", f"{target}:{port}"))
    headers.setdefault("user-agent", ("User-Agent", USER_AGENT))
    headers.setdefault("accept", ("Accept", "*/*"))
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.values() if value)]
    request = ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode()
    try:
        async with asyncio.timeout(seconds):
            response = await _exchange(target, port, scheme == "https", request)
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return ProbeResult(False, f'Get "{url}": {why}')
    except ssl.SSLError as error:
        return ProbeResult(False, f'Get "{url}": {error}')
    except OSError as error:
        return ProbeResult(False, f'Get "{url}": {_why(error, f"{target}:{port}")}')
    except httptools.HttpParserError as error:
        return ProbeResult(False, f'Get "{url}": {error}')
    if response.code == 0:
        return ProbeResult(False, f'Get "{url}": EOF')
    if hook or 200 <= response.code < 400:
        return ProbeResult(True, response.body.decode("utf-8", "replace"))
    return ProbeResult(False, f"HTTP probe failed with statuscode: {response.code}")


async def _exchange(host: str, port: int, tls: bool, request: bytes) -> _Response:
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(request)
        response = _Response()
        while not response.done and (data := await reader.read(64 * 1024)):
            response.parser.feed_data(data)
        return response
    finally:
        writer.close()


async def grpc(host: str, port: int, service: str, seconds: float) -> ProbeResult:
    """grpc.health.v1; needs the grpcio package, which is an extra of knarr."""
    try:
        from grpc import RpcError, aio
    except ImportError:
        return ProbeResult(False, "gRPC probes need the package grpcio: pip install grpcio", unknown=True)
    encoded = service.encode()
    request = b"\x0a" + bytes((len(encoded),)) + encoded if encoded else b""
    address = f"{host}:{port}"
    async with aio.insecure_channel(address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer = await check(request, timeout=seconds)
        except RpcError as error:
            return ProbeResult(False, f"error: this server does not answer at {address}: {error.details()}")  # type: ignore[attr-defined]
    # HealthCheckResponse.status, field 1: SERVING is 1
    serving = answer[:2] == b"\x08\x01"
    return ProbeResult(serving, "" if serving else f"service unhealthy (responded with {answer.hex()})")
