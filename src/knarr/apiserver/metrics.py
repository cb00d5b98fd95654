"""/metrics in Prometheus' text format, under the names a kube-apiserver uses where it counts the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from knarr.apiserver import flowmetrics
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.health import VERSION, Health
from knarr.apiserver.metricformat import CONTENT_TYPE, lines
from knarr.apiserver.requestmetrics import READING, RequestMetrics
from knarr.meta.histogram import Histogram
from knarr.meta.metrics import Family, Labels, Sample, buckets
from knarr.registry.registry import Registry
from knarr.registry.storage import Storage


class Metrics:
    """What is scraped of one API server. `sources` give further families when asked."""

    def __init__(
        self, registry: Registry, handler: APIHandler, health: Health, size: Callable[[], int]
    ) -> None:
        self._registry, self._handler, self._health, self._size = registry, handler, health, size
        self._started = handler.world.clock.now()
        self._requests = RequestMetrics(registry, handler)
        self.sources: list[Callable[[], Iterable[Family]]] = []
        handler.paths["/metrics"] = self.serve
        handler.paths["/metrics/slis"] = self.indicators

    async def serve(self, x: Exchange) -> None:
        text = "".join(lines(self.families()))
        self._handler.responder.send(x, 200, CONTENT_TYPE, text.encode())

    async def indicators(self, x: Exchange) -> None:
        """Whether the health checks pass, as numbers."""
        checks = self._health.results()
        samples: list[Sample] = [
            ("", {"name": name, "type": type_}, float(why is None))
            for type_, found in checks.items()
            for name, why in found.items()
        ]
        family = Family(
            "kubernetes_healthcheck", "gauge", "Whether a health check passes (1) or not.", samples
        )
        total = Family(
            "kubernetes_healthchecks_total",
            "counter",
            "How often health checks were made, by how they ended.",
            [
                ("", {"name": name, "status": status, "type": type_}, count)
                for (type_, name, status), count in self._health.counts.items()
            ],
        )
        self._handler.responder.send(x, 200, CONTENT_TYPE, "".join(lines([family, total])).encode())

    def families(self) -> Iterator[Family]:
        yield from self._requests.families()
        yield from self._storage()
        yield from self._caches()
        yield from self._admitted()
        yield from self._audited()
        yield from work_queues()
        yield Family("kubernetes_build_info", "gauge", "The version, as labels.", [("", build(), 1)])
        yield Family("version_info", "gauge", "Which versions it is compatible with.", [("", versions(), 1)])
        yield from process(self._started)
        for source in self.sources:
            yield from source()

    def _audited(self) -> Iterator[Family]:
        auditor = self._handler.auditor
        if auditor is None:
            for name in ("apiserver_audit_event_total", "apiserver_audit_requests_rejected_total"):
                yield Family(name, "counter", "Nothing is audited without a policy.", [("", {}, 0)])
            return
        for name, words, found in auditor.metrics():
            yield Family(name, "counter", words, [("", labels, value) for labels, value in found])

    def _admitted(self) -> Iterator[Family]:
        """Of priority and fairness, or of the plain limits."""
        flow, in_flight = self._handler.flow, self._handler.in_flight
        if flow is not None:
            yield from flowmetrics.families(flow)
            waiting = [0, 0]
            for level in flow.all_levels():
                for queue in level.queues.queues:
                    for entry in queue.waiting:
                        waiting[entry.owner.request.verb not in READING] += 1
            yield Family(
                "apiserver_current_inqueue_requests",
                "gauge",
                "Requests that wait for a seat.",
                [("", {"request_kind": kind}, n) for kind, n in zip(KINDS, waiting, strict=True)],
            )
        elif in_flight is not None:
            yield Family(
                "apiserver_dropped_requests_total",
                "counter",
                "Requests sent away.",
                [("", {"request_kind": kind}, n) for kind, n in zip(KINDS, in_flight.dropped, strict=True)],
            )

    def _storage(self) -> Iterator[Family]:
        storages = list(self._registry.storages())
        counts = [(s.row, len(s.cacher)) for s in storages]
        yield Family(
            "apiserver_storage_objects",
            "gauge",
            "Objects stored, by resource.",
            [("", {"resource": f"{r.name}.{r.group}" if r.group else r.name}, n) for r, n in counts],
        )
        yield Family(
            "apiserver_resource_objects",
            "gauge",
            "Objects stored, by group and resource.",
            [("", {"group": r.group, "resource": r.name}, n) for r, n in counts],
        )
        yield Family(
            "apiserver_resource_size_estimate_bytes",
            "gauge",
            "How large they are together, judged by a few of them.",
            [("", _names(s), len(s.cacher) * s.cacher.average_bytes) for s in storages],
        )
        yield Family(
            "apiserver_storage_size_bytes",
            "gauge",
            "The size of the store.",
            [("", {"storage_cluster_id": "knarr"}, self._size())],
        )
        yield Family(
            "etcd_debugging_mvcc_current_revision",
            "gauge",
            "The newest revision.",
            [("", {}, self._registry.store.revision)],
        )

    def _caches(self) -> Iterator[Family]:
        """The watch caches and what they told their watchers."""
        storages = list(self._registry.storages())
        rows: tuple[tuple[str, str, str, Callable[[Storage], float]], ...] = (
            ("apiserver_watch_cache_events_received_total", "counter", "Changes taken in.", _received),
            ("apiserver_watch_cache_events_dispatched_total", "counter", "Changes told.", _dispatched),
            (
                "apiserver_watch_cache_initializations_total",
                "counter",
                "How often it was filled.",
                lambda s: 1,
            ),
            ("apiserver_watch_cache_resource_version", "gauge", "As of which revision it is.", _revision),
            ("watch_cache_capacity", "gauge", "Changes it remembers.", lambda s: s.cacher.capacity),
        )
        for name, kind, words, value in rows:
            yield Family(name, kind, words, [("", _names(s), value(s)) for s in storages])
        yield Family(
            "apiserver_watch_events_total",
            "counter",
            "Events sent to watchers.",
            [("", {**_names(s), "version": s.row.version}, s.cacher.sent) for s in storages],
        )


KINDS = ("readOnly", "mutating")


def _names(storage: Storage) -> Labels:
    return {"group": storage.row.group, "resource": storage.row.name}


def _received(storage: Storage) -> float:
    return storage.cacher.received


def _dispatched(storage: Storage) -> float:
    return storage.cacher.received if storage.cacher.watcher_count else 0


def _revision(storage: Storage) -> float:
    return storage.cacher.revision


def work_queues() -> Iterator[Family]:
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


def build() -> Labels:
    """The labels of kubernetes_build_info."""
    words = {
        "buildDate": "build_date",
        "gitCommit": "git_commit",
        "gitTreeState": "git_tree_state",
        "gitVersion": "git_version",
        "goVersion": "go_version",
    }
    names = (*words, "compiler", "major", "minor", "platform")
    return {words.get(name, name): VERSION[name] for name in names}


def versions() -> Labels:
    return {
        "binary": f"{VERSION['major']}.{VERSION['minor']}",
        "component": "kube",
        "emulation": f"{VERSION['emulationMajor']}.{VERSION['emulationMinor']}",
        "min_compat": f"{VERSION['minCompatibilityMajor']}.{VERSION['minCompatibilityMinor']}",
    }


def process(started: float) -> Iterator[Family]:
    """What Prometheus' clients tell of their process."""
    import os
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    figures: list[tuple[str, str, str, float]] = [
        ("process_cpu_seconds_total", "counter", "Seconds of CPU used.", used.ru_utime + used.ru_stime),
        ("process_start_time_seconds", "gauge", "When the server started, in epoch seconds.", started),
        ("process_max_fds", "gauge", "Files it may open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    ]
    try:
        with open("/proc/self/statm") as statm:
            virtual, resident = (int(pages) * resource.getpagesize() for pages in statm.read().split()[:2])
        files = len(os.listdir("/proc/self/fd"))
    except OSError:
        pass  # not Linux
    else:
        figures += [
            ("process_virtual_memory_bytes", "gauge", "Address space in bytes.", virtual),
            ("process_resident_memory_bytes", "gauge", "Memory in bytes.", resident),
            ("process_open_fds", "gauge", "Open files.", files),
        ]
    for name, type_, text, value in figures:
        yield Family(name, type_, text, [("", {}, value)])
