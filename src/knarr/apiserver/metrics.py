"""/metrics in Prometheus' text format, under the names a kube-apiserver uses where it counts the same thing.

Per request only `observe` runs (a dict look-up and a few additions); everything else is gathered when it is scraped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.health import VERSION, Health
from knarr.registry.registry import Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
#: upper bounds of apiserver_request_duration_seconds
BOUNDS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0),
    *(10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
#: different requests that are told apart; later ones are counted together, so that names that clients make up
#: cannot fill the memory
SERIES_MAX = 5000
VERBS = {
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
}
CONNECTIONS = frozenset({"attach", "exec", "portforward", "proxy"})
APPLY = "application/apply-patch"
OTHERS: Key = ("", "", "", "", "", "", 0, False)

#: verb, group, version, resource, subresource, scope, code, dry run
Key = tuple[str, str, str, str, str, str, int, bool]
Labels = dict[str, str]


class Family(NamedTuple):
    """One metric: `samples` are (suffix of the name, labels, value)."""

    name: str
    type: str
    help: str
    samples: list[tuple[str, Labels, float]]


class _Series:
    """How often and how long one sort of request was served."""

    __slots__ = ("buckets", "count", "seconds")

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)


class Metrics:
    """Counts the requests of one API server. `sources` give further families when asked."""

    def __init__(
        self, registry: Registry, handler: APIHandler, health: Health, size: Callable[[], int]
    ) -> None:
        self._registry, self._handler, self._health, self._size = registry, handler, health, size
        self._clock = handler.world.clock
        self._started = self._clock.now()
        self._series: dict[Key, _Series] = {}
        #: requests under way: (mutating, reading); the listener knows
        self.under_way: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.sources: list[Callable[[], Iterable[Family]]] = []
        handler.observe = self.observe
        handler.paths["/metrics"] = self.serve
        handler.paths["/metrics/slis"] = self.indicators

    def observe(self, x: Exchange) -> None:
        """One request was answered."""
        request = x.request
        scope = "resource" if request.name else "namespace" if request.namespace else ""
        verb = request.verb
        if verb == "patch" and x.http.headers.get("content-type", "").startswith(APPLY):
            verb = "apply"
        key = (
            verb,
            request.group,
            request.version,
            request.resource,
            request.subresource,
            scope,
            x.code,
            request.dry_run,
        )
        series = self._series.get(key)
        if series is None:
            series = self._new(x, key)
        seconds = self._clock.monotonic() - x.started
        series.count += 1
        series.seconds += seconds
        series.buckets[bisect_left(BOUNDS, seconds)] += 1

    def _new(self, x: Exchange, key: Key) -> _Series:
        _, group, version, resource, *_ = key
        if not resource:
            # What is no resource is told apart by its path, as its subresource, where such a path is served.
            path = x.http.path
            served = path if path in self._handler.paths else ""
            key = (key[0], "", "", "", served, "", key[6], False)
        elif self._registry.view(group, version, resource) is None:
            key = OTHERS
        if len(self._series) >= SERIES_MAX and key not in self._series:
            key = OTHERS
        return self._series.setdefault(key, _Series())

    # -- scraping -------------------------------------------------------------------------------------------

    async def serve(self, x: Exchange) -> None:
        text = "".join(lines(self.families()))
        self._handler.responder.send(x, 200, CONTENT_TYPE, text.encode())

    async def indicators(self, x: Exchange) -> None:
        """Whether the health checks pass, as numbers."""
        checks = self._health.results()
        samples = [
            ("", {"name": name, "type": type_}, float(why is None))
            for type_, found in checks.items()
            for name, why in found.items()
        ]
        family = Family(
            "kubernetes_healthcheck", "gauge", "Whether a health check passes (1) or not.", samples
        )
        self._handler.responder.send(x, 200, CONTENT_TYPE, "".join(lines([family])).encode())

    def families(self) -> Iterator[Family]:
        yield from self._requests()
        yield from self._present()
        yield from self._storage()
        yield from self._flow()
        if (auditor := self._handler.auditor) is not None:
            for name, words, found in auditor.metrics():
                yield Family(name, "counter", words, [("", labels, value) for labels, value in found])
        yield Family("kubernetes_build_info", "gauge", "The version, as labels.", [("", build(), 1)])
        yield from process(self._started)
        for source in self.sources:
            yield from source()

    def _requests(self) -> Iterator[Family]:
        totals: dict[tuple[tuple[str, str], ...], float] = {}
        durations: dict[tuple[tuple[str, str], ...], _Series] = {}
        for key, series in self._series.items():
            labels = labels_of(key)
            totals[tuple({"code": str(key[6]), **labels}.items())] = series.count
            if key[0] != "watch":
                _add(durations.setdefault(tuple(labels.items()), _Series()), series)
        yield Family(
            "apiserver_request_total",
            "counter",
            "Requests answered, by what was asked and the HTTP status code.",
            [("", dict(labels), count) for labels, count in totals.items()],
        )
        yield Family(
            "apiserver_request_duration_seconds",
            "histogram",
            "How long requests took, in seconds.",
            [sample for labels, series in durations.items() for sample in histogram(dict(labels), series)],
        )

    def _present(self) -> Iterator[Family]:
        mutating, reading = self.under_way()
        yield Family(
            "apiserver_current_inflight_requests",
            "gauge",
            "Requests under way.",
            [("", {"request_kind": "mutating"}, mutating), ("", {"request_kind": "readOnly"}, reading)],
        )
        watches = [
            ("", {"component": "apiserver", "group": s.row.group, "resource": s.row.name, "verb": "WATCH"}, n)
            for s in self._registry.storages()
            if (n := s.cacher.watcher_count)
        ]
        yield Family("apiserver_longrunning_requests", "gauge", "Watches that are open.", watches)

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

    def _flow(self) -> Iterator[Family]:
        levels = getattr(self._handler.flow, "levels", {})
        limits, rejected = [], []
        for level in levels.values():
            name = {"priority_level": level.name}
            limits.append(("", name, level.nominal))
            rejected += [("", {**name, "reason": why}, n) for why, n in level.rejected.items()]
        yield Family(
            "apiserver_flowcontrol_nominal_limit_seats",
            "gauge",
            "Seats a priority level has by rights.",
            limits,
        )
        yield Family(
            "apiserver_flowcontrol_rejected_requests_total", "counter", "Requests sent away.", rejected
        )


def build() -> Labels:
    """The labels of kubernetes_build_info."""
    words = {"gitVersion": "git_version", "goVersion": "go_version", "gitCommit": "git_commit"}
    return {
        words.get(name, name): VERSION[name]
        for name in ("compiler", "gitVersion", "major", "minor", "platform")
    }


def _add(into: _Series, series: _Series) -> None:
    into.count += series.count
    into.seconds += series.seconds
    into.buckets = [a + b for a, b in zip(into.buckets, series.buckets, strict=True)]


def labels_of(key: Key) -> Labels:
    """The labels of a request; the code is apart."""
    verb, group, version, resource, subresource, scope, _, dry_run = key
    if subresource in CONNECTIONS:
        verb = "CONNECT"
    elif resource and not scope:
        scope = "cluster"
    return {
        "component": "apiserver",
        "dry_run": "All" if dry_run else "",
        "group": group,
        "resource": resource,
        "scope": scope,
        "subresource": subresource,
        "verb": VERBS.get(verb, verb.upper()),
        "version": version,
    }


def histogram(labels: Labels, series: _Series) -> Iterator[tuple[str, Labels, float]]:
    total = 0
    for bound, count in zip((*BOUNDS, None), series.buckets, strict=True):
        total += count
        yield "_bucket", {**labels, "le": "+Inf" if bound is None else number(bound)}, total
    yield "_sum", labels, series.seconds
    yield "_count", labels, series.count


def lines(families: Iterable[Family]) -> Iterator[str]:
    """Families in alphabetical order."""
    for family in sorted(families, key=lambda f: f.name):
        if not family.samples:
            continue
        yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.type}\n"
        for suffix, labels, value in family.samples:
            shown = ",".join(f'{name}="{escape(text)}"' for name, text in labels.items())
            yield (
                f"{family.name}{suffix}{{{shown}}} {number(value)}\n"
                if shown
                else f"{family.name}{suffix} {number(value)}\n"
            )


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


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
