"""The frame of a controller: informers put keys into a queue, workers reconcile one key at a time.

A controller says what it reads (`watch_primary`, `watch_owned`, `watch`) and how one object is put right
(`reconcile`). The frame retries with back-off, never works on one key twice at once, and words the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from knarr.client.claim import OwnerGone
from knarr.client.client import Client, is_already_exists, is_conflict, is_not_found, namespace_terminating
from knarr.client.codec import Target, resource_of
from knarr.client.informer import Informer, SharedInformers
from knarr.client.objects import Key, controller_of, key_of, meta_of
from knarr.client.workqueue import ShutDown, WorkQueue
from knarr.meta.errors import StatusError

log = logging.getLogger(__name__)


class Requeue(NamedTuple):
    """Look at this key again in so many seconds, though nothing failed."""

    after: float


class Controller:
    """Subclass, set `name`, wire informers in `__init__`, write `reconcile`.

    `self.client` writes under the controller's own name; `self.queue` holds `Key`s.
    """

    name: ClassVar[str] = "controller"
    #: keys that are reconciled at the same time
    workers: ClassVar[int] = 5

    def __init__(self, client: Client, informers: SharedInformers) -> None:
        self.client = client.named(self.name)
        self.informers = informers
        self.clock = client.world.clock
        self.queue = WorkQueue(self.name)
        self._reads: list[Informer] = []
        #: handlers, until they are heard
        self._heard: list[tuple[Informer, tuple[Callable[..., None] | None, ...]]] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def reconcile(self, key: Key) -> Requeue | None:
        """Put one object right, whatever happened to it. Must be idempotent; raising means: try again later."""
        raise NotImplementedError

    # -- what it reads -----------------------------------------------------------------------------------

    def watch(
        self,
        target: Target,
        added: Callable[[Any], None] | None = None,
        updated: Callable[[Any, Any], None] | None = None,
        deleted: Callable[[Any], None] | None = None,
        **selection: str,
    ) -> Informer:
        """The shared informer of a target; reconciling begins when it has synced.

        Nothing is heard before the controller starts, wherever the informer is by then. `selection` narrows what is
        watched: namespace, label_selector, field_selector.
        """
        informer = self.informers.of(target, **selection)
        if informer not in self._reads:
            self._reads.append(informer)
        if added or updated or deleted:
            if self._tasks:
                informer.add_handler(added, updated, deleted)
            else:
                self._heard.append((informer, (added, updated, deleted)))
        return informer

    def watch_primary(self, target: Target) -> Informer:
        """Reconcile an object whenever it changes."""
        return self.watch(target, self.enqueue, lambda _, new: self.enqueue(new), self.enqueue)

    def watch_owned(self, target: Target, owner: Target) -> Informer:
        """Reconcile the controlling `owner` of an object whenever the object changes; both where it changes hands."""
        kind = resource_of(owner).kind

        def touched(obj: Any) -> None:
            if (key := owner_key(obj, kind)) is not None:
                self.queue.add(key)

        def updated(old: Any, new: Any) -> None:
            touched(new)
            if controller_of(old) != controller_of(new):
                touched(old)

        return self.watch(target, touched, updated, touched)

    # -- the queue ---------------------------------------------------------------------------------------

    def enqueue(self, obj: Any) -> None:
        self.queue.add(key_of(obj))

    def enqueue_after(self, obj: Any, seconds: float) -> None:
        self.queue.add_after(key_of(obj), seconds)

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Wait until everything it reads has synced, then begin; returns once the workers run."""
        for informer, handlers in self._heard:
            informer.add_handler(*handlers)
        self._heard.clear()
        for informer in self._reads:
            informer.start()
        for informer in self._reads:
            await informer.wait_for_sync()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._work(), name=f"{self.name} worker {number}")
            for number in range(self.workers)
        ]

    async def stop(self) -> None:
        """Let go of the queue and cancel what is under way."""
        self.queue.shut_down()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def run(self) -> None:
        """From start to cancellation: what a leader elector runs."""
        try:
            await self.start()
            await asyncio.get_running_loop().create_future()
        finally:
            await self.stop()

    async def _work(self) -> None:
        while True:
            try:
                key: Any = await self.queue.get()
            except ShutDown:
                return
            try:
                await self.process(key)
            finally:
                self.queue.done(key)

    async def process(self, key: Key) -> None:
        """One turn of one key; failures are queued again."""
        try:
            requeue = await self.reconcile(key)
        except Exception as error:
            self._failed(key, error)
            self.queue.add_rate_limited(key)
            return
        self.queue.forget(key)
        if requeue is not None:
            self.queue.add_after(key, requeue.after)

    def _failed(self, key: Key, error: Exception) -> None:
        """Races are everyday and told to those who listen closely; a refusal is one line; a bug has its story, once."""
        if (
            is_conflict(error)
            or is_not_found(error)
            or is_already_exists(error)
            or namespace_terminating(error)
            or isinstance(error, OwnerGone)
        ):
            log.debug("%s: %s: %s; trying again", self.name, key, error)
        elif isinstance(error, StatusError):
            log.warning("%s: %s: %s; trying again", self.name, key, error)
        elif self.queue.num_requeues(key) == 0:
            log.error("%s: %s: reconcile failed; trying again", self.name, key, exc_info=error)
        else:
            log.error("%s: %s: reconcile failed again: %r", self.name, key, error)


def owner_key(obj: Any, kind: str) -> Key | None:
    """The key of the controlling owner, if it is of that kind."""
    ref = controller_of(obj)
    if ref is None:
        return None
    owner_kind, name = (ref["kind"], ref["name"]) if type(ref) is dict else (ref.kind, ref.name)
    return Key(meta_of(obj, "namespace") or "", name) if owner_kind == kind else None
