"""PrioritySort: the most important pod first, then the one that waits longest."""

from __future__ import annotations

from knarr.scheduler.framework import Plugin


class PrioritySort(Plugin):
    """spec.priority, then the time since which the pod is in the queue."""

    name = "PrioritySort"

    def sort_key(self, priority: int, since: float) -> tuple[int, float]:
        return -priority, since
