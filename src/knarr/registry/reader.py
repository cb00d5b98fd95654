"""Looking things up from the watch caches: what admission, authorization and the allocators use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

Object = dict[str, Any]


class Reader(Protocol):
    """Synchronous reads of the newest known state, and writes through the registry.

    Objects are plain dicts in wire form and shared: never change one. `group` and `resource` name the resource
    ("apps", "deployments"); the served storage version is implied.
    """

    def get(self, group: str, resource: str, namespace: str, name: str) -> Object | None: ...

    def list(self, group: str, resource: str, namespace: str = "") -> Iterator[Object]:
        """All of a namespace, or of the cluster, in key order."""
        ...

    def subscribe(self, group: str, resource: str, callback: Callable[[str, Object], None]) -> None:
        """Call back with ("ADDED" | "MODIFIED" | "DELETED", object) for all present and future objects.

        Called on the event loop, in revision order; must not raise and must be quick.
        """
        ...

    async def create(self, group: str, resource: str, obj: Object) -> Object:
        """Create as the API server itself; raises StatusError."""
        ...

    async def update(self, group: str, resource: str, obj: Object, subresource: str = "") -> Object: ...
