"""Counts requests: per request only `observe` runs (look-ups in dicts and additions), the rest when it is scraped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.meta.metrics import DOUBLING, Family, Histograms, Labels, Sample, buckets
from knarr.registry.registry import Registry

#: upper bounds of apiserver_request_duration_seconds
BOUNDS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0),
    *(10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
#: those of apiserver_request_sli_duration_seconds are among them
SLI_BOUNDS = tuple(bound for bound in BOUNDS if bound not in (0.005, 0.025, 5.0))
#: of answers and of bodies, in bytes
ANSWER_BOUNDS = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
BODY_BOUNDS = tuple(50_000.0 + 100_000.0 * i for i in range(31))
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
READING = frozenset({"get", "list", "watch"})
CONNECTIONS = frozenset({"attach", "exec", "portforward", "proxy"})
APPLY = "application/apply-patch"
#: users that are told apart; all others are "other", so that many users are not many numbers
KNOWN_USERS = frozenset(
    {"admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"}
)
#: answers in place of what was asked for
TERMINATIONS = frozenset({429, 504})
OTHERS: Key = ("", "", "", "", "", "", 0, False)

#: verb, group, version, resource, subresource, scope, code, dry run
Key = tuple[str, str, str, str, str, str, int, bool]


class _Series:
    """How often and how long one sort of request was served, and how large the answers and bodies were."""

    __slots__ = ("answers", "bodies", "body_bytes", "buckets", "bytes", "count", "seconds")

    def __init__(self) -> None:
        self.count, self.seconds, self.bytes, self.body_bytes = 0, 0.0, 0, 0
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.answers: list[int] | None = None
        self.bodies: list[int] | None = None

    def add(self, other: _Series) -> None:
        self.count += other.count
        self.seconds += other.seconds
        self.bytes += other.bytes
        self.body_bytes += other.body_bytes
        self.buckets = _sum(self.buckets, other.buckets)
        if other.answers is not None:
            self.answers = _sum(self.answers or [0] * (len(ANSWER_BOUNDS) + 1), other.answers)
        if other.bodies is not None:
            self.bodies = _sum(self.bodies or [0] * (len(BODY_BOUNDS) + 1), other.bodies)


def _sum(a: list[int], b: list[int]) -> list[int]:
    return [x + y for x, y in zip(a, b, strict=True)]


class RequestMetrics:
    """The requests of one API server."""

    def __init__(self, registry: Registry, handler: APIHandler) -> None:
        self._registry, self._handler = registry, handler
        self._clock = handler.world.clock
        self._series: dict[Key, _Series] = {}
        self._users: dict[str, int] = {}
        self._others = 0
        self._authentications = Histograms(
            "authentication_duration_seconds",
            "How long it took to know the sender, in seconds.",
            DOUBLING,
            "result",
        )
        self._authorizations = Histograms(
            "authorization_duration_seconds",
            "How long it took to know what the sender may, in seconds.",
            DOUBLING,
            "result",
        )
        # no credentials at all are a failure, wrong ones an error
        self._known, self._nameless, self._wrong = map(
            self._authentications.row, ("success", "failure", "error")
        )
        self._allowed, self._denied = map(self._authorizations.row, ("allowed", "denied"))
        self._deprecated: dict[tuple[str, ...], int] = {}
        handler.observe = self.observe

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
        if series.answers is not None:
            series.answers[bisect_left(ANSWER_BOUNDS, x.size)] += 1
            series.bytes += x.size
        elif series.bodies is not None:
            size = len(x.http.body)
            series.bodies[bisect_left(BODY_BOUNDS, size)] += 1
            series.body_bytes += size
        self._observe_sender(x)

    def _observe_sender(self, x: Exchange) -> None:
        """Who it was, and whether they might."""
        request, notes = x.request, x.request.annotations
        decision = notes.get("authorization.k8s.io/decision", "")
        if decision == "allow":
            self._allowed.observe(x.authorizing)
        elif decision:
            self._denied.observe(x.authorizing)
        elif x.code == 401:
            refused = self._wrong if "authorization" in x.http.headers else self._nameless
            refused.observe(x.known - x.started)
            return
        self._known.observe(x.known - x.started)
        name = request.user.name
        if name in KNOWN_USERS or "@" in name:
            self._count_user(name)
        else:
            self._others += 1
        if "k8s.io/deprecated" in notes:
            gone = notes.get("k8s.io/removed-release", "")
            key = request.group, gone, request.resource, request.subresource, request.version
            self._deprecated[key] = 1

    def _count_user(self, name: str) -> None:
        shown = name if name in KNOWN_USERS else "email_id"
        self._users[shown] = self._users.get(shown, 0) + 1

    def _new(self, x: Exchange, key: Key) -> _Series:
        verb, group, version, resource, *_ = key
        if not resource:
            # What is no resource is told apart by its path, as its subresource, where such a path is served.
            path = x.http.path
            served = path if path in self._handler.paths else ""
            key = (verb, "", "", "", served, "", key[6], False)
        elif self._registry.view(group, version, resource) is None:
            key = OTHERS
        if len(self._series) >= SERIES_MAX and key not in self._series:
            key = OTHERS
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
            if verb in ("get", "list"):
                series.answers = [0] * (len(ANSWER_BOUNDS) + 1)
            elif resource and verb in ("create", "update", "patch", "apply"):
                series.bodies = [0] * (len(BODY_BOUNDS) + 1)
        return series

    # -- scraping -------------------------------------------------------------------------------------------

    def families(self) -> Iterator[Family]:
        yield Family(
            "apiserver_request_total",
            "counter",
            "Requests answered, by what was asked and the HTTP status code.",
            [("", {"code": str(key[6]), **labels_of(key)}, s.count) for key, s in self._series.items()],
        )
        yield Family(
            "apiserver_request_terminations_total",
            "counter",
            "Requests that were answered in place of whoever should have.",
            [
                ("", {"code": str(key[6]), **without_dry_run(labels_of(key))}, s.count)
                for key, s in self._series.items()
                if key[6] in TERMINATIONS
            ],
        )
        yield from self._durations()
        yield from self._sizes()
        yield from self._identities()
        yield from self._present()
        yield Family(
            "apiserver_requested_deprecated_apis",
            "gauge",
            "Deprecated APIs that were asked for, and the release that does without them.",
            [("", dict(zip(DEPRECATED_LABELS, names, strict=True)), 1) for names in self._deprecated],
        )

    def _grouped(self, labels: tuple[str, ...], wanted: str = "") -> list[tuple[Labels, _Series]]:
        """Series that differ in none of the labels, together."""
        found: dict[tuple[str, ...], _Series] = {}
        for key, series in self._series.items():
            if key[0] == "watch" or (wanted and getattr(series, wanted) is None):
                continue
            known = labels_of(key)
            found.setdefault(tuple(known[label] for label in labels), _Series()).add(series)
        return [(dict(zip(labels, values, strict=True)), series) for values, series in found.items()]

    def _durations(self) -> Iterator[Family]:
        plain = ("component", "group", "resource", "scope", "subresource", "verb", "version")
        yield Family(
            "apiserver_request_duration_seconds",
            "histogram",
            "How long requests took, in seconds.",
            [
                sample
                for labels, s in self._grouped(("dry_run", *plain))
                for sample in buckets(labels, BOUNDS, s.buckets, s.seconds, s.count)
            ],
        )
        yield Family(
            "apiserver_request_sli_duration_seconds",
            "histogram",
            "How long requests took, in seconds, without what others took.",
            [
                sample
                for labels, s in self._grouped(plain)
                for sample in buckets(labels, SLI_BOUNDS, _coarser(s.buckets), s.seconds, s.count)
            ],
        )

    def _sizes(self) -> Iterator[Family]:
        plain = ("component", "group", "resource", "scope", "subresource", "verb", "version")
        yield Family(
            "apiserver_response_sizes",
            "histogram",
            "How large answers to reads were, in bytes.",
            [
                sample
                for labels, s in self._grouped(plain, "answers")
                for sample in buckets(labels, ANSWER_BOUNDS, s.answers or (), s.bytes, s.count)
            ],
        )
        yield Family(
            "apiserver_request_body_size_bytes",
            "histogram",
            "How large the bodies of writes were, in bytes.",
            [
                sample
                for labels, s in self._grouped(("group", "resource", "verb"), "bodies")
                for sample in buckets(
                    {**labels, "verb": BODY_VERBS.get(labels["verb"], "patch")},
                    BODY_BOUNDS,
                    s.bodies or (),
                    s.body_bytes,
                    s.count,
                )
            ],
        )

    def _identities(self) -> Iterator[Family]:
        users = {**self._users, "other": self._others}
        yield Family(
            "authenticated_user_requests",
            "counter",
            "Requests of users that are known by name, and of all others.",
            [("", {"username": name}, count) for name, count in users.items() if count],
        )
        for name, words, durations in (
            ("authentication_attempts", "Requests whose sender was to be found out.", self._authentications),
            ("authorization_attempts_total", "Requests that had to be allowed.", self._authorizations),
        ):
            attempts = [("", {"result": result}, row.count) for (result,), row in durations.rows.items()]
            yield Family(name, "counter", words, [sample for sample in attempts if sample[2]])
        yield self._authentications.family()
        yield self._authorizations.family()

    def _present(self) -> Iterator[Family]:
        mutating = reading = 0
        for x in self._handler.deadlines.under_way():
            if x.request.verb in READING:
                reading += 1
            else:
                mutating += 1
        yield Family(
            "apiserver_current_inflight_requests",
            "gauge",
            "Requests under way, without those that last.",
            [("", {"request_kind": "mutating"}, mutating), ("", {"request_kind": "readOnly"}, reading)],
        )
        lasting: dict[tuple[tuple[str, str], ...], int] = {}
        for x in self._handler.lasting:
            r = x.request
            scope = "resource" if r.name else "namespace" if r.namespace else ""
            labels = labels_of((r.verb, r.group, r.version, r.resource, r.subresource, scope, 0, False))
            key = tuple(without_dry_run(labels).items())
            lasting[key] = lasting.get(key, 0) + 1
        samples: list[Sample] = [("", dict(key), count) for key, count in lasting.items()]
        yield Family(
            "apiserver_longrunning_requests", "gauge", "Watches, logs and sessions that are open.", samples
        )


DEPRECATED_LABELS = ("group", "removed_release", "resource", "subresource", "version")
BODY_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "APPLY": "patch"}


def _coarser(counts: list[int]) -> list[int]:
    """The buckets of the bounds that both histograms have."""
    found, kept = [], 0
    for bound, count in zip((*BOUNDS, None), counts, strict=True):
        kept += count
        if bound is None or bound in SLI_BOUNDS:
            found.append(kept)
            kept = 0
    return found


def without_dry_run(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if name != "dry_run"}


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
