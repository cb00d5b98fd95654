"""One process that the launcher starts: its streams, its terminal, its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import orjson

from knarr.kubelet.process.namespaces import command

READ_BYTES = 64 * 1024
#: how long output may still come after the process has ended
DRAIN_SECONDS = 1.0
STDOUT, STDERR = 1, 2


class LaunchError(Exception):
    """The command could not be run; the text says why."""


class Child:
    """A started process. `read` gives (channel, bytes) pieces until both streams have ended."""

    def __init__(self, process: asyncio.subprocess.Process, pty: Pty | None) -> None:
        self._process, self.pty = process, pty
        self.pid = process.pid

    async def wait(self) -> int:
        """The exit code, 128 + n for signal n."""
        code = await self._process.wait()
        return 128 - code if code < 0 else code

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    def outputs(self) -> list[tuple[int, Any]]:
        """(channel, something with `read(n)`): a terminal has one for both."""
        if self.pty is not None:
            return [(STDOUT, self.pty)]
        return [(STDOUT, self._process.stdout), (STDERR, self._process.stderr)]

    async def write(self, data: bytes) -> None:
        """To its standard input; b"" closes it. Nothing happens where there is none, or it was closed."""
        if self.pty is not None:
            # end of input at a terminal is a character
            await self.pty.write(data or b"\x04")
            return
        stdin = self._process.stdin
        if stdin is None or stdin.is_closing():
            return
        with contextlib.suppress(ConnectionError):
            if not data:
                stdin.close()
                return
            stdin.write(data)
            await stdin.drain()

    def close(self) -> None:
        if self.pty is not None:
            self.pty.close()
        elif self._process.stdin is not None:
            self._process.stdin.close()


async def launch(spec: dict[str, Any], folder: Path, stdin: bool, tty: bool) -> Child:
    """Start a command by the launcher's spec; returns when it runs. Raises LaunchError."""
    path = _written(folder, {**spec, "tty": tty})
    told, telling = os.pipe()
    pty = Pty() if tty else None
    pipe = asyncio.subprocess.PIPE
    try:
        streams: dict[str, Any] = {
            "stdin": pipe if stdin else asyncio.subprocess.DEVNULL,
            "stdout": pipe,
            "stderr": pipe,
        }
        if pty is not None:
            streams = dict.fromkeys(("stdin", "stdout", "stderr"), pty.slave)
        process = await asyncio.create_subprocess_exec(
            *command(path, str(telling)), **streams, pass_fds=(telling,), start_new_session=True, cwd="/"
        )
    except OSError as error:
        os.close(told)
        if pty is not None:
            pty.close()
        raise LaunchError(str(error)) from None
    finally:
        os.close(telling)
        if pty is not None:
            pty.close_slave()
    error = await _read_all(told)
    child = Child(process, pty)
    if error:
        await process.wait()
        child.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        raise LaunchError(error.decode("utf-8", "replace"))
    return child


def _written(folder: Path, spec: dict[str, Any]) -> str:
    """The launcher's spec as a file that nobody else may read."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix="spec-", dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps(spec))
    return path


async def _read_all(fd: int) -> bytes:
    """A pipe until its end; closes it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    pieces: list[bytes] = []

    def readable() -> None:
        data = os.read(fd, READ_BYTES)
        pieces.append(data)
        if not data and not done.done():
            done.set_result(None)

    os.set_blocking(fd, False)
    loop.add_reader(fd, readable)
    try:
        await done
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return b"".join(pieces)


class Pty:
    """The master side of a pseudo terminal on the event loop."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        self._slave_open = True
        self._open = True

    def close_slave(self) -> None:
        if self._slave_open:
            self._slave_open = False
            os.close(self.slave)

    def close(self) -> None:
        self.close_slave()
        if self._open:
            self._open = False
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.master)
            loop.remove_writer(self.master)
            os.close(self.master)

    async def read(self, count: int) -> bytes:
        """b"" when the last process has left the terminal."""
        while self._open:
            try:
                return os.read(self.master, count)
            except BlockingIOError:
                await self._ready(reading=True)
            except OSError as error:
                if error.errno == errno.EIO:
                    return b""
                raise
        return b""

    async def write(self, data: bytes) -> None:
        while data and self._open:
            try:
                data = data[os.write(self.master, data) :]
            except BlockingIOError:
                await self._ready(reading=False)
            except OSError:
                return

    async def _ready(self, reading: bool) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        wake = lambda: None if future.done() else future.set_result(None)  # noqa: E731
        (loop.add_reader if reading else loop.add_writer)(self.master, wake)
        try:
            await future
        finally:
            if self._open:
                (loop.remove_reader if reading else loop.remove_writer)(self.master)

    def resize(self, columns: int, rows: int) -> None:
        import fcntl
        import termios

        if self._open:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
