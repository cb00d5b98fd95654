"""One watch of one client: what it selects, where its events go, when it gets bookmarks and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from knarr.watchcache.representation import Representation
from knarr.watchcache.selection import Selection

if TYPE_CHECKING:
    from knarr.watchcache.cacher import Cacher

#: bytes a client may leave unread before its watch is closed; it then watches again from where it was
UNSENT_BYTES_MAX = 4 << 20
#: about how often a quiet watch is told the newest revision
BOOKMARK_SECONDS = 55.0
BOOKMARK_JITTER = 0.2
#: a watch with a timeout gets one more bookmark so long before its end, so that its client can go on from there
BOOKMARK_BEFORE_END_SECONDS = 2.0

#: why a watch ended
SLOW, TIMEOUT, ENDED, FAILED = "slow", "timeout", "ended", "failed"


class Watcher:
    """A running watch. Made by `Cacher.watch`; it holds timers, so end it with `close`."""

    __slots__ = (
        "_allowance",
        "_bookmark_timer",
        "_cacher",
        "_closed",
        "_end",
        "_end_timer",
        "_send",
        "_unsent",
        "active",
        "after",
        "representation",
        "revision",
        "selection",
        "unsent_bytes_max",
    )

    def __init__(
        self,
        cacher: Cacher,
        selection: Selection,
        send: Callable[[Any], None],
        representation: Representation,
        after: int,
        unsent: Callable[[], int] | None,
        unsent_bytes_max: int,
        closed: Callable[[str], None] | None,
    ) -> None:
        self._cacher = cacher
        self.selection = selection
        self._send = send
        self.representation = representation
        #: changes up to this revision are not for this watcher
        self.after = after
        #: the revision at which the watch began: the present state, if it was asked for, is of this revision
        self.revision = after
        self._unsent = unsent
        self.unsent_bytes_max = unsent_bytes_max
        #: unread bytes on top of the bound that are the initial events' and not the client's slowness
        self._allowance = 0
        self._closed = closed
        self.active = True
        self._end: float | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._bookmark_timer: asyncio.TimerHandle | None = None

    # -- events ----------------------------------------------------------------------------------------------

    def deliver(self, payload: Any) -> None:
        """Send, unless the client left too much unread: then the watch ends. So does one whose `send` raises."""
        if not self.active:
            return
        try:
            if self._unsent is not None:
                unsent = self._unsent()
                if unsent > self.unsent_bytes_max + self._allowance:
                    self.end(SLOW)
                    return
                if unsent < self._allowance:
                    self._allowance = unsent
            self._send(payload)
        except Exception as error:  # one broken client must not keep the others from their events
            self._report(error)
            self.end(FAILED)

    def _report(self, error: Exception) -> None:
        context = {"message": "a watcher's send raised; its watch was closed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)

    def deliver_initial(self, payload: Any) -> None:
        """Send what the client asked for by watching; as large as it is, it does not count against the bound.

        The sink may hold it back until the answer's headers are out, so its own count is not enough.
        """
        self._send(payload)
        if self._unsent is not None:
            size = len(payload) if isinstance(payload, bytes) else 0
            self._allowance = max(self._unsent(), self._allowance + size)

    # -- timers ----------------------------------------------------------------------------------------------

    def start_timers(self, bookmarks: bool, timeout: float | None) -> None:
        """`timeout` in seconds ends the watch; `bookmarks` come about every minute and shortly before the end."""
        if timeout is None and not bookmarks:
            return
        loop = asyncio.get_running_loop()
        if timeout is not None:
            self._end = loop.time() + timeout
            self._end_timer = loop.call_at(self._end, self.end, TIMEOUT)
        if bookmarks:
            self._plan_bookmark(loop)

    def _plan_bookmark(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        at = now + self._cacher.chance.jitter(BOOKMARK_SECONDS, BOOKMARK_JITTER)
        if self._end is not None:
            last = self._end - BOOKMARK_BEFORE_END_SECONDS
            if now < last < at:
                at = last
        self._bookmark_timer = loop.call_at(at, self._bookmark, loop)

    def _bookmark(self, loop: asyncio.AbstractEventLoop) -> None:
        self.send_bookmark()
        if self.active:
            self._plan_bookmark(loop)

    def send_bookmark(self, initial_events_end: bool = False) -> None:
        """Tell the client the newest revision: it has seen everything it selects up to there."""
        cacher = self._cacher
        if cacher.revision < self.after:
            return  # it watches from the future; nothing is known about that yet
        event = cacher.bookmark(initial_events_end)
        payload = self.representation.payload([event])
        if initial_events_end:
            self.deliver_initial(payload)
        else:
            self.deliver(payload)

    # -- the end ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the watch from the client's side: nothing is called after this returns. May be called twice."""
        self._closed = None
        self.end(ENDED)

    def end(self, why: str) -> None:
        """End the watch from the server's side: `closed(why)` is called once."""
        if not self.active:
            return
        self.active = False
        for timer in (self._end_timer, self._bookmark_timer):
            if timer is not None:
                timer.cancel()
        self._end_timer = self._bookmark_timer = None
        self._cacher.leave(self)
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(why)
