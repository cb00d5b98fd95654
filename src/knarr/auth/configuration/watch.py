"""Files that are read again when they change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from knarr.auth.configuration import ConfigurationError

log = logging.getLogger("knarr.auth")

#: how often a file is looked at; kube-apiserver is told by inotify, and looks once a minute besides
LOOK_SECONDS = 1.0


class FileWatch:
    """Calls `apply` with the content of `path` each time it is another one.

    What cannot be read or is refused (ConfigurationError) is logged, and what was in force before stays.
    """

    def __init__(self, path: str, content: bytes, apply: Callable[[bytes], None]) -> None:
        self._path = path
        self._content = content
        self._apply = apply
        self._seen = self._stamp()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the file if it seems to have changed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            content = Path(self._path).read_bytes()
        except OSError as error:
            log.error("cannot read %s: %s; what was in force before stays", self._path, error.strerror)
            return
        if content == self._content:
            return
        self._content = content
        try:
            self._apply(content)
        except ConfigurationError as error:
            log.error("%s; what was in force before stays", error)
        else:
            log.info("%s changed and was read again", self._path)

    def _stamp(self) -> tuple[int, int, int] | None:
        # a mounted ConfigMap is a link that comes to point elsewhere: stat follows it
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns
