"""From the informers to the cache and the queue: which objects matter, and which event each change is."""

from __future__ import annotations

from typing import Any

from knarr.api.core import podrequests
from knarr.api.types import core_v1, resource_v1, storage_v1
from knarr.client.informer import Handler
from knarr.scheduler.cache.pods import PodRecord
from knarr.scheduler.devices.extended import classes_by_resource
from knarr.scheduler.handle import Handle
from knarr.scheduler.queue.events import (
    ASSIGNED_POD,
    CLAIM,
    CSI_CAPACITY,
    CSI_DRIVER,
    CSI_NODE,
    DEVICE_CLASS,
    NAMESPACE,
    NODE,
    POD,
    RESOURCE_CLAIM,
    RESOURCE_SLICE,
    STORAGE_CLASS,
    VOLUME,
    Action,
    ClusterEvent,
)
from knarr.scheduler.queue.queue import SchedulingQueue

#: pods that have ended hold no resources
ENDED = ("Succeeded", "Failed")


class Watching:
    """Handlers of pods, nodes and namespaces. `scheduler` classifies pods and is woken when the queue has changed."""

    def __init__(self, scheduler: Any, handle: Handle, queue: SchedulingQueue) -> None:
        self._scheduler, self._handle, self._queue = scheduler, handle, queue
        self._handlers: list[Handler] = []

    def start(self) -> None:
        informers = self._handle.informers
        # nodes first: pods that run find their rows
        self._handlers = [
            informers.of(core_v1.Namespace).add_handler(
                self._namespace_added, self._namespace_updated, self._namespace_deleted
            ),
            informers.of(core_v1.Node).add_handler(self._node_added, self._node_updated, self._node_deleted),
            informers.of(resource_v1.DeviceClass).add_handler(
                lambda new: self._device_class_changed(Action.ADD, None, new),
                lambda old, new: self._device_class_changed(Action.UPDATE, old, new),
                lambda old: self._device_class_changed(Action.DELETE, old, None),
            ),
            *(self._watch(kind, resource) for kind, resource in _only_events()),
            informers.of(core_v1.Pod).add_handler(self._pod_added, self._pod_updated, self._pod_deleted),
        ]

    def _watch(self, kind: Any, resource: str) -> Handler:
        """Objects that plugins read from the informer's store: here they only wake pods."""
        return self._handle.informers.of(kind).add_handler(
            lambda new: self._move(ClusterEvent(resource, Action.ADD, None, new)),
            lambda old, new: self._move(ClusterEvent(resource, Action.UPDATE, old, new)),
        )

    def stop(self) -> None:
        for handler in self._handlers:
            handler.remove()

    def _move(self, event: ClusterEvent) -> None:
        now = self._scheduler.now()
        woken = self._queue.move(event, now)
        if event.resource == RESOURCE_CLAIM:
            woken += self._queue.reopen(now)
        if woken:
            self._scheduler.wake()

    # -- nodes and namespaces ----------------------------------------------------------------------------

    def _node_added(self, node: Any) -> None:
        if action := self._handle.pods.put_node(node):
            self._move(ClusterEvent(NODE, action, None, node))

    def _node_updated(self, old: Any, new: Any) -> None:
        if action := self._handle.pods.put_node(new):
            self._move(ClusterEvent(NODE, action, old, new))

    def _node_deleted(self, node: Any) -> None:
        if self._handle.pods.remove_node(node.metadata.name):
            self._move(ClusterEvent(NODE, Action.DELETE, node, None))

    def _namespace_added(self, namespace: Any) -> None:
        if self._handle.cluster.set_namespace(namespace.metadata.name, namespace.metadata.labels):
            self._move(ClusterEvent(NAMESPACE, Action.ADD, None, namespace))

    def _namespace_updated(self, old: Any, new: Any) -> None:
        if self._handle.cluster.set_namespace(new.metadata.name, new.metadata.labels):
            self._move(ClusterEvent(NAMESPACE, Action.UPDATE, old, new))

    def _namespace_deleted(self, namespace: Any) -> None:
        self._handle.cluster.set_namespace(namespace.metadata.name, None)

    def _device_class_changed(self, action: Action, old: Any, new: Any) -> None:
        classes = self._handle.informers.of(resource_v1.DeviceClass).indexer.list()
        self._handle.cluster.device_classes = classes_by_resource(classes)
        self._move(ClusterEvent(DEVICE_CLASS, action, old, new))

    # -- pods --------------------------------------------------------------------------------------------

    def _pod_added(self, pod: Any) -> None:
        if pod.spec.nodeName:
            if pod.status.phase not in ENDED:
                self._assigned(pod)
        elif self._scheduler.responsible(pod) and pod.metadata.uid not in self._handle.pods.records:
            self._queue.add(pod, self._scheduler.classify(pod), self._scheduler.now())
            self._nominated(pod)
            self._scheduler.wake()

    def _pod_updated(self, old: Any, new: Any) -> None:
        if old.metadata.uid != new.metadata.uid:  # deleted and made anew between two looks
            self._pod_deleted(old)
            self._pod_added(new)
        elif new.spec.nodeName:
            self._assigned_updated(old, new)
        elif not self._scheduler.responsible(new):
            self._leaves_queue(new.metadata.uid)
        elif new.metadata.uid not in self._handle.pods.records:
            self._waiting_updated(old, new)

    def _pod_deleted(self, pod: Any) -> None:
        uid = pod.metadata.uid
        self._leaves_queue(uid)
        record = self._handle.pods.remove(uid)
        if record is not None:
            self._freed(record)

    def _leaves_queue(self, uid: str) -> None:
        self._queue.remove(uid)
        self._scheduler.forget_explanation(uid)
        if self._handle.nominator.node_of(uid):
            self._handle.nominator.withdraw(uid)

    def _freed(self, record: PodRecord) -> None:
        self._move(ClusterEvent(ASSIGNED_POD, Action.DELETE, record.cls, None))

    def _assigned(self, pod: Any) -> None:
        """A pod that has a node, new or confirmed."""
        self._leaves_queue(pod.metadata.uid)
        cls = self._scheduler.classify(pod)
        old = self._handle.pods.put(pod, cls)
        if old is None or old.assumed or old.node != pod.spec.nodeName:
            self._move(ClusterEvent(ASSIGNED_POD, Action.ADD, None, cls))

    def _assigned_updated(self, old: Any, new: Any) -> None:
        uid = new.metadata.uid
        if new.status.phase in ENDED:
            record = self._handle.pods.remove(uid)
            if record is not None:
                self._freed(record)
            return
        record = self._handle.pods.records.get(uid)
        if record is None or not old.spec.nodeName:
            confirmed = record is not None
            self._assigned(new)
            if confirmed:
                self._move(ClusterEvent(ASSIGNED_POD, Action.ADD, None, record.cls))  # type: ignore[union-attr]
            return
        if _same_shape(old, new):
            record.pod = new  # status changes, by far the most frequent: nothing to count anew
            return
        before = record.cls
        cls = self._scheduler.classify(new)
        self._handle.pods.put(new, cls)
        if action := _what_changed(old, new):
            self._move(ClusterEvent(ASSIGNED_POD, action, before, cls))

    def _waiting_updated(self, old: Any, new: Any) -> None:
        action = _what_changed(old, new)
        queued = self._queue.get(new.metadata.uid)
        cls = queued.cls if queued is not None and _same_shape(old, new) else self._scheduler.classify(new)
        event = ClusterEvent(POD, action, old, new) if action else None
        self._queue.update(new, cls, event, self._scheduler.now())
        self._nominated(new, old.status.nominatedNodeName or "")
        if self._queue.ready:
            self._scheduler.wake()

    def _nominated(self, pod: Any, before: str = "") -> None:
        """Heed what the API says anew; between two changes we may know better."""
        node = pod.status.nominatedNodeName or ""
        queued = self._queue.get(pod.metadata.uid)
        if queued is not None and node != before:
            self._handle.nominator.nominate(queued.uid, queued.cls, node)


