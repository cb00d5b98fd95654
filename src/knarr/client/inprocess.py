"""The transport inside the server's own process: no HTTP, no copies, the same rules.

`API` is what the client asks of the registry. The two are siblings and never meet: cluster/ hands an API in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple, Protocol

from knarr.api.resources import Resource
from knarr.client.transport import JSON, NO_QUERY, EntryEvent, Subscription, WatchEvent
from knarr.meta import errors
from knarr.meta.errors import StatusError

#: events a `watch` iterator may fall behind; beyond it the watch ends with 410 and its reader lists again
WATCH_EVENTS_MAX = 10_000


class Call(NamedTuple):
    """One request, in Kubernetes' words."""

    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str] = NO_QUERY
    body: bytes | None = None
    content_type: str = JSON
    #: who asks; "" is the API server itself
    user: str = ""
    groups: tuple[str, ...] = ()
    user_agent: str = ""


class API(Protocol):
    """What the server offers to clients in its process."""

    async def call(self, call: Call) -> bytes:
        """The body of the answer; raises StatusError. For delete: the object or a Status."""
        ...

    async def raw(self, path: str, query: Mapping[str, str]) -> bytes:
        """Discovery documents and /version; raises StatusError."""
        ...

    async def subscribe(
        self,
        resource: Resource,
        namespace: str,
        label_selector: str,
        field_selector: str,
        since_revision: int | None,
        callback: Callable[[list[EntryEvent]], None],
        closed: Callable[[StatusError | None], None],
        user: str = "",
    ) -> Subscription:
        """Be told of every change, from the event loop, in revision order.

        May wait until the cache is filled; then, without an await in between, joins the fan-out and calls
        `callback` with the present state as ADDED events (always once, even if empty) where `since_revision` is
        None, or with what happened after `since_revision`. Raises StatusError (410 where that is too old, 404
        for an unknown resource, 400 for a bad selector). `closed(error)` is called once if the server ends the
        subscription (custom resource removed, shutdown), never after `Subscription.close`. The callback must not
        raise and must be quick: nothing is buffered.
        """
        ...


class InProcess:
    """A transport over an `API`."""

    def __init__(
        self, api: API, user: str = "", groups: tuple[str, ...] = (), user_agent: str = "knarr"
    ) -> None:
        self._api = api
        self._user = user
        self._groups = groups
        self._user_agent = user_agent

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
        return await self._api.call(
            Call(
                verb,
                resource,
                namespace,
                name,
                subresource,
                query,
                body,
                content_type,
                self._user,
                self._groups,
                self._user_agent,
            )
        )

    async def raw(self, path: str, query: Mapping[str, str] = NO_QUERY) -> bytes:
        return await self._api.raw(path, query)

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
        return await self._api.subscribe(
            resource, namespace, label_selector, field_selector, since_revision, callback, closed, self._user
        )

    async def watch(
        self, resource: Resource, namespace: str = "", query: Mapping[str, str] = NO_QUERY
    ) -> AsyncIterator[list[WatchEvent]]:
        """A subscription with a bounded buffer; `resourceVersion` "" and "0" begin with the present state."""
        mailbox = _Mailbox()
        version = query.get("resourceVersion", "")
        subscription = await self._api.subscribe(
            resource,
            namespace,
            query.get("labelSelector", ""),
            query.get("fieldSelector", ""),
            int(version) if version not in ("", "0") else None,
            mailbox.put,
            mailbox.end,
            self._user,
        )
        seconds = float(query.get("timeoutSeconds") or 0)
        deadline = asyncio.get_running_loop().time() + seconds if seconds else None
        try:
            while batch := await mailbox.get(deadline):
                yield [WatchEvent(type_, entry.body) for type_, entry, _ in batch]
        finally:
            subscription.close()

    async def close(self) -> None:
        """Nothing is held open."""


class _Mailbox:
    """From the callback's side of an event loop to the iterator's."""

    def __init__(self) -> None:
        self._events: list[EntryEvent] = []
        self._wake = asyncio.Event()
        self._ended = False
        self._error: StatusError | None = None

    def put(self, events: list[EntryEvent]) -> None:
        # the present state may be larger than the bound: only what comes on top of a backlog is refused
        if self._events and len(self._events) + len(events) > WATCH_EVENTS_MAX:
            self.end(errors.expired("the watcher fell too far behind"))
        elif not self._ended:
            self._events.extend(events)
            self._wake.set()

    def end(self, error: StatusError | None) -> None:
        self._ended, self._error = True, error
        self._wake.set()

    async def get(self, deadline: float | None) -> list[EntryEvent]:
        """The events so far; an empty list at the end and at the deadline (loop time)."""
        try:
            async with asyncio.timeout_at(deadline):
                while not self._events:
                    if self._error is not None:
                        raise self._error
                    if self._ended:
                        return []
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return []
        batch, self._events = self._events, []
        return batch
