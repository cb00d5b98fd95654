"""The watch cache: each resource's objects and recent changes in memory, and who is told of them."""

from __future__ import annotations

from knarr.watchcache.cacher import Cacher
from knarr.watchcache.change import Change, WatchEvent
from knarr.watchcache.entry import Attributes, Entry
from knarr.watchcache.representation import EVENTS, JSON, TRIPLES, Frames, Representation
from knarr.watchcache.selection import EVERYTHING, Selection
from knarr.watchcache.watchcache import WatchCache
from knarr.watchcache.watcher import Watcher

__all__ = [
    "EVENTS",
    "EVERYTHING",
    "JSON",
    "TRIPLES",
    "Attributes",
    "Cacher",
    "Change",
    "Entry",
    "Frames",
    "Representation",
    "Selection",
    "WatchCache",
    "WatchEvent",
    "Watcher",
]
