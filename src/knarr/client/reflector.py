"""Reflector: keeps a store equal to what the server has, by list and watch.

The first list may be served from any cache (resourceVersion "0"); a watch follows from the list's version and is
taken up again where it ended. 410 Expired means that the server no longer knows the way from there: list again,
newest state. Failures back off from 0.8 s to 30 s, doubling, with jitter, forgotten after 2 quiet minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from knarr.client.client import Client
from knarr.client.codec import Target, codec_of
from knarr.client.objects import meta_of
from knarr.meta.errors import StatusError

log = logging.getLogger(__name__)

BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX, BACKOFF_RESET_SECONDS = 0.8, 30.0, 120.0
#: a watch lasts between this and twice this, so that a server's watchers do not all come back at once
WATCH_SECONDS_MIN = 300
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Sink(Protocol):
    """What a reflector fills: a DeltaFIFO."""

    def add(self, obj: Any) -> None: ...

    def update(self, obj: Any) -> None: ...

    def delete(self, obj: Any) -> None: ...

    def replace(self, objects: Iterable[Any]) -> None: ...


class Backoff:
    """Exponential delays with jitter that start over after a quiet time."""

    def __init__(self, client: Client) -> None:
        self._chance = client.world.chance
        self._delay = BACKOFF_SECONDS_MIN
        self._last: float | None = None

    def next(self) -> float:
        """Seconds to wait now."""
        now = asyncio.get_running_loop().time()
        if self._last is not None and now - self._last > BACKOFF_RESET_SECONDS:
            self._delay = BACKOFF_SECONDS_MIN
        self._last = now
        delay, self._delay = self._delay, min(self._delay * 2, BACKOFF_SECONDS_MAX)
        return self._chance.jitter(delay)


class Reflector:
    """Lists and watches one target into `sink`.

    With `watch_list` the initial state is streamed (sendInitialEvents); a server that refuses is listed instead.
    """

    def __init__(
        self,
        client: Client,
        target: Target,
        sink: Sink,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        watch_list: bool = False,
    ) -> None:
        self._client = client
        self._target = target
        self._codec = codec_of(target)
        self._sink = sink
        self._namespace = namespace
        self._selectors = {
            key: value
            for key, value in (("labelSelector", label_selector), ("fieldSelector", field_selector))
            if value
        }
        self._watch_list = watch_list
        self._backoff = Backoff(client)
        #: the newest version this reflector has seen; "" before the first list
        self.last_sync_resource_version = ""
        self._expired = False

    async def run(self) -> None:
        """For ever; only cancellation ends it."""
        while True:
            try:
                await self._list_and_watch()
            except StatusError as error:
                self._explain(error)
            except Exception:
                log.exception("reflector %s: unexpected failure", self._codec.resource.name)
            await asyncio.sleep(self._backoff.next())

    async def _list_and_watch(self) -> None:
        """Returns, or raises StatusError, when a new list is needed."""
        if not self._watch_list or not await self._stream_initial():
            await self._list()
        while await self._watch():
            pass

    # -- the initial state -------------------------------------------------------------------------------

    async def _list(self) -> None:
        version = "" if self._expired else self.last_sync_resource_version or "0"
        try:
            items, newest = await self._list_at(version)
        except StatusError as error:
            if error.code != 410 or not version:
                raise
            items, newest = await self._list_at("")
        self._expired = False
        self._sink.replace(items)
        self.last_sync_resource_version = newest

    async def _list_at(self, version: str) -> tuple[list[Any], str]:
        """Everything and the version it is of; paged where the newest state is asked for."""
        selectors = {
            "label_selector": self._selectors.get("labelSelector", ""),
            "field_selector": self._selectors.get("fieldSelector", ""),
        }
        if version:
            page = await self._client.list(
                self._target, self._namespace, resource_version=version, **selectors
            )
            return page.items, page.resource_version
        items: list[Any] = []
        newest = ""
        async for page in self._client.pages(self._target, self._namespace, **selectors):
            items.extend(page.items)
            newest = page.resource_version
        return items, newest

    async def _stream_initial(self) -> bool:
        """WatchList: True when the state was taken and the watch that followed has ended; False: list instead."""
        query = self._watch_query(self.last_sync_resource_version if not self._expired else "")
        query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        try:
            await self._consume(query, initial={})
        except StatusError as error:
            if error.code in (400, 422):
                self._watch_list = False
                return False
            raise
        return True

    # -- the watch ---------------------------------------------------------------------------------------

    async def _watch(self) -> bool:
        """One watch. True: go on from the last version; raises or returns False: list again."""
        started = asyncio.get_running_loop().time()
        try:
            seen = await self._consume(self._watch_query(self.last_sync_resource_version), initial=None)
        except StatusError as error:
            if error.code == 410:
                self._expired = True
                return False
            if error.code in (429, 503):  # overloaded or away: what we have is still a place to go on from
                self._explain(error)
                await asyncio.sleep(self._backoff.next())
                return True
            raise
        if not seen and asyncio.get_running_loop().time() - started < 1:
            await asyncio.sleep(self._backoff.next())  # a server that closes at once must not be hammered
        return True

    def _watch_query(self, version: str) -> dict[str, str]:
        seconds = int(self._client.world.chance.jitter(WATCH_SECONDS_MIN))
        return {
            **self._selectors,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }

    async def _consume(self, query: dict[str, str], initial: dict[Any, Any] | None) -> int:
        """Follow one stream to its end and count its events; `initial` collects what comes before the bookmark
        that ends the initial events."""
        seen = 0
        decode = self._codec.decode
        stream: Any = self._client.transport.watch(self._codec.resource, self._namespace, query)
        try:
            async for batch in stream:
                for type_, body in batch:
                    seen += 1
                    obj = decode(body)
                    if initial is not None:
                        initial = self._collect(initial, type_, obj)
                    else:
                        self._deliver(type_, obj)
        finally:
            await stream.aclose()
        return seen

    def _collect(self, initial: dict[Any, Any], type_: str, obj: Any) -> dict[Any, Any] | None:
        """Gather the initial events; None once they are complete and handed over."""
        key = (meta_of(obj, "namespace") or "", meta_of(obj, "name"))
        if type_ == "BOOKMARK":
            if (meta_of(obj, "annotations") or {}).get(INITIAL_EVENTS_END) != "true":
                return initial
            self._sink.replace(initial.values())
            self.last_sync_resource_version = meta_of(obj, "resourceVersion") or ""
            self._expired = False
            return None
        if type_ == "DELETED":
            initial.pop(key, None)
        else:
            initial[key] = obj
        return initial

    def _deliver(self, type_: str, obj: Any) -> None:
        if type_ == "ADDED":
            self._sink.add(obj)
        elif type_ == "MODIFIED":
            self._sink.update(obj)
        elif type_ == "DELETED":
            self._sink.delete(obj)
        # a bookmark brings a version only
        self.last_sync_resource_version = meta_of(obj, "resourceVersion") or ""

    def _explain(self, error: StatusError) -> None:
        if error.code == 410:
            self._expired = True
            return
        log.warning("reflector %s: %s", self._codec.resource.name, error.message or error.reason)
