"""A control plane behind a real port, shared by all tests of this folder, and sockets to talk to it."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from knarr.testing import TestCluster

SECONDS_MAX = 10.0


class Answer(NamedTuple):
    status: int
    #: names in lower case; repeated ones are a list of all values in `every`
    headers: dict[str, str]
    body: bytes
    every: list[tuple[str, str]]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.every if key == name]


class Wire:
    """One TLS connection, spoken to in bytes."""

    def __init__(self, port: int) -> None:
        context = ssl._create_unverified_context()
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), SECONDS_MAX))
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"closed after {self._buffer!r}")
        self._buffer += data

    def closed(self) -> bool:
        """Whether the server ends the connection without another byte."""
        try:
            self._more()
        except (EOFError, ConnectionError):
            return True
        return False

    def head(self) -> tuple[int, list[tuple[str, str]]]:
        status = int(self.line().split()[1])
        headers = []
        while line := self.line():
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.lower(), value.strip()))
        return status, headers

    def answer(self, bodyless: bool = False) -> Answer:
        status, headers = self.head()
        named = dict(headers)
        body = b""
        if not bodyless and status not in (204, 304):
            if named.get("transfer-encoding") == "chunked":
                body = b"".join(self.chunks())
            else:
                body = self.exactly(int(named["content-length"]))
        return Answer(status, named, body, headers)

    def chunks(self) -> Iterator[bytes]:
        """The pieces of a chunked body as they come."""
        while size := int(self.line(), 16):
            yield self.exactly(size)
            assert self.line() == b""
        assert self.line() == b""

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server:
    """Requests as an administrator, each on a connection of its own unless a `Wire` is asked for."""

    def __init__(self, cluster: TestCluster) -> None:
        self.cluster = cluster
        self.port = int(cluster.url.rpartition(":")[2])
        self.token = cluster.token

    def wire(self) -> Wire:
        return Wire(self.port)

    def head(self, method: str, path: str, size: int | None = None, **headers: str) -> bytes:
        lines = {"Host": "x", "Authorization": f"Bearer {self.token}", "User-Agent": "tests/1"}
        if size is not None:
            lines["Content-Length"] = str(size)
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode()

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> bytes:
        """The bytes of a request."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if data and "Content_Type" not in headers:
            headers["Content_Type"] = "application/json"
        return self.head(method, path, len(data), **headers) + data

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        with self.wire() as wire:
            wire.send(self.request(method, path, body, **headers))
            return wire.answer(bodyless=method == "HEAD")

    def get(self, path: str, accept: str = "", **headers: str) -> Answer:
        return self("GET", path, Accept=accept, **headers)


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """An API server without controllers, scheduler and nodes: nothing changes but by the tests."""
    cluster = TestCluster(
        tmp_path_factory.mktemp("apiserver"), controllers=False, scheduler=False, nodes=0, seed=1
    )
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="package")
def serve(plane: TestCluster) -> Server:
    return Server(plane)


@pytest.fixture
def namespace(serve: Server, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    import re

    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-50:].strip("-")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert serve("POST", "/api/v1/namespaces", body).status == 201
    return name


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
