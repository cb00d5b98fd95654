"""Kubelets: all nodes of this process, on one runtime.

One pod informer, one queue of pods to look at, one worker task, one status manager, one heartbeat task: a node costs
an entry in a dict, a pod a PodWorker, and time alone costs nothing but heartbeats.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from knarr.api.nodeapi import NodeConnections
from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.informer import Informer, SharedInformers
from knarr.client.workqueue import ShutDown, WorkQueue
from knarr.kubelet import words
from knarr.kubelet.admit import REJECTED, Room
from knarr.kubelet.heartbeat import Heartbeats
from knarr.kubelet.hooks import Stopper
from knarr.kubelet.node import ClientOf, NodeSpec
from knarr.kubelet.phase import TERMINAL
from knarr.kubelet.podapi import PodAPI
from knarr.kubelet.podworker import Context, PodWorker
from knarr.kubelet.prober import Foretold, Prober
from knarr.kubelet.recorder import Recorders
from knarr.kubelet.runtime import Runtime
from knarr.kubelet.settings import VERSION, Settings
from knarr.kubelet.statusmanager import StatusManager

log = logging.getLogger(__name__)

#: pods looked at before others get their turn on the loop
BATCH_PODS = 50


class Kubelets:
    """Runs the pods that are assigned to `nodes`; more nodes may be added while it runs.

    `informers`: the process's shared ones, if there are any. `connections`: where the API server finds us.
    `client_of`: the client that acts as a node, where not all of them act as one; `client` reads for all.
    """

    def __init__(
        self,
        client: Client,
        runtime: Runtime,
        nodes: Iterable[NodeSpec] = (),
        *,
        connections: NodeConnections | None = None,
        informers: SharedInformers | None = None,
        settings: Settings | None = None,
        client_of: ClientOf | None = None,
    ) -> None:
        self.client = client.named("kubelet")
        acting = client_of or (lambda node: self.client)
        self.runtime = runtime
        self.settings = settings or Settings()
        self._connections = connections
        self._own_informers = informers is None
        self._informers = informers or SharedInformers(self.client)
        self._wanted = list(nodes)
        self._nodes: dict[str, NodeSpec] = {}
        self._rooms: dict[str, Room] = {}
        self._workers: dict[str, PodWorker] = {}
        self._by_name: dict[tuple[str, str], PodWorker] = {}
        self._clock = self.client.world.clock
        self._queue = WorkQueue("kubelet")
        self._recorders = Recorders(acting, self.settings.events_per_second, self.settings.events_burst)
        self._statuses = StatusManager(acting, self.settings.status_writes_max)
        self._heartbeats = Heartbeats(
            acting, self.client.world, self.settings, f"{runtime.name}://{VERSION[1:]}"
        )
        prober = Prober(runtime, self, self.client.world) if runtime.real else Foretold(runtime)
        self._stopper = Stopper(runtime, self)
        self._context = Context(runtime, self._recorders, prober, self._stopper, self.settings)
        self._task: asyncio.Task[None] | None = None
        self._pods: Informer | None = None
        self._handlers: list[Any] = []
        runtime.listen(self)

    # -- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Register the nodes and begin; returns when all are registered. Raises StatusError."""
        self._pods = self._informers.of(core_v1.Pod)
        if self._own_informers:
            self._informers.start()
        await self._pods.wait_for_sync()
        await self.runtime.start(pod.metadata.uid for pod in self._pods.indexer.list())
        await asyncio.gather(*(self.add_node(spec) for spec in self._wanted))
        self._handlers.append(
            self._informers.of(core_v1.Node).add_handler(self._network, lambda old, new: self._network(new))
        )
        self._handlers.append(self._pods.add_handler(self._added, self._updated, self._deleted))
        self._heartbeats.start()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="kubelet")

    async def stop(self) -> None:
        """End what runs, with its grace; pods stay as they are in the API and start again next time."""
        for handler in self._handlers:
            handler.remove()
        if self._connections is not None:
            for name in self._nodes:
                self._connections.unregister(name)
        await self._heartbeats.stop()
        self._queue.shut_down()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for worker in self._workers.values():
            self._context.prober.stop(worker.uid)
        await self._stopper.close()
        await self.runtime.stop()
        await self._statuses.stop()
        await self._recorders.stop()
        if self._own_informers:
            await self._informers.stop()

    async def add_node(self, spec: NodeSpec) -> None:
        """Register a node and take its pods. Raises StatusError."""
        node = await self._heartbeats.add(spec)
        self._nodes[spec.name], self._rooms[spec.name] = spec, Room()
        self._recorders.of(spec.name).event(
            {"kind": "Node", "name": spec.name, "uid": node.metadata.uid, "apiVersion": "v1"},
            words.NORMAL,
            words.NODE_STARTING,
            "Starting kubelet.",
        )
        if self._connections is not None:
            api = PodAPI(
                spec.name,
                self.runtime,
                lambda namespace, name: self._pod_on(spec.name, namespace, name),
                lambda: self.pods_of(spec.name),
                self._clock.now(),
            )
            self._connections.register(spec.name, api)
        if self._handlers and self._pods is not None:
            for pod in self._pods.indexer.list():
                self._added(pod)

    def remove_node(self, name: str) -> None:
        """As if its machine were switched off: no heartbeats, no answers, what ran is gone."""
        self._heartbeats.remove(name)
        self._nodes.pop(name, None)
        self._rooms.pop(name, None)
        if self._connections is not None:
            self._connections.unregister(name)
        for worker in [w for w in self._workers.values() if w.pod.spec.nodeName == name]:
            self._forget(worker)

    async def flush(self) -> None:
        """Until all statuses and events so far are written."""
        await self._statuses.flush()
        await self._recorders.flush()

    # -- asked by others ---------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[str]:
        return list(self._nodes)

    def pods_of(self, node: str) -> list[Any]:
        return [w.pod for w in self._workers.values() if w.pod.spec.nodeName == node]

    def _pod_on(self, node: str, namespace: str, name: str) -> Any | None:
        worker = self._by_name.get((namespace, name))
        return worker.pod if worker is not None and worker.pod.spec.nodeName == node else None

    # -- the runtime's listener --------------------------------------------------------------------------------

    def changed(self, uid: str) -> None:
        self._queue.add(uid)

    def event(self, pod: Any, type_: str, reason: str, message: str, container: str = "") -> None:
        self._recorders.pod_event(pod, type_, reason, message, container)

    # -- the informer's handlers -------------------------------------------------------------------------------

    def _added(self, pod: Any) -> None:
        spec = self._nodes.get(pod.spec.nodeName)
        uid = pod.metadata.uid
        if spec is None or uid in self._workers:
            return
        worker = self._workers[uid] = PodWorker(self._context, pod, spec.addresses)
        self._by_name[pod.metadata.namespace, pod.metadata.name] = worker
        self._admit(worker)
        self._queue.add(uid)

    def _admit(self, worker: PodWorker) -> None:
        """Pods that have begun before are let in as they are; those that are over need no room."""
        pod = worker.pod
        if pod.status.phase in TERMINAL:
            if (said := pod.status.message or "").startswith(REJECTED):
                # in an earlier life
                worker.reject(pod.status.reason, said.removeprefix(REJECTED))
            return
        room = self._rooms[pod.spec.nodeName]
        node = self._informers.of(core_v1.Node).indexer.get(("", pod.spec.nodeName))
        if node is not None and not pod.status.startTime and pod.metadata.deletionTimestamp is None:
            if rejection := room.rejection(pod, node):
                reason, message = rejection
                self._recorders.pod_event(pod, words.WARNING, reason, message)
                worker.reject(reason, message)
                return
        room.take(pod)

    def _leave(self, worker: PodWorker) -> None:
        room = self._rooms.get(worker.pod.spec.nodeName)
        if room is not None:
            room.give_back(worker.uid)

    def _updated(self, old: Any, new: Any) -> None:
        worker = self._workers.get(new.metadata.uid)
        if worker is None:
            stale = self._workers.get(old.metadata.uid)
            if stale is not None:
                self._forget(stale)
            self._added(new)
            return
        worker.pod = new
        if old.metadata.generation != new.metadata.generation and not worker.over:
            # resized, perhaps
            self._rooms[new.spec.nodeName].take(new)
        if _concerns(old, new, worker):
            self.runtime.update_pod(new)
            self._queue.add(worker.uid)
        elif worker.overwritten:
            worker.reported = {}
            self._queue.add(worker.uid)

    def _deleted(self, pod: Any) -> None:
        worker = self._workers.get(pod.metadata.uid)
        if worker is not None:
            self._forget(worker)

    def _network(self, node: Any) -> None:
        if node.spec.podCIDR and node.metadata.name in self._nodes:
            self.runtime.addresses.networks[node.metadata.name] = node.spec.podCIDR

    def _forget(self, worker: PodWorker) -> None:
        del self._workers[worker.uid]
        self._leave(worker)
        key = (worker.pod.metadata.namespace, worker.pod.metadata.name)
        if self._by_name.get(key) is worker:
            del self._by_name[key]
        worker.forget()

    # -- the worker --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        count = 0
        while True:
            try:
                uid = await self._queue.get()
            except ShutDown:
                return
            try:
                self._sync(uid)
            except Exception:
                log.exception("pod %s", uid)
                self._queue.add_after(uid, 10.0)
            finally:
                self._queue.done(uid)
            count += 1
            if count % BATCH_PODS == 0:
                await asyncio.sleep(0)

    def _sync(self, uid: Any) -> None:
        worker = self._workers.get(uid)
        if worker is None:
            return
        wake = worker.sync(self._clock.now())
        if worker.finished or worker.status != worker.reported:
            self._statuses.put(worker)
            if worker.finished or (worker.status is not None and worker.status["phase"] in TERMINAL):
                self._leave(worker)
        if wake is not None:
            # not in this very turn: uvloop's timers for that cannot be compared
            self._queue.add_after(uid, max(wake, 0.001))


def _concerns(old: Any, new: Any, worker: PodWorker) -> bool:
    """Whether an update is more than our own status coming back."""
    a, b = old.metadata, new.metadata
    if a.generation != b.generation or a.deletionTimestamp != b.deletionTimestamp:
        return True
    if a.deletionGracePeriodSeconds != b.deletionGracePeriodSeconds:
        return True
    if a.labels != b.labels or a.annotations != b.annotations:
        return True
    if new.spec.readinessGates and old.status.conditions != new.status.conditions:
        return True
    return bool(new.status.phase in TERMINAL and not worker.over)
