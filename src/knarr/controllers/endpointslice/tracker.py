"""Which slices were written and are not yet seen: a plan made of an old state would write them twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.client.objects import Key, meta_of


class SliceTracker:
    """Per service the newest generation of each slice that we wrote."""

    def __init__(self) -> None:
        self._written: dict[Key, dict[str, int]] = {}
        self._deleting: set[str] = set()

    def wrote(self, key: Key, piece: Any) -> None:
        """A slice as the API server answered it."""
        known = self._written.setdefault(key, {})
        uid = meta_of(piece, "uid")
        known[uid] = max(meta_of(piece, "generation") or 0, known.get(uid, 0))

    def deleting(self, key: Key, piece: Any) -> None:
        """We ask for its deletion."""
        self._written.get(key, {}).pop(piece.metadata.uid, None)
        self._deleting.add(piece.metadata.uid)

    def gone(self, key: Key, piece: Any) -> bool:
        """Its deletion was seen; True where it was not we who asked for it."""
        self._written.get(key, {}).pop(piece.metadata.uid, None)
        if piece.metadata.uid in self._deleting:
            self._deleting.discard(piece.metadata.uid)
            return False
        return True

    def is_news(self, key: Key, piece: Any) -> bool:
        """Somebody else wrote this state."""
        return self._written.get(key, {}).get(piece.metadata.uid, -1) < (piece.metadata.generation or 0)

    def is_stale(self, key: Key, slices: Iterable[Any]) -> bool:
        """True where `slices` lack something that we wrote."""
        seen = {piece.metadata.uid: piece.metadata.generation or 0 for piece in slices}
        return any(seen.get(uid, -1) < generation for uid, generation in self._written.get(key, {}).items())

    def forget(self, key: Key) -> None:
        self._written.pop(key, None)
