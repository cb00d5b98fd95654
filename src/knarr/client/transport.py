"""What lies between a client and the API: requests in bytes, watches in batches of bytes.

A transport knows neither Structs nor retries of conflicts; it raises `StatusError` for every answer that is not
a success and for every failure to get one (a refused connection is a 503 of reason ServiceUnavailable).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from knarr.api.resources import Resource
from knarr.meta.errors import StatusError

T = TypeVar("T")

NO_QUERY: Mapping[str, str] = MappingProxyType({})
JSON = "application/json"
#: what a patch is called here, and its content type
PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class WatchEvent(NamedTuple):
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object's JSON."""

    type: str
    object: bytes


class Transport(Protocol):
    """The way to an API server."""

    async def request(
        self,
        verb: str,
        resource: Resource,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        query: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
        content_type: str = JSON,
    ) -> bytes:
        """The answer's body. `verb`: get, list, create, update, patch, delete or deletecollection.

        `query` holds the wire's parameters (labelSelector, limit, fieldManager ...). Raises StatusError.
        """
        ...

    def watch(
        self, resource: Resource, namespace: str = "", query: Mapping[str, str] = NO_QUERY
    ) -> AsyncIterator[list[WatchEvent]]:
        """Batches of at least one event, as they arrive; ends when the server ends the stream.

        An ERROR event is not delivered: it is raised as StatusError (410 Expired: list again).
        """
        ...

    async def raw(self, path: str, query: Mapping[str, str] = NO_QUERY) -> bytes:
        """GET of a path that is no resource: /version, /apis, /apis/<group>/<version>."""
        ...

    async def close(self) -> None: ...


class Entry(Protocol):
    """One revision of one object, as the watch cache holds it: shared by all watchers, never changed."""

    namespace: str
    name: str
    mod_revision: int

    @property
    def body(self) -> bytes:
        """JSON with metadata.resourceVersion."""
        ...

    def cached(self, key: Hashable, builder: Callable[[bytes, int], T]) -> T:
        """`builder(stored JSON, mod_revision)`, called once per `key` and kept as long as the entry. The stored JSON
        need not hold the resourceVersion."""
        ...


#: (ADDED | MODIFIED | DELETED, entry, the entry before or None). A deleted entry's body is the last state
#: with the revision of the deletion. Where a selector begins or ceases to match, the type says so.
EntryEvent = tuple[str, Any, Any]


class Subscription(Protocol):
    """A running subscription."""

    #: the revision that the first batch (the present state) was taken at
    revision: int

    def close(self) -> None:
        """No callback comes after this returns. May be called twice."""
        ...


@runtime_checkable
class Subscribing(Protocol):
    """A transport that lives in the server's process and hands out its watch cache's own entries."""

    async def subscribe(
        self,
        resource: Resource,
        namespace: str,
        label_selector: str,
        field_selector: str,
        since_revision: int | None,
        callback: Callable[[list[EntryEvent]], None],
        closed: Callable[[StatusError | None], None],
    ) -> Subscription:
        """See `inprocess.API.subscribe`."""
        ...
