"""One priority level: seats, queues, and who goes next (KEP-1040). Pure: time is an argument, nobody waits here.

Every request lands in one of a few queues of its flow's hand. Virtual time R runs at the rate at which each busy queue
would get seats if all were served at once; the queue whose head would finish first in that ideal goes next. What a
request will take is guessed when it starts and put right when it ends.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from knarr.flowcontrol.demand import Meter

#: how long a request is taken to last until it has ended, seconds
SERVICE_GUESS = 0.003


@dataclass(frozen=True)
class Shape:
    """The limits of a level. `queues` 0: nothing waits. `queue_length` counts requests per queue."""

    seats: int
    queues: int = 0
    hand: int = 1
    queue_length: int = 0


@dataclass(slots=True, eq=False)
class Entry:
    """One request in a level, from its arrival to its end."""

    queue: Queue
    width: int
    arrived: float
    started: float | None = None
    #: the level's virtual time when it arrived
    arrival: float = 0.0
    #: whose it is, for who looks at the queues
    owner: Any = None


@dataclass(slots=True, eq=False)
class Queue:
    index: int
    #: in virtual time, when the next of its requests would start
    next_start: float = 0.0
    seats_in_use: int = 0
    waiting: deque[Entry] = field(default_factory=deque)
    seats_waiting: int = 0

    @property
    def active(self) -> bool:
        return bool(self.seats_in_use or self.waiting)


class Rejected(Exception):
    """No seat, and no place to wait; the text is the reason as Kubernetes' metrics name it."""


