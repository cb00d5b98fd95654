"""All that is needed of other API servers; imported and made when the first APIService names one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from knarr.apiserver.aggregation.availability import Availability
from knarr.apiserver.aggregation.documents import Documents
from knarr.apiserver.aggregation.extension import Extensions
from knarr.apiserver.aggregation.inprocess import RemoteAPI
from knarr.auth.certificates import Pair
from knarr.egress.routes import Resolve
from knarr.registry.registry import Registry

Object = dict[str, Any]


class Others:
    """`services` are all APIServices by name, `remote` those of other servers by group and version."""

    def __init__(
        self,
        registry: Registry,
        services: Mapping[str, Object],
        remote: Mapping[tuple[str, str], Object],
        resolve: Resolve,
        pair: Pair,
        changed: Callable[[], None],
    ) -> None:
        clock = registry.world.clock
        self.extensions = Extensions(resolve, pair, clock)
        self.documents = Documents(self.extensions, services, clock, changed)
        self.availability = Availability(registry, self.extensions, services, self.documents.refresh)
        self.api = RemoteAPI(remote, self.extensions)

    def close(self) -> None:
        self.documents.close()
        self.availability.close()
        self.extensions.close()
