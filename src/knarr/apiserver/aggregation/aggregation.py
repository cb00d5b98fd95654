"""The aggregator: each request for a group that another API server serves goes there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from knarr.apiserver.aggregation import order
from knarr.apiserver.aggregation.availability import GROUP, RESOURCE, Availability
from knarr.apiserver.aggregation.documents import Documents
from knarr.apiserver.aggregation.extension import Extensions
from knarr.apiserver.aggregation.proxy import is_available, proxy
from knarr.apiserver.aggregation.registration import Registration
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.metricformat import Family
from knarr.registry.registry import Registry

Object = dict[str, Any]


class Aggregation:
    """Follows APIServices. A cluster in which none names a service pays nothing for requests."""

    def __init__(
        self,
        registry: Registry,
        handler: APIHandler,
        extensions: Extensions,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed()` is called when what discovery or OpenAPI tells has changed."""
        self._registry, self._handler, self.extensions, self._changed = registry, handler, extensions, changed
        #: all APIServices by name
        self.services: dict[str, Object] = {}
        #: those of other servers, by group and version
        self.remote: dict[tuple[str, str], Object] = {}
        self.documents = Documents(extensions, self.services, registry.world.clock, changed)
        self.availability = Availability(registry, extensions, self.services, self.documents.refresh)
        self.registration = Registration(registry, self.services)

    def start(self) -> None:
        self._registry.subscribe(GROUP, RESOURCE, self._event)
        self.registration.start()

    def close(self) -> None:
        for part in (self.documents, self.availability, self.registration):
            part.close()

    def _event(self, type_: str, service: Object) -> None:
        name, spec = service["metadata"]["name"], service["spec"]
        place = (spec.get("group", ""), spec["version"])
        before = self.services.pop(name, None)
        self.remote.pop(place, None)
        if type_ != "DELETED":
            self.services[name] = service
            if spec.get("service") is not None:
                self.remote[place] = service
        self._handler.delegate = self.delegate if self.remote else None
        if before is not None and before["spec"].get("service") != spec.get("service") or type_ == "DELETED":
            self.documents.forget(name)
        if before is None or before["spec"] != spec or type_ == "DELETED":
            self._changed()
        if spec.get("service") is not None or (
            before is not None and before["spec"].get("service") is not None
        ):
            self.availability.changed(name)
        if type_ != "ADDED" or name.partition(".")[2] not in order.BUILT_IN_GROUPS:
            self.registration.changed(name)

    # -- requests --------------------------------------------------------------------------------------------

    def delegate(self, x: Exchange) -> Awaitable[None] | None:
        """Answer a request that is another server's; None for those that are ours."""
        service = self.service_of(x.http.path)
        if service is None:
            return None
        handler = self._handler
        return proxy(x, service, self.extensions, handler.stop, handler.deadlines.end)

    def service_of(self, path: str) -> Object | None:
        """The APIService of another server that a path belongs to."""
        parts = path.split("/", 4)
        if len(parts) > 3 and parts[1] == "apis":
            return self.remote.get((parts[2], parts[3]))
        if len(parts) > 2 and parts[1] == "api":
            return self.remote.get(("", parts[2]))
        return None

    def metrics(self) -> Iterable[Family]:
        """Which APIServices are unavailable, and how often they became so."""
        gauge = [
            ("", {"name": name}, float(not is_available(s))) for name, s in sorted(self.services.items())
        ]
        yield Family(
            "aggregator_unavailable_apiservice",
            "gauge",
            "Gauge of APIServices which are marked as unavailable broken down by APIService name.",
            gauge,
        )
        counts = sorted(self.availability.losses.items())
        yield Family(
            "aggregator_unavailable_apiservice_total",
            "counter",
            "Counter of APIServices which are marked as unavailable broken down by APIService name and reason.",
            [("", {"name": name, "reason": reason}, count) for (name, reason), count in counts],
        )

    # -- discovery -------------------------------------------------------------------------------------------

    def groups(self, served: Iterable[tuple[str, str]], aggregated: bool = False) -> dict[str, list[str]]:
        """{group: versions} in the order they are listed; `served` are (group, version) of this server itself."""
        places = dict.fromkeys([*served, *self.remote])
        rows = [
            order.ranked(group, version, self.services.get(f"{version}.{group}")) for group, version in places
        ]
        return order.grouped(rows, aggregated)

    def discovered(self, group: str, version: str) -> Object | None:
        """The APIVersionDiscovery of what another server serves; None for our own."""
        service = self.remote.get((group, version))
        return None if service is None else self.documents.discovery(service["metadata"]["name"])
