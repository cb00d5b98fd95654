"""What is stored of each resource, what its watch cache does, and how long writes take."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from knarr.meta.metrics import Family, Labels, Sample, buckets
from knarr.registry.registry import Registry
from knarr.registry.storage import Storage

#: (name, type, help, value) of what is told of every resource
Row = tuple[str, str, str, Callable[[Storage], float]]
ROWS: tuple[Row, ...] = (
    (
        "apiserver_resource_objects",
        "gauge",
        "Objects stored, by group and resource.",
        lambda s: len(s.cacher),
    ),
    (
        "apiserver_resource_size_estimate_bytes",
        "gauge",
        "How large they are together, judged by a few of them.",
        lambda s: len(s.cacher) * s.cacher.average_bytes,
    ),
    (
        "apiserver_storage_events_received_total",
        "counter",
        "Changes the store told of.",
        lambda s: s.cacher.received,
    ),
    ("apiserver_init_events_total", "counter", "Events of watches that began.", lambda s: s.cacher.initial),
    (
        "apiserver_watch_cache_events_received_total",
        "counter",
        "Changes taken in.",
        lambda s: s.cacher.received,
    ),
    (
        "apiserver_watch_cache_events_dispatched_total",
        "counter",
        "Changes told.",
        lambda s: s.cacher.received if s.cacher.watcher_count else 0,
    ),
    ("apiserver_watch_cache_initializations_total", "counter", "How often it was filled.", lambda s: 1),
    (
        "apiserver_watch_cache_resource_version",
        "gauge",
        "As of which revision it is.",
        lambda s: s.cacher.revision,
    ),
    ("watch_cache_capacity", "gauge", "Changes it remembers.", lambda s: s.cacher.capacity),
)


#: of lists that the cache answered; they are told apart by its index, which it has none of
LISTS: tuple[tuple[str, str, dict[str, str], Callable[[Storage], float]], ...] = (
    ("apiserver_cache_list_total", "Lists that the cache answered.", {"index": ""}, lambda s: s.reads.lists),
    (
        "apiserver_cache_list_fetched_objects_total",
        "Objects that were looked at for them.",
        {"index": ""},
        lambda s: s.reads.looked_at,
    ),
    (
        "apiserver_cache_list_returned_objects_total",
        "Objects that were in them.",
        {},
        lambda s: s.reads.returned,
    ),
    (
        "apiserver_watch_cache_consistent_read_total",
        "Those of the newest state.",
        {"success": "true", "fallback": "false"},
        lambda s: s.reads.consistent,
    ),
)


def families(registry: Registry, size: int) -> Iterator[Family]:
    """`size` is the store's, in bytes."""
    storages = list(registry.storages())
    for name, kind, words, value in ROWS:
        yield Family(name, kind, words, [("", _names(s), value(s)) for s in storages])
    for name, words, more, count in LISTS:
        samples: list[Sample] = [("", {**_names(s), **more}, n) for s in storages if (n := count(s))]
        yield Family(name, "counter", words, samples)
    yield Family(
        "apiserver_storage_objects",
        "gauge",
        "Objects stored, by resource.",
        [("", {"resource": _name(s)}, len(s.cacher)) for s in storages],
    )
    yield Family(
        "apiserver_watch_events_total",
        "counter",
        "Events sent to watchers.",
        [("", {**_names(s), "version": s.row.version}, s.cacher.sent) for s in storages],
    )
    yield Family(
        "apiserver_storage_size_bytes",
        "gauge",
        "The size of the store.",
        [("", {"storage_cluster_id": "etcd-0"}, size)],
    )
    yield Family(
        "etcd_debugging_mvcc_current_revision",
        "gauge",
        "The newest revision.",
        [("", {}, registry.store.revision)],
    )
    yield from _writes(storages)


def _writes(storages: list[Storage]) -> Iterator[Family]:
    """Reads are the cache's, so that the store is asked for writes only."""
    rows = [
        ({"operation": operation, **_names(s)}, row)
        for s in storages
        for operation, row in s.durations.items()
    ]
    counts: list[Sample] = [("", labels, row.count) for labels, row in rows]
    yield Family("etcd_requests_total", "counter", "Writes that the store was asked for.", counts)
    yield Family(
        "etcd_request_duration_seconds",
        "histogram",
        "How long they took, in seconds.",
        [
            sample
            for labels, row in rows
            for sample in buckets(labels, row.bounds, row.buckets, row.total, row.count)
        ],
    )


def _names(storage: Storage) -> Labels:
    return {"group": storage.row.group, "resource": storage.row.name}


def _name(storage: Storage) -> str:
    row = storage.row
    return f"{row.name}.{row.group}" if row.group else row.name
