"""The most recent changes of a resource, for watchers that come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from knarr.watchcache.change import Change


class Ring:
    """At most `changes_max` changes, in revision order; beyond that the oldest are forgotten."""

    __slots__ = ("_changes", "floor")

    def __init__(self, changes_max: int, floor: int) -> None:
        self._changes: deque[Change] = deque(maxlen=changes_max)
        #: every change after this revision is here
        self.floor = floor

    def __len__(self) -> int:
        return len(self._changes)

    def extend(self, changes: Iterable[Change]) -> None:
        held = self._changes
        for change in changes:
            if len(held) == held.maxlen:
                # Of this revision some changes may still be here, but whoever asks from it on wants none of them.
                self.floor = held[0].revision if held else change.revision
            held.append(change)

    def since(self, revision: int) -> list[Change]:
        """The changes after `revision`, which must not be before `floor`; costs only what it answers."""
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            found.append(change)
        found.reverse()
        return found
