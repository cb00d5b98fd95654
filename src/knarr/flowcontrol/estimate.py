"""How many seats a request takes: most take one, lists by what they read, writes by who watches (KEP-1040)."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple, Protocol

from knarr.registry.context import Request

#: a list takes a seat for so many bytes, and what is sent piece by piece never needs more memory than the second
BYTES_PER_SEAT, STREAMED_BYTES_MAX = 100_000, 1_000_000
#: what an object may be at most, taken for its size where nothing is known
OBJECT_BYTES_MAX = 1_500_000
LIST_SEATS_MAX, SEATS_MAX = 100, 10
WATCHERS_PER_SEAT = 10.0
#: how long telling a seat's watchers takes
EVENT_SECONDS = 0.005
#: no request takes more than this part of its level
LEVEL_PART = 0.15


class Loads(Protocol):
    """How much there is to read, and who is to be told (registry.Registry)."""

    def load(self, group: str, resource: str) -> tuple[int, int] | None:
        """(objects, their average size in bytes); None for what is not stored here."""

    def watchers(self, group: str, resource: str, namespace: str, name: str) -> int:
        """How many a change of an object concerns."""


class Work(NamedTuple):
    """`seats` while it runs, then `final_seats` for `final_seconds` more, when nobody waits for it any longer."""

    seats: int = 1
    final_seats: int = 0
    final_seconds: float = 0.0

    @property
    def width(self) -> int:
        return max(self.seats, self.final_seats)


ONE = Work()


def seats_max(nominal: int, hand: int) -> int:
    """Of one request at a level."""
    return max(1, int(min(LEVEL_PART * nominal, nominal / max(1, hand))))


#: requests that watchers are told of
WRITES = frozenset({"create", "update", "patch", "delete"})


def work_of(request: Request, loads: Loads, level_max: int, watchers: int = 0) -> Work:
    """What a request that is not exempt costs; `watchers` is how many a write concerns."""
    verb = request.verb
    if verb == "list" or (verb == "watch" and request.query.get("sendInitialEvents") == "true"):
        return _list(request, loads, min(level_max, LIST_SEATS_MAX))
    if verb in WRITES and watchers >= WATCHERS_PER_SEAT:
        return _write(request, watchers, min(level_max, SEATS_MAX))
    return ONE


def _list(request: Request, loads: Loads, most: int) -> Work:
    load = loads.load(request.group, request.resource)
    if load is None:
        return ONE
    objects, object_bytes = load
    if objects and object_bytes <= 0:
        object_bytes = OBJECT_BYTES_MAX
    if request.name:
        objects = 1
    elif (limit := request.query.get("limit", "")).isdigit() and int(limit):
        objects = min(objects, int(limit))
    in_memory = min(objects * object_bytes, STREAMED_BYTES_MAX)
    return Work(max(1, min(most, ceil(in_memory / BYTES_PER_SEAT))))


def _write(request: Request, watchers: int, most: int) -> Work:
    # Tokens of service accounts are not stored: nobody is told.
    if request.subresource == "token" and request.resource == "serviceaccounts":
        return ONE
    final = ceil(watchers / WATCHERS_PER_SEAT)
    work = final * EVENT_SECONDS
    final = min(final, most)
    return Work(1, final, work / final)
