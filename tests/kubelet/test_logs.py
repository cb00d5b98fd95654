"""Container logs: what is written, how it is cut, what is shown of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.nodeapi import LogOptions
from knarr.kubelet.process import logfile
from knarr.kubelet.process.logfile import LogWriter

NOW = 1_800_000_000.0


def read(path: Path, writer: LogWriter | None = None, running: Any = lambda: False, **options: Any) -> bytes:
    async def main() -> bytes:
        pieces = logfile.read(path, LogOptions("c", **options), NOW + 100, writer, running)
        return b"".join([piece async for piece in pieces])

    return asyncio.run(main())


def written(path: Path, *pieces: tuple[str, bytes], now: Any = lambda: NOW, **bounds: int) -> Path:
    async def main() -> None:
        writer = LogWriter(path, now, **bounds)
        for stream, data in pieces:
            writer.add(stream, data)
        writer.close()

    asyncio.run(main())
    return path


def test_lines_are_records_of_the_cri_format(tmp_path: Path) -> None:
    path = written(tmp_path / "0.log", ("stdout", b"one\ntw"), ("stderr", b"bad\n"), ("stdout", b"o\nrest"))
    assert path.read_bytes().splitlines() == [
        b"2027-01-15T08:00:00.000000000Z stdout F one",
        b"2027-01-15T08:00:00.000000000Z stderr F bad",
        b"2027-01-15T08:00:00.000000000Z stdout F two",
        b"2027-01-15T08:00:00.000000000Z stdout P rest",
    ]
    assert read(path) == b"one\nbad\ntwo\nrest"


@given(st.lists(st.binary(max_size=40_000), max_size=6))
def test_whatever_was_written_is_read_again(tmp_path_factory: Any, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("log") / "0.log"
    written(path, *(("stdout", piece) for piece in pieces))
    assert read(path) == b"".join(pieces)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, b"a\nb\nc\nd\n"),
        ({"tail_lines": 2}, b"c\nd\n"),
        ({"tail_lines": 0}, b""),
        ({"tail_lines": 9}, b"a\nb\nc\nd\n"),
        ({"limit_bytes": 3}, b"a\nb"),
        ({"stream": "Stderr"}, b"b\n"),
        ({"since_seconds": 91}, b"b\nc\nd\n"),
        ({"since_time": "2027-01-15T08:00:20Z"}, b"c\nd\n"),
        ({"since_seconds": 91, "tail_lines": 1}, b"d\n"),
        ({"tail_lines": 1, "timestamps": True}, b"2027-01-15T08:00:30.000000000Z d\n"),
    ],
)
def test_what_is_shown(tmp_path: Path, options: dict[str, Any], expected: bytes) -> None:
    clock = iter([NOW, NOW + 10, NOW + 20, NOW + 30])
    pieces = [("stdout", b"a\n"), ("stderr", b"b\n"), ("stdout", b"c\n"), ("stdout", b"d\n")]
    path = written(tmp_path / "0.log", *pieces, now=lambda: next(clock))
    assert read(path, **options) == expected


def test_a_long_line_is_one_line(tmp_path: Path) -> None:
    line = b"x" * 50_000 + b"\n"
    path = written(tmp_path / "0.log", ("stdout", b"before\n"), ("stdout", line))
    assert len(path.read_bytes().splitlines()) == 5
    assert read(path, tail_lines=1) == line
    assert read(path, tail_lines=1, timestamps=True).count(b"2027-") == 1


def test_files_are_rotated_and_the_oldest_go(tmp_path: Path) -> None:
    clock = iter(range(1000))
    lines = [("stdout", b"%04d " % n + b"x" * 50 + b"\n") for n in range(100)]
    path = written(tmp_path / "0.log", *lines, now=lambda: NOW + next(clock), bytes_max=900, files_max=3)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    assert all(file.stat().st_size < 1000 for file in files)
    kept = b"".join(file.read_bytes() for file in (*files[1:], path))
    numbers = [int(record.split()[3]) for record in kept.splitlines()]
    assert numbers == list(range(numbers[0], 100)) and 10 < len(numbers) < 40
    assert read(path).splitlines() == [record.split(b" ", 3)[3] for record in path.read_bytes().splitlines()]


def test_following_goes_on_across_a_rotation_until_the_end(tmp_path: Path) -> None:
    async def main() -> bytes:
        clock = iter(range(1000))
        writer = LogWriter(tmp_path / "0.log", lambda: NOW + next(clock), bytes_max=400)
        alive = [True]
        writer.add("stdout", b"0\n")
        pieces = logfile.read(writer.path, LogOptions("c", follow=True), NOW, writer, lambda: alive[0])
        got = [await anext(pieces)]
        for n in range(1, 30):
            writer.add("stdout", b"%d\n" % n)
            got.append(await anext(pieces))
        alive[0] = False
        writer.close()
        got += [piece async for piece in pieces]
        return b"".join(got)

    assert asyncio.run(main()) == b"".join(b"%d\n" % n for n in range(30))


def test_the_end_of_a_log_explains_a_failure(tmp_path: Path) -> None:
    path = written(tmp_path / "0.log", *(("stdout", b"line %d\n" % n) for n in range(200)))
    assert logfile.last_lines(path).splitlines()[0] == "line 120"
    written(path, ("stdout", b"y" * 5000 + b"\n"))
    assert logfile.last_lines(path) == "y" * 2047 + "\n"
