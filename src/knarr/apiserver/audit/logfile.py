"""A file that is rotated by size, with old files named, kept and compressed as lumberjack does it."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from knarr.meta import times
from knarr.world.clock import Clock

MEGABYTE = 1024 * 1024
#: where no size is set
SIZE_MEGABYTES = 100
DAY_SECONDS = 24 * 3600
FILE_MODE = 0o600
COMPRESSED = ".gz"
#: `2026-01-02T03-04-05.678`, what stands between the name and its extension
STAMP = r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}"


class StandardOutput:
    """The sink of path "-"."""

    def write(self, data: bytes) -> None:
        stream = sys.stdout
        stream.write(data.decode("utf-8", "replace"))
        stream.flush()

    def close(self) -> None:
        """Standard output stays open."""


class LogFile:
    """Appends to `path`; what would grow beyond the size goes to a new file and the old one gets the time as a name.

    Raises OSError at the first write where the file cannot be opened.
    """

    def __init__(
        self,
        path: str,
        clock: Clock,
        max_size: int = 0,
        max_backups: int = 0,
        max_age: int = 0,
        compress: bool = False,
    ) -> None:
        self._path, self._clock = Path(path), clock
        self._bytes_max = (max_size or SIZE_MEGABYTES) * MEGABYTE
        self._backups_max, self._age_max, self._compress = max_backups, max_age * DAY_SECONDS, compress
        self._file: Any = None
        self._size = 0

    def write(self, data: bytes) -> None:
        if len(data) > self._bytes_max:
            raise OSError(f"write length {len(data)} exceeds maximum file size {self._bytes_max}")
        if self._file is None:
            self._open()
        if self._size + len(data) > self._bytes_max:
            self._rotate()
        self._file.write(data)
        self._size += len(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        # Unbuffered: a line is in the system's hands when the request is answered.
        self._file = os.fdopen(descriptor, "ab", buffering=0)
        self._size = os.fstat(descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(self._backup_name())
        self._open()
        self._tidy()

    def _backup_name(self) -> Path:
        now = self._clock.now()
        stamp = f"{times.format(now)[:-1].replace(':', '-')}.{int(now * 1000) % 1000:03d}"
        return self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")

    def _backups(self) -> list[tuple[str, Path]]:
        """Old files, newest first."""
        stem, suffix = re.escape(self._path.stem), re.escape(self._path.suffix)
        pattern = re.compile(rf"{stem}-({STAMP}){suffix}(?:{re.escape(COMPRESSED)})?").fullmatch
        found = [(match[1], entry) for entry in self._path.parent.iterdir() if (match := pattern(entry.name))]
        return sorted(found, reverse=True)

    def _tidy(self) -> None:
        """Drop what is one too many or too old, compress the rest."""
        kept: dict[str, list[Path]] = {}
        for stamp, path in self._backups():
            kept.setdefault(stamp, []).append(path)
        for number, (stamp, paths) in enumerate(kept.items()):
            stale = self._age_max and self._clock.now() - _seconds(stamp) > self._age_max
            for path in paths:
                if stale or (self._backups_max and number >= self._backups_max):
                    path.unlink(missing_ok=True)
                elif self._compress and path.suffix != COMPRESSED:
                    _compress(path)


def _seconds(stamp: str) -> float:
    day, _, hours = stamp.partition("T")
    return times.parse(f"{day}T{hours.replace('-', ':')}Z")


def _compress(path: Path) -> None:
    with path.open("rb") as plain, gzip.open(f"{path}{COMPRESSED}", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    os.chmod(f"{path}{COMPRESSED}", FILE_MODE)
    path.unlink()
