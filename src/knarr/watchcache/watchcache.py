"""The caches of all resources over one store."""

from __future__ import annotations

from typing import Any

from knarr.store.base import Store
from knarr.watchcache.cacher import Cacher
from knarr.watchcache.entry import Extract
from knarr.world import World


class WatchCache:
    """Opens caches by prefix. Each has a store watch of its own: the store finds it by one binary search per change."""

    def __init__(self, store: Store, world: World | None = None) -> None:
        self.store = store
        self._world = world or World()
        self._cachers: dict[bytes, Cacher] = {}

    def open(self, prefix: bytes, namespaced: bool, attributes: Extract, **options: Any) -> Cacher:
        """The cache of a prefix, made when first asked for; `options` are those of `Cacher`."""
        cacher = self._cachers.get(prefix)
        if cacher is None:
            cacher = self._cachers[prefix] = Cacher(
                self.store, prefix, attributes=attributes, namespaced=namespaced, world=self._world, **options
            )
        return cacher

    def close(self, prefix: bytes) -> None:
        """A resource went away: its watches end."""
        cacher = self._cachers.pop(prefix, None)
        if cacher is not None:
            cacher.close()

    def close_all(self) -> None:
        """The server stops: all watches end."""
        for prefix in list(self._cachers):
            self.close(prefix)
