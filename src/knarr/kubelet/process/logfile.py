"""Container logs on disk, in the CRI format (`time stream F|P text`), rotated as the kubelet rotates them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from knarr.api.nodeapi import LogOptions
from knarr.kubelet import logview
from knarr.kubelet.logview import Line

#: containerLogMaxSize and containerLogMaxFiles
FILE_BYTES_MAX, FILES_MAX = 10 << 20, 5
#: longer lines are written in parts
LINE_BYTES_MAX = 16 * 1024
READ_BYTES = 256 * 1024


class LogWriter:
    """One container run's output. `changed` is set whenever something was added."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float],
        bytes_max: int = FILE_BYTES_MAX,
        files_max: int = FILES_MAX,
    ) -> None:
        self.path = path
        self._now, self._bytes_max, self._files_max = now, bytes_max, files_max
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._size = self._file.tell()
        self._rests: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self.changed = asyncio.Event()

    def add(self, stream: str, data: bytes) -> None:
        """Output as it came; lines that are not yet complete wait for their rest."""
        *lines, rest = (self._rests[stream] + data).split(b"\n")
        records = [record for line in lines for record in self._records(stream, line, True)]
        while len(rest) >= LINE_BYTES_MAX:
            records += self._records(stream, rest[:LINE_BYTES_MAX], False)
            rest = rest[LINE_BYTES_MAX:]
        self._rests[stream] = rest
        self._write(records)

    def close(self) -> None:
        """Write what waits."""
        for stream, rest in self._rests.items():
            if rest:
                self._write(list(self._records(stream, rest, False)))
        self._rests = {"stdout": b"", "stderr": b""}
        self._file.close()
        self.changed.set()

    def _records(self, stream: str, line: bytes, complete: bool) -> Iterator[bytes]:
        stamp = logview.stamp(self._now()).encode()
        head = b"%b %b " % (stamp, stream.encode())
        while len(line) > LINE_BYTES_MAX:
            yield b"%bP %b\n" % (head, line[:LINE_BYTES_MAX])
            line = line[LINE_BYTES_MAX:]
        yield b"%b%b %b\n" % (head, b"F" if complete else b"P", line)

    def _write(self, records: list[bytes]) -> None:
        if not records:
            return
        data = b"".join(records)
        self._file.write(data)
        self._size += len(data)
        if self._size >= self._bytes_max:
            self._rotate()
        self.changed.set()

    def _rotate(self) -> None:
        self._file.close()
        stamp = logview.stamp(self._now()).replace(":", "").replace("-", "")
        self.path.rename(self.path.with_name(f"{self.path.name}.{stamp}"))
        old = sorted(self.path.parent.glob(f"{self.path.name}.*"))
        for surplus in old[: max(len(old) - (self._files_max - 1), 0)]:
            with contextlib.suppress(FileNotFoundError):
                surplus.unlink()
        self._file = self.path.open("ab", buffering=0)
        self._size = 0


def parse(record: bytes) -> Line | None:
    """One record of a file, without its newline; None for what is none."""
    parts = record.split(b" ", 3)
    if len(parts) != 4:
        return None
    text = parts[3] + b"\n" if parts[2][:1] == b"F" else parts[3]
    return Line(parts[0].decode("ascii", "replace"), parts[1].decode("ascii", "replace"), text)


class _Reader:
    """Reads a file record by record, and goes on in its successor when it was rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        with contextlib.suppress(FileNotFoundError):
            self._file = path.open("rb")

    def read(self) -> list[Line]:
        """What is there now; an empty list at the end."""
        if self._file is None:
            return []
        data = self._file.read(READ_BYTES)
        if not data and self._rotated():
            self._file.close()
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                self._file = None
                return []
            data = self._file.read(READ_BYTES)
        *records, self._rest = (self._rest + data).split(b"\n")
        return [line for record in records if (line := parse(record)) is not None]

    def _rotated(self) -> bool:
        assert self._file is not None
        try:
            return os.fstat(self._file.fileno()).st_ino != self._path.stat().st_ino
        except FileNotFoundError:
            return False

    def all(self) -> list[Line]:
        lines: list[Line] = []
        while more := self.read():
            lines += more
        return lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


async def read(
    path: Path, options: LogOptions, now: float, writer: LogWriter | None, running: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """A log as pods/log shows it; with `follow` until the run has ended. `writer` tells of new lines."""
    reader = _Reader(path)
    start = logview.since(options, now)
    limit = logview.Limit(options.limit_bytes)
    try:
        # ten MiB take a moment: not on the event loop
        lines = await asyncio.to_thread(reader.all)
        first = logview.tail(list(logview.wanted(lines, options, start)), options.tail_lines)
        for data in _pieces(first, options.timestamps):
            yield limit.cut(data)
            if limit.reached:
                return
        while options.follow:
            ended = not running()
            if writer is not None:
                writer.changed.clear()
            fresh = reader.read()
            if fresh:
                for data in _pieces(logview.wanted(fresh, options, start), options.timestamps):
                    yield limit.cut(data)
                    if limit.reached:
                        return
            elif ended or writer is None:
                return
            else:
                await writer.changed.wait()
    finally:
        reader.close()


def _pieces(lines: Iterator[Line] | list[Line], timestamps: bool) -> Iterator[bytes]:
    """Rendered lines, joined to larger pieces."""
    held: list[bytes] = []
    size = 0
    for data in logview.render(lines, timestamps):
        held.append(data)
        size += len(data)
        if size >= 64 * 1024:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def last_lines(path: Path, lines_max: int = 80, bytes_max: int = 2048) -> str:
    """The end of a log, as terminationMessagePolicy FallbackToLogsOnError takes it."""
    reader = _Reader(path)
    try:
        lines = reader.all()[-lines_max:]
    finally:
        reader.close()
    return b"".join(line.text for line in lines)[-bytes_max:].decode("utf-8", "replace")
