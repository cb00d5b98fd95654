"""/metrics in Prometheus' text format, under the names a kube-apiserver uses where it counts the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from knarr.apiserver import flowmetrics, processmetrics, storagemetrics, workmetrics
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.health import Health
from knarr.apiserver.metricformat import CONTENT_TYPE, lines
from knarr.apiserver.requestmetrics import READING, RequestMetrics
from knarr.meta.metrics import Family, Sample
from knarr.registry.registry import Registry


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
        yield from storagemetrics.families(self._registry, self._size())
        yield from self._admitted()
        yield from self._audited()
        yield from workmetrics.families()
        yield from processmetrics.families(self._started)
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


KINDS = ("readOnly", "mutating")
