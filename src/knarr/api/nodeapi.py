"""What an API server asks of a node's kubelet: logs, exec, attach and port-forward.

The kubelet implements `NodeAPI`; the API server finds it through `NodeConnections`. Both know only this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class LogOptions:
    """The query of pods/log."""

    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: str | None = None
    limit_bytes: int | None = None
    stream: str = "All"  # All, Stdout, Stderr


@dataclass
class Terminal:
    """One exec or attach session, seen from the process: bytes in, bytes out, window sizes.

    The API server feeds `stdin` (b"" closes it) and `resizes` ((columns, rows)); the node calls `write`, which waits
    while the client is slow. Both queues are bounded: the feeder waits when they are full.
    """

    tty: bool = False
    stdin: asyncio.Queue[bytes] | None = None
    resizes: asyncio.Queue[tuple[int, int]] = field(default_factory=lambda: asyncio.Queue(16))
    want_stdout: bool = True
    want_stderr: bool = True

    async def write(self, channel: int, data: bytes) -> None:
        """Send to the client; channel 1 is stdout, 2 is stderr. Raises ConnectionError when it hung up."""
        raise NotImplementedError  # pragma: no cover - the API server's subclass writes to its web socket


@dataclass(frozen=True)
class Exit:
    """How a command ended: an exit code, or a message when it could not be run at all."""

    code: int = 0
    message: str = ""


class NodeError(Exception):
    """The node refuses; `code` is the HTTP status the client sees and the text is its message."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


class NodeAPI(Protocol):
    """Pods are named by (namespace, name); an unknown pod or container raises NodeError."""

    def logs(self, namespace: str, name: str, options: LogOptions) -> AsyncIterator[bytes]: ...

    async def exec(
        self, namespace: str, name: str, container: str, command: list[str], terminal: Terminal
    ) -> Exit: ...

    async def attach(self, namespace: str, name: str, container: str, terminal: Terminal) -> Exit: ...

    async def dial(
        self, namespace: str, name: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of the pod, for port-forward and the pod proxy."""
        ...

    def reach(self, namespace: str, name: str, port: int) -> tuple[tuple[str, int], ...]:
        """Where on this machine that port may be found: addresses to try in order. Raises NodeError."""
        ...

    async def http(self, path: str, query: dict[str, str]) -> tuple[int, str, bytes]:
        """(status, content type, body) of a GET to the kubelet itself, for nodes/proxy."""
        ...


class NodeConnections:
    """Which kubelet answers for which node; kubelets register when they start."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeAPI] = {}

    def register(self, node: str, api: NodeAPI) -> None:
        self._nodes[node] = api

    def unregister(self, node: str) -> None:
        self._nodes.pop(node, None)

    def get(self, node: str) -> NodeAPI | None:
        return self._nodes.get(node)