def _only_events() -> tuple[tuple[Any, str], ...]:
    return (
        (core_v1.PersistentVolumeClaim, CLAIM),
        (core_v1.PersistentVolume, VOLUME),
        (storage_v1.StorageClass, STORAGE_CLASS),
        (storage_v1.CSINode, CSI_NODE),
        (storage_v1.CSIDriver, CSI_DRIVER),
        (storage_v1.CSIStorageCapacity, CSI_CAPACITY),
        (resource_v1.ResourceClaim, RESOURCE_CLAIM),
        (resource_v1.ResourceSlice, RESOURCE_SLICE),
    )


def _same_shape(old: Any, new: Any) -> bool:
    """Compared by fields at C speed: no class key is made."""
    return (
        old.spec == new.spec
        and old.metadata.labels == new.metadata.labels
        and (old.metadata.deletionTimestamp is None) == (new.metadata.deletionTimestamp is None)
        and (not new.spec.resourceClaims or _same_claims(old, new))
    )


def _same_claims(old: Any, new: Any) -> bool:
    return bool(old.status.resourceClaimStatuses == new.status.resourceClaimStatuses)


def _what_changed(old: Any, new: Any) -> Action:
    changed = Action(0)
    if old.metadata.labels != new.metadata.labels:
        changed |= Action.POD_LABEL
    if old.spec.tolerations != new.spec.tolerations:
        changed |= Action.POD_TOLERATION
    if old.spec.schedulingGates and not new.spec.schedulingGates:
        changed |= Action.POD_GATES
    if new.spec.resourceClaims and not _same_claims(old, new):
        changed |= Action.UPDATE
    if old.spec.containers != new.spec.containers and _less(old, new):
        changed |= Action.POD_SCALE_DOWN
    return changed


def _less(old: Any, new: Any) -> bool:
    before, after = podrequests.pod_requests(old.spec), podrequests.pod_requests(new.spec)
    return any(after.get(resource, 0) < amount for resource, amount in before.items())
