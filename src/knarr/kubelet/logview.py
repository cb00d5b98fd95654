"""What pods/log shows of a log: since, tail, timestamps, limit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from knarr.api.nodeapi import LogOptions
from knarr.meta import times

STREAMS = {"All": ("stdout", "stderr"), "Stdout": ("stdout",), "Stderr": ("stderr",)}


class Line(NamedTuple):
    """One line (or, without its newline, a part of one) as it was written."""

    time: str  # RFC3339 with nanoseconds
    stream: str
    text: bytes

    @property
    def complete(self) -> bool:
        return self.text.endswith(b"\n")


def stamp(epoch: float) -> str:
    """RFC3339 with nine digits, as log files carry it."""
    return f"{times.format_micro(epoch)[:-1]}000Z"


def since(options: LogOptions, now: float) -> float:
    """Epoch seconds before which lines are left out."""
    if options.since_seconds is not None:
        return now - options.since_seconds
    return times.parse(options.since_time) if options.since_time else 0.0


def wanted(lines: Iterable[Line], options: LogOptions, start: float) -> Iterator[Line]:
    streams = STREAMS[options.stream]
    for line in lines:
        if line.stream in streams and (not start or times.parse(line.time) >= start):
            yield line


def tail(lines: list[Line], count: int | None) -> list[Line]:
    """The last `count` lines; parts count with the line they belong to."""
    if count is None:
        return lines
    if count == 0:
        return []
    seen = 0
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].complete or index == len(lines) - 1:
            seen += 1
            if seen > count:
                return lines[index + 1 :]
    return lines


def render(lines: Iterable[Line], timestamps: bool) -> Iterator[bytes]:
    begins = True
    for line in lines:
        yield line.time.encode() + b" " + line.text if timestamps and begins else line.text
        begins = line.complete


class Limit:
    """limitBytes: cuts what goes beyond, and says when nothing more may come."""

    def __init__(self, count: int | None) -> None:
        self._left = count

    @property
    def reached(self) -> bool:
        return self._left is not None and self._left <= 0

    def cut(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        return data
