"""Informers: the newest state of a resource, held locally, and handlers that hear of every change.

In the server's process an informer joins the watch cache's fan-out directly: events arrive in a callback, the
decoded object is shared with every other informer, no queue lies in between. Over any other transport a Reflector
fills a DeltaFIFO and one task applies it. Handlers cannot tell the difference.

Handlers are plain functions called on the event loop, in the order of registration, after the store was changed.
They must be quick (put a key into a WorkQueue); one that raises is logged and disturbs nobody. There is no buffer
per handler, and so none to bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from knarr.api.resources import Resource
from knarr.client.client import Client
from knarr.client.codec import Partial, Target, codec_of
from knarr.client.deltafifo import DELETED, REPLACED, SYNC, DeletedFinalStateUnknown, Delta, DeltaFIFO
from knarr.client.indexer import Indexer, IndexFunc
from knarr.client.objects import Key, meta_of
from knarr.client.reflector import Backoff, Reflector
from knarr.client.transport import EntryEvent, Subscribing, Subscription
from knarr.meta.errors import StatusError

log = logging.getLogger(__name__)


class Handler:
    """One party's callbacks; `remove` ends them."""

    __slots__ = ("_informer", "added", "deleted", "updated")

    def __init__(
        self,
        informer: Informer,
        added: Callable[[Any], None] | None,
        updated: Callable[[Any, Any], None] | None,
        deleted: Callable[[Any], None] | None,
    ) -> None:
        self._informer = informer
        self.added = added
        self.updated = updated
        self.deleted = deleted

    @property
    def has_synced(self) -> bool:
        """True once this handler was told of the whole initial state."""
        return self._informer.has_synced

    def remove(self) -> None:
        self._informer.remove_handler(self)


class Informer:
    """A local, indexed copy of one target (see `codec`), kept up to date from `start` to `stop`.

    `resync_seconds` > 0: every so often each object is handed to `updated(obj, obj)` again.
    """

    def __init__(
        self,
        client: Client,
        target: Target,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resync_seconds: float = 0,
        indexers: Mapping[str, IndexFunc] | None = None,
        watch_list: bool = False,
    ) -> None:
        self.indexer = Indexer(indexers)
        self.codec = codec_of(target)
        self._client = client
        self.target = target
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._resync_seconds = resync_seconds
        self._watch_list = watch_list
        # tuples are replaced, never changed: a handler may add another one while events are being handed out
        self._handlers: tuple[Handler, ...] = ()
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def store(self) -> Indexer:
        return self.indexer

    # -- handlers ----------------------------------------------------------------------------------------

    def add_handler(
        self,
        added: Callable[[Any], None] | None = None,
        updated: Callable[[Any, Any], None] | None = None,
        deleted: Callable[[Any], None] | None = None,
    ) -> Handler:
        """`added(obj)`, `updated(old, new)`, `deleted(last_state)`; hears `added` for all that is here already.

        The state given to `deleted` is the last one that is known: older than the very last where the deletion
        itself was missed, and in process without the deletion's own resourceVersion.
        """
        handler = Handler(self, added, updated, deleted)
        if added is not None:
            for obj in self.indexer.list():
                self._call(added, obj)
        self._handlers = (*self._handlers, handler)
        return handler

    def remove_handler(self, handler: Handler) -> None:
        self._handlers = tuple(h for h in self._handlers if h is not handler)

    # -- life --------------------------------------------------------------------------------------------

    @property
    def has_synced(self) -> bool:
        """True once the store holds, and the handlers heard of, the whole initial state."""
        return self._synced.is_set()

    async def wait_for_sync(self) -> None:
        await self._synced.wait()

    def start(self) -> None:
        """Begin on the running loop; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name=f"informer {self.codec.resource.name}"
            )

    async def stop(self) -> None:
        """End; the store stays as it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            if isinstance(self._client.transport, Subscribing):
                tasks.create_task(self._subscribe_for_ever(self._client.transport))
            else:
                fifo = DeltaFIFO(self.indexer)
                tasks.create_task(self._drain(fifo))
                tasks.create_task(self._reflector(fifo).run())
            if self._resync_seconds:
                tasks.create_task(self._resync_for_ever())

    # -- in the server's process ---------------------------------------------------------------------------

    async def _subscribe_for_ever(self, transport: Subscribing) -> None:
        backoff = Backoff(self._client)
        while True:
            ended: asyncio.Future[StatusError | None] = asyncio.get_running_loop().create_future()
            subscription: Subscription | None = None
            try:
                subscription = await self._subscribe(transport, ended)
                error = await ended
            except StatusError as refused:
                error = refused
            except Exception:
                log.exception("informer %s: unexpected failure", self.codec.resource.name)
                error = None
            finally:
                if subscription is not None:
                    subscription.close()
            if error is not None:
                log.warning("informer %s: %s", self.codec.resource.name, error.message or error.reason)
            await asyncio.sleep(backoff.next())

    def _subscribe(self, transport: Subscribing, ended: asyncio.Future[StatusError | None]) -> Any:
        """Each subscription's first batch is the whole present state, the others are changes."""
        first = True

        def receive(events: list[EntryEvent]) -> None:
            nonlocal first
            if first:
                first = False
                self._replace(events)
            else:
                self._apply_entries(events)

        def closed(error: StatusError | None) -> None:
            if not ended.done():
                ended.set_result(error)

        return transport.subscribe(
            self.codec.resource,
            self._namespace,
            self._label_selector,
            self._field_selector,
            None,
            receive,
            closed,
        )

    def _replace(self, events: list[EntryEvent]) -> None:
        """Apply the present state; what it lacks was deleted while we were not listening."""
        if len(self.indexer):
            present = {(entry.namespace, entry.name) for _, entry, _ in events}
            for key in [key for key in self.indexer.keys() if key not in present]:  # noqa: SIM118
                self._deleted(key, None)
        self._apply_entries(events)
        self._synced.set()

    def _apply_entries(self, events: list[EntryEvent]) -> None:
        hold, cache_key = self.codec.hold, self.codec.cache_key
        for type_, entry, _ in events:
            key = Key(entry.namespace, entry.name)
            if type_ == "DELETED":
                self._deleted(key, None)  # the last state is what we hold: nothing to decode
                continue
            try:
                obj = entry.cached(cache_key, hold)
            except ValueError:  # one object that no Struct can hold must not end the server's fan-out
                log.exception("informer %s: %s cannot be decoded", self.codec.resource.name, key)
                continue
            self._put(key, obj)

    # -- over any other transport ----------------------------------------------------------------------------

    def _reflector(self, fifo: DeltaFIFO) -> Reflector:
        return Reflector(
            self._client,
            self.target,
            fifo,
            self._namespace,
            self._label_selector,
            self._field_selector,
            self._watch_list,
        )

    async def _drain(self, fifo: DeltaFIFO) -> None:
        while True:
            await fifo.wait()
            while (item := fifo.try_pop()) is not None:
                key, deltas = item
                for delta in deltas:
                    self._apply_delta(key, delta)
            if fifo.has_synced:
                self._synced.set()

    def _apply_delta(self, key: Key, delta: Delta) -> None:
        obj = delta.object
        if delta.type == DELETED:
            self._deleted(key, obj.object if type(obj) is DeletedFinalStateUnknown else obj)
        elif delta.type == SYNC:
            self._updated(obj, obj)
        elif delta.type == REPLACED and self._unchanged(key, obj):
            self.indexer.put(key, obj)
        else:
            self._put(key, obj)

    def _unchanged(self, key: Key, obj: Any) -> bool:
        old = self.indexer.get(key)
        return old is not None and meta_of(old, "resourceVersion") == meta_of(obj, "resourceVersion")

    # -- handing out -------------------------------------------------------------------------------------

    def _put(self, key: Key, obj: Any) -> None:
        old = self.indexer.put(key, obj)
        if old is None:
            for handler in self._handlers:
                if handler.added is not None:
                    self._call(handler.added, obj)
        elif old is not obj:
            self._updated(old, obj)

    def _updated(self, old: Any, new: Any) -> None:
        for handler in self._handlers:
            if handler.updated is not None:
                self._call(handler.updated, old, new)

    def _deleted(self, key: tuple[str, str], obj: Any | None) -> None:
        old = self.indexer.delete(key)
        if old is None:
            return  # we never saw it, so nobody heard of it
        for handler in self._handlers:
            if handler.deleted is not None:
                self._call(handler.deleted, obj if obj is not None else old)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        try:
            function(*args)
        except Exception:
            log.exception("informer %s: a handler failed", self.codec.resource.name)

    async def _resync_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._resync_seconds)
            for obj in self.indexer.list():
                self._updated(obj, obj)


