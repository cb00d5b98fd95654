"""Requests that take too long are answered 504, whatever they are waiting for.

Nearly all requests have the same deadline, so they come due in the order in which they began: one timer for the
oldest of them is enough, and a request costs an entry in a dict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from knarr.apiserver.exchange import Exchange
from knarr.meta import errors
from knarr.meta.durations import parse_go_duration

log = logging.getLogger("knarr.apiserver")

INVALID = "invalid timeout specified in the request URL"


class Deadlines:
    """The requests under way that must end; `late` answers one whose time is up."""

    def __init__(self, seconds: float, late: Callable[[Exchange], None]) -> None:
        self.seconds = seconds
        self._late = late
        #: with the server's own deadline, oldest first: when, on the loop's clock
        self._usual: dict[Exchange, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._shorter: dict[Exchange, asyncio.TimerHandle] = {}
        #: who waits until no request is under way
        self._waiter: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._usual) + len(self._shorter)

    def under_way(self) -> Iterator[Exchange]:
        yield from self._usual
        yield from self._shorter

    def begin(self, x: Exchange) -> None:
        """Watch over a request. Raises 400 for a `timeout` that is no duration."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        query = x.request.query
        if query and (text := query.get("timeout")) is not None and self._is_short(x, text):
            self._shorter[x] = loop.call_later(x.seconds, self._expired, x)
            return
        self._usual[x] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self.seconds, self._look)

    def _is_short(self, x: Exchange, text: str) -> bool:
        """Whether the request asks for less time than it may take; none at all asks for nothing."""
        try:
            seconds = parse_go_duration(text)
        except ValueError as error:
            x.seconds = -1.0
            raise errors.bad_request(f"{INVALID} - {error}") from None
        if 0 < seconds < self.seconds:
            x.seconds = seconds
        return x.seconds > 0

    def end(self, x: Exchange) -> None:
        """The request is over."""
        if self._usual.pop(x, None) is None and (timer := self._shorter.pop(x, None)) is not None:
            timer.cancel()
        if self._waiter is not None and not len(self):
            self._waiter.set()

    async def wait_until_none(self, seconds: float) -> None:
        """Until no request is under way, or the time is up."""
        if not len(self):
            return
        self._waiter = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter.wait()
        except TimeoutError:
            log.warning("%d requests were still under way when the server stopped", len(self))

    def _look(self) -> None:
        """Whose time is up; then wait for the next."""
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        for x in [x for x, until in self._usual.items() if until <= now]:
            self._expired(x)
        if self._usual:
            self._timer = loop.call_at(next(iter(self._usual.values())), self._look)

    def _expired(self, x: Exchange) -> None:
        self.end(x)
        self._late(x)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
