"""Without priority and fairness: so many reads and so many writes at once, and everybody else is sent away."""

from __future__ import annotations

from knarr.apiserver.exchange import Exchange
from knarr.meta import errors

READING = frozenset({"get", "list", "watch"})
PRIVILEGED_GROUP = "system:masters"
TOO_MANY = "Too many requests, please try again later."


class InFlight:
    """A limit of 0 is none. Members of system:masters are never sent away, requests that last are never counted."""

    def __init__(self, reading: int, mutating: int) -> None:
        self._limits = (reading, mutating)
        self.counts = [0, 0]
        #: how many were sent away: reading, mutating
        self.dropped = [0, 0]

    def start(self, x: Exchange) -> int | None:
        """Which of the counts the request is in, to be handed to `finish`; None where it is in neither. Raises 429."""
        if x.long_running:
            return None
        kind = 0 if x.request.verb in READING else 1
        limit = self._limits[kind]
        if not limit or (self.counts[kind] >= limit and PRIVILEGED_GROUP in x.request.user.groups):
            return None
        if self.counts[kind] >= limit:
            self.dropped[kind] += 1
            raise errors.told_to_wait(TOO_MANY)
        self.counts[kind] += 1
        return kind

    def finish(self, kind: int | None) -> None:
        if kind is not None:
            self.counts[kind] -= 1