class SharedInformers:
    """One informer per target and selection, for all controllers of a process."""

    def __init__(self, client: Client, resync_seconds: float = 0, watch_list: bool = False) -> None:
        self.client = client
        self._resync_seconds = resync_seconds
        self._watch_list = watch_list
        self._informers: dict[tuple[Any, ...], Informer] = {}
        self._started = False

    def of(
        self, target: Target, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Informer:
        """The shared informer; made, and started if the others are running, when first asked for."""
        key = (_identity(target), namespace, label_selector, field_selector)
        if (informer := self._informers.get(key)) is None:
            informer = self._informers[key] = Informer(
                self.client,
                target,
                namespace,
                label_selector,
                field_selector,
                self._resync_seconds,
                watch_list=self._watch_list,
            )
            if self._started:
                informer.start()
        return informer

    def whole(self, resource: Resource) -> list[Target]:
        """The targets under which all objects of a resource are followed, whatever the version."""
        return [
            informer.target
            for (_, *selection), informer in self._informers.items()
            if not any(selection)
            and (informer.codec.resource.group, informer.codec.resource.name)
            == (resource.group, resource.name)
        ]

    def start(self) -> None:
        self._started = True
        for informer in self._informers.values():
            informer.start()

    async def wait_for_sync(self) -> None:
        """Until every informer asked for so far has synced."""
        for informer in list(self._informers.values()):
            await informer.wait_for_sync()

    async def forget(self, target: Target) -> None:
        """Stop and drop the informers of a target (a custom resource that was removed)."""
        identity = _identity(target)
        for key in [key for key in self._informers if key[0] == identity]:
            await self._informers.pop(key).stop()

    async def stop(self) -> None:
        self._started = False
        for informer in self._informers.values():
            await informer.stop()


def _identity(target: Target) -> Any:
    """Hashable: a Resource row holds a dict and is not."""
    if isinstance(target, type):
        return target
    kind = "partial" if type(target) is Partial else "dict"
    row = target.resource if type(target) is Partial else target
    return kind, row.group, row.version, row.name
