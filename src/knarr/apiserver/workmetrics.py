"""workqueue_*: the queues of this process's controllers."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.meta.histogram import Histogram
from knarr.meta.metrics import Family, buckets


def families() -> Iterator[Family]:
    """The queues of this process's controllers, by name."""
    from knarr.client.workqueue import QUEUES

    queues = sorted((queue for queue in QUEUES if queue.name), key=lambda queue: queue.name)
    rows = (
        ("workqueue_adds_total", "counter", "Items added.", "adds"),
        ("workqueue_retries_total", "counter", "Items added again after a failure.", "retries"),
        ("workqueue_depth", "gauge", "Items that wait.", "depth"),
        (
            "workqueue_unfinished_work_seconds",
            "gauge",
            "How long the work under way has taken so far.",
            "unfinished_seconds",
        ),
        (
            "workqueue_longest_running_processor_seconds",
            "gauge",
            "How long the longest of it has.",
            "longest_seconds",
        ),
    )
    for name, kind, words, field in rows:
        totals: dict[str, float] = {}
        for queue in queues:
            totals[queue.name] = totals.get(queue.name, 0) + getattr(queue, field)
        yield Family(name, kind, words, [("", {"name": queue}, total) for queue, total in totals.items()])
    for name, words, field in (
        ("workqueue_queue_duration_seconds", "How long items waited.", "waited"),
        ("workqueue_work_duration_seconds", "How long work on them took.", "worked"),
    ):
        found: dict[str, Histogram] = {}
        for queue in queues:
            seen = getattr(queue, field)
            found.setdefault(queue.name, Histogram(seen.bounds)).add(seen)
        samples = [
            sample
            for queue_name, h in found.items()
            for sample in buckets({"name": queue_name}, h.bounds, h.buckets, h.total, h.count)
        ]
        yield Family(name, "histogram", words, samples)