class FairQueues:
    """The state machine: `arrive`, `finish` and `abandon` are its only events."""

    def __init__(self, shape: Shape, now: float = 0.0) -> None:
        self.shape = shape
        self.queues = [Queue(i) for i in range(max(1, shape.queues))]
        self.seats_in_use = 0
        self.seats_waiting = 0
        self.requests_waiting = 0
        self.running: set[Entry] = set()
        #: seats wanted: in use and waited for
        self.demand = Meter(now)
        #: virtual times of the last dispatch: of the level then, and of the request
        self.dispatched_at = self.last_start = 0.0
        self._active = 0
        self._virtual = 0.0
        self._at = now
        self._robin = 0

    # -- events ------------------------------------------------------------------------------------------

    def arrive(self, now: float, hand: Sequence[int], width: int = 1) -> Entry:
        """Take a seat (`started` is set) or a place in the shortest queue of the hand; Rejected if neither is free."""
        shape = self.shape
        if width > shape.seats:
            width = max(1, shape.seats)
        queue = self._shortest(hand)
        free = not self.requests_waiting and self.seats_in_use + width <= shape.seats
        if not free:
            if not shape.queues:
                raise Rejected("concurrency-limit")
            if len(queue.waiting) >= shape.queue_length:
                raise Rejected("queue-full")
        self._advance(now)
        if not queue.seats_in_use and not queue.waiting:
            self._active += 1
            queue.next_start = self._virtual
        entry = Entry(queue, width, now, arrival=self._virtual)
        if free:
            self._start(entry, now)
        else:
            queue.waiting.append(entry)
            queue.seats_waiting += width
            self.seats_waiting += width
            self.requests_waiting += 1
        self.demand.set(self.seats_in_use + self.seats_waiting, now)
        return entry

    def finish(self, entry: Entry, now: float) -> list[Entry]:
        """A started request ended: its seats go to those returned, which start now."""
        self._advance(now)
        queue = entry.queue
        # the guess made at the start gives way to what was really used
        queue.next_start -= (SERVICE_GUESS - (now - entry.started)) * entry.width
        queue.seats_in_use -= entry.width
        self.seats_in_use -= entry.width
        self.running.discard(entry)
        if not queue.seats_in_use and not queue.waiting:
            self._active -= 1
        else:
            _bound(queue)
        started = self._dispatch(now) if self.requests_waiting else []
        self.demand.set(self.seats_in_use + self.seats_waiting, now)
        return started

    def abandon(self, entry: Entry, now: float) -> list[Entry]:
        """A waiting request gives up; others may fit now."""
        self._advance(now)
        queue = entry.queue
        queue.waiting.remove(entry)
        self._unqueue(entry)
        if not queue.seats_in_use and not queue.waiting:
            self._active -= 1
        else:
            _bound(queue)
        started = self._dispatch(now)
        self.demand.set(self.seats_in_use + self.seats_waiting, now)
        return started

    def reshape(self, shape: Shape, now: float) -> list[Entry]:
        """New limits; who waits keeps his place, surplus queues are no longer dealt and drain."""
        self._advance(now)
        self.shape = shape
        self.queues += [Queue(i) for i in range(len(self.queues), shape.queues)]
        return self._dispatch(now)

    # -- virtual time ------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        if self._active:
            wanted = self.seats_in_use + self.seats_waiting
            rate = min(wanted, self.shape.seats) / self._active
            self._virtual += (now - self._at) * rate
        self._at = now

    def _start(self, entry: Entry, now: float) -> None:
        queue = entry.queue
        entry.started = now
        self.dispatched_at, self.last_start = self._virtual, queue.next_start
        queue.next_start += SERVICE_GUESS * entry.width
        queue.seats_in_use += entry.width
        self.seats_in_use += entry.width
        self.running.add(entry)

    def _unqueue(self, entry: Entry) -> None:
        entry.queue.seats_waiting -= entry.width
        self.seats_waiting -= entry.width
        self.requests_waiting -= 1

    def _dispatch(self, now: float) -> list[Entry]:
        started: list[Entry] = []
        while self.requests_waiting:
            queue = self._next()
            entry = queue.waiting[0]
            # the chosen one waits for room rather than letting a narrower one pass: else the wide would starve
            seats = self.shape.seats
            if not seats or (self.seats_in_use and self.seats_in_use + entry.width > seats):
                break
            queue.waiting.popleft()
            self._unqueue(entry)
            self._start(entry, now)
            _bound(queue)
            started.append(entry)
        return started

    def _next(self) -> Queue:
        """The queue whose head would finish first in virtual time; ties go round."""
        count = len(self.queues)
        best: Queue | None = None
        best_finish = 0.0
        for step in range(1, count + 1):
            queue = self.queues[(self._robin + step) % count]
            if not queue.waiting:
                continue
            finish = queue.next_start + SERVICE_GUESS * queue.waiting[0].width
            if best is None or finish < best_finish:
                best, best_finish = queue, finish
        assert best is not None, "asked for a queue while nobody waits"
        self._robin = best.index
        return best

    def _shortest(self, hand: Sequence[int]) -> Queue:
        queues = self.queues
        if len(hand) == 1:
            return queues[hand[0]]
        best, best_load = queues[hand[0]], -1
        for index in hand:
            queue = queues[index]
            load = queue.seats_in_use + queue.seats_waiting
            if not load:
                return queue
            if best_load < 0 or load < best_load:
                best, best_load = queue, load
        return best

    @property
    def virtual(self) -> float:
        """The level's progress: seat-seconds that each busy queue has got so far."""
        return self._virtual

    @property
    def idle(self) -> bool:
        return not self.seats_in_use and not self.requests_waiting


def _bound(queue: Queue) -> None:
    """What a queue saved up counts from the arrival of its oldest request on, no further back: else who was served
    quickly before could keep the others waiting now."""
    if queue.waiting and queue.next_start < queue.waiting[0].arrival:
        queue.next_start = queue.waiting[0].arrival


class Unlimited(FairQueues):
    """An exempt level: everybody runs at once (ticket.Pass), and is counted because what they use others cannot
    have."""

    def reshape(self, shape: Shape, now: float) -> list[Entry]:
        self.demand.value = self.seats_in_use
        self.shape = shape
        return []


def deal(flow: str, deck: int, hand: int) -> tuple[int, ...]:
    """The queues that a flow may use: `hand` different ones of `deck`, by shuffle sharding.

    Two flows rarely share their whole hand, so one that floods its queues leaves others a free one.
    """
    if deck <= 1:
        return (0,)
    seed = int.from_bytes(hashlib.sha256(flow.encode()).digest()[:8], "big")
    left = list(range(deck))
    dealt = []
    for _ in range(min(hand, deck)):
        seed, card = divmod(seed, len(left))
        dealt.append(left.pop(card))
    return tuple(dealt)
