"""The aggregator: each request for a group that another API server serves goes there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from knarr.apiserver.aggregation import order
from knarr.apiserver.aggregation.conditions import is_available
from knarr.apiserver.aggregation.registration import GROUP, RESOURCE, Registration
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.meta.metrics import Family
from knarr.registry.registry import Registry

if TYPE_CHECKING:
    from knarr.apiserver.aggregation.extension import Extensions
    from knarr.apiserver.aggregation.inprocess import RemoteAPI
    from knarr.apiserver.aggregation.others import Others
    from knarr.auth.certificates import Pair
    from knarr.egress.routes import Resolve

Object = dict[str, Any]


class Aggregation:
    """Follows APIServices. A cluster in which none names a service pays nothing for requests, and loads nothing."""

    def __init__(
        self,
        registry: Registry,
        handler: APIHandler,
        resolve: Resolve,
        pair: Pair,
    ) -> None:
        """`resolve` finds services, `pair` is the front proxy's."""
        self._registry, self._handler = registry, handler
        self._resolve, self._pair = resolve, pair
        #: called when what discovery or OpenAPI tells has changed
        self.listeners: list[Callable[[], None]] = []
        #: all APIServices by name
        self.services: dict[str, Object] = {}
        #: those of other servers, by group and version
        self.remote: dict[tuple[str, str], Object] = {}
        self._others: Others | None = None
        self.registration = Registration(registry, self.services)

    @property
    def others(self) -> Others:
        if self._others is None:
            from knarr.apiserver.aggregation.others import Others

            self._others = Others(
                self._registry, self.services, self.remote, self._resolve, self._pair, self._changed
            )
        return self._others

    @property
    def extensions(self) -> Extensions:
        return self.others.extensions

    @property
    def api(self) -> RemoteAPI:
        """The way to other servers for clients of this process."""
        return self.others.api

    def start(self) -> None:
        self._registry.subscribe(GROUP, RESOURCE, self._event)
        self.registration.start()

    def close(self) -> None:
        self.registration.close()
        if self._others is not None:
            self._others.close()

    def _event(self, type_: str, service: Object) -> None:
        name, spec = service["metadata"]["name"], service["spec"]
        place = (spec.get("group", ""), spec["version"])
        before = self.services.pop(name, None)
        was_remote = self.remote.pop(place, None) is not None
        if type_ != "DELETED":
            self.services[name] = service
            if spec.get("service") is not None:
                self.remote[place] = service
        self._handler.delegate = self.delegate if self.remote else None
        if was_remote and (type_ == "DELETED" or before is None or before["spec"] != spec):
            self.others.documents.forget(name)
        if before is None or before["spec"] != spec or type_ == "DELETED":
            self._changed()
        if was_remote or place in self.remote:
            self.others.availability.changed(name)
        if type_ != "ADDED" or name.partition(".")[2] not in order.BUILT_IN_GROUPS:
            self.registration.changed(name)

    def _changed(self) -> None:
        for listener in self.listeners:
            listener()

    # -- requests --------------------------------------------------------------------------------------------

    def delegate(self, x: Exchange) -> Awaitable[None] | None:
        """Answer a request that is another server's; None for those that are ours."""
        service = self.service_of(x.http.path)
        if service is None:
            return None
        from knarr.apiserver.aggregation.proxy import proxy

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
        counts = sorted(self._others.availability.losses.items()) if self._others is not None else []
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
        return None if service is None else self.others.documents.discovery(service["metadata"]["name"])

    # -- OpenAPI (openapi/serve.py) ----------------------------------------------------------------------------

    def v3_stamps(self) -> dict[tuple[str, str], str]:
        return self._others.documents.v3_stamps() if self._others is not None else {}

    async def v3(self, group: str, version: str) -> bytes | None:
        return await self.others.documents.v3(group, version)

    def merge_into(self, whole: Object) -> None:
        if self._others is not None:
            self._others.documents.merge_into(whole)
