"""What the controllers share beyond the client's frame: identity, events, and the care of pods that they own."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec

from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.codec import Target, resource_of
from knarr.client.controller import Controller
from knarr.client.events import EventRecorder
from knarr.client.expectations import Expectations
from knarr.client.indexer import BY_CONTROLLER, controller_index, owned_or_orphaned
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controller_of, key_of
from knarr.controllers.podcontrol import PodControl
from knarr.controllers.queuenames import QUEUE_NAMES
from knarr.meta.labels import Selector, from_label_selector
from knarr.world import World

#: a pass over the pods of an owner or a service takes time in proportion to them: so long are their events gathered
#: before one
SECONDS_PER_POD = 50e-6
#: shorter waits are not worth a timer
GATHER_SECONDS_MIN = 0.005


class KubeController(Controller):
    """A controller with its own service account, event source and clock."""

    #: in namespace kube-system; "" means: called as the controller is
    service_account: ClassVar[str] = ""
    #: the source of its events; "" means: called as the controller is
    component: ClassVar[str] = ""

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers)
        # a queue without workers is none, and metrics show none
        self.queue.name = QUEUE_NAMES.get(self.name, self.name) if self.workers else ""
        self.client = client  # it signs as the manager does, not by its own name
        self.world = world
        self.clock = world.clock
        self.events = EventRecorder(client, self.component or self.name)

    async def stop(self) -> None:
        await super().stop()
        await self.events.stop()


class PeriodicController(KubeController):
    """A controller without keys: now and then it looks at everything."""

    workers = 0
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await super().start()
        self._task = asyncio.get_running_loop().create_task(self.for_ever(), name=self.name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await super().stop()

    async def for_ever(self) -> None:
        """Look, and sleep until the next time; cancelled by `stop`."""
        raise NotImplementedError


class PodOwner(KubeController):
    """A controller whose objects own pods: keeps expectations, and finds the owners an event concerns."""

    #: what owns, as a target of the client; set by `watch_pods`
    owner_kind: str

    def watch_pods(self, owner: Target) -> None:
        """Wire the informers of the owner and of the pods."""
        self.owner_kind = resource_of(owner).kind
        self.expectations = Expectations()
        self._sizes: dict[Key, int] = {}
        self._selectors: dict[Key, tuple[Any, Selector]] = {}
        self.owners = self.watch(owner, self.enqueue, self.owner_updated, self.owner_deleted)
        self.pods = self.watch(core_v1.Pod, self.pod_added, self.pod_updated, self.pod_deleted)
        self.pods.indexer.add_index(BY_CONTROLLER, controller_index)
        self.pod_control = PodControl(self.client, self.events)

    # -- reading -----------------------------------------------------------------------------------------

    def candidates(self, owner: Any) -> list[Any]:
        """The pods that `owner` controls and its namespace's orphans."""
        pods = owned_or_orphaned(self.pods.indexer, owner)
        self._sizes[key_of(owner)] = len(pods)
        return pods

    def selector_of(self, owner: Any) -> Selector:
        """Of owner.spec.selector; compiled once per state of the owner."""
        key, wire = key_of(owner), owner.spec.selector
        known = self._selectors.get(key)
        if known is None or known[0] is not wire:
            known = self._selectors[key] = wire, self.compile_selector(wire)
        return known[1]

    def compile_selector(self, wire: Any) -> Selector:
        return from_label_selector(msgspec.to_builtins(wire))

    def owner_of(self, pod: Any) -> Any | None:
        """The owner that controls a pod, if it is one of ours and the same object."""
        ref = controller_of(pod)
        if ref is None or ref.kind != self.owner_kind:
            return None
        owner = self.owners.indexer.get((pod.metadata.namespace, ref.name))
        return owner if owner is not None and owner.metadata.uid == ref.uid else None

    # -- events ------------------------------------------------------------------------------------------

    def owner_updated(self, old: Any, new: Any) -> None:
        if old.metadata.uid != new.metadata.uid:
            self.expectations.forget(key_of(old))
        self.enqueue(new)

    def owner_deleted(self, owner: Any) -> None:
        key = key_of(owner)
        self.expectations.forget(key)
        self._sizes.pop(key, None)
        self._selectors.pop(key, None)
        self.queue.add(key)

    def pod_added(self, pod: Any) -> None:
        if pod.metadata.deletionTimestamp:
            # after a restart the first that is heard of a pod may be that it goes
            self.pod_deleted(pod)
        elif (owner := self.owner_of(pod)) is not None:
            key = key_of(owner)
            waiting = not self.expectations.met(key)
            self.expectations.created(key)
            self.touch(key, at_once=waiting and self.expectations.met(key))
        else:
            self.touch_matching(pod)

    def pod_updated(self, old: Any, pod: Any) -> None:
        if pod.metadata.deletionTimestamp:
            self._expect_no_more(pod)
        before = self.owner_of(old) if controller_of(old) != controller_of(pod) else None
        if before is not None:
            self.touch(key_of(before), at_once=True)
        if (owner := self.owner_of(pod)) is not None:
            self.pod_of_owner_updated(owner, old, pod)
        elif before is not None or old.metadata.labels != pod.metadata.labels:
            self.touch_matching(pod)

    def pod_deleted(self, pod: Any) -> None:
        self._expect_no_more(pod)
        if (owner := self.owner_of(pod)) is not None:
            self.pod_of_owner_deleted(owner, pod)

    def pod_of_owner_updated(self, owner: Any, old: Any, pod: Any) -> None:
        self.touch(key_of(owner))

    def pod_of_owner_deleted(self, owner: Any, pod: Any) -> None:
        self.touch(key_of(owner))

    def _expect_no_more(self, pod: Any) -> None:
        if (owner := self.owner_of(pod)) is not None:
            key = key_of(owner)
            waiting = not self.expectations.met(key)
            self.expectations.deleted(key, pod.metadata.uid)
            if waiting and self.expectations.met(key):
                self.queue.add(key)

    def touch_matching(self, pod: Any) -> None:
        """An orphan: whoever selects it may want to adopt it."""
        if controller_of(pod) is not None or pod.metadata.deletionTimestamp:
            return
        for owner in self.owners.indexer.list(pod.metadata.namespace):
            if self.selector_of(owner).matches(pod.metadata.labels):
                self.queue.add(key_of(owner))

    def touch(self, key: Key, at_once: bool = False) -> None:
        """Reconcile soon: at once where few pods make it cheap, or something waits for it."""
        seconds = self._sizes.get(key, 0) * SECONDS_PER_POD
        if at_once or seconds < GATHER_SECONDS_MIN:
            self.queue.add(key)
        else:
            self.queue.add_after(key, seconds)
