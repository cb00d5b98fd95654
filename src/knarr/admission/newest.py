"""Choosing among objects that are marked as the default."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]


def newest_default(objects: Iterable[Object], annotations: Iterable[str]) -> Object | None:
    """The one marked "true" that was created last; of equally old ones the first by name."""
    annotations = tuple(annotations)
    marked = [
        o
        for o in objects
        if any((o["metadata"].get("annotations") or {}).get(key) == "true" for key in annotations)
    ]
    marked.sort(key=lambda o: o["metadata"]["name"])
    return max(marked, key=lambda o: o["metadata"].get("creationTimestamp") or "", default=None)
