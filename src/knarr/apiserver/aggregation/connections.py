"""Connections to extension servers that are open and wait for their next request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

from knarr.apiserver.streaming.forward import Streams

#: as long, and as many to one server, as are kept; the oldest goes first
IDLE_SECONDS, IDLE_MAX = 90.0, 100


class Idle:
    """By what makes two connections the same: addresses, name, trust."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[tuple[float, Streams]]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, key: Hashable) -> Streams | None:
        """The one that was used last, if the other side has not closed it meanwhile."""
        waiting = self._waiting.get(key)
        while waiting:
            _, streams = waiting.pop()
            if usable(streams):
                return streams
            streams[1].close()
        return None

    def put(self, key: Hashable, streams: Streams) -> None:
        """It has answered completely."""
        if not usable(streams):
            streams[1].close()
            return
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(key, deque())
        waiting.append((loop.time() + IDLE_SECONDS, streams))
        if len(waiting) > IDLE_MAX:
            waiting.popleft()[1][1].close()
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_SECONDS, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        for key, waiting in list(self._waiting.items()):
            while waiting and (waiting[0][0] <= loop.time() or not usable(waiting[0][1])):
                waiting.popleft()[1][1].close()
            if not waiting:
                del self._waiting[key]
        if self._waiting:
            self._sweep = loop.call_later(IDLE_SECONDS, self._expire)

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for waiting in self._waiting.values():
            for _, (_, writer) in waiting:
                writer.close()
        self._waiting.clear()


def usable(streams: Streams) -> bool:
    reader, writer = streams
    return not reader.at_eof() and reader.exception() is None and not writer.is_closing()
