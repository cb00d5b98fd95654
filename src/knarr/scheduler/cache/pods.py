"""Which pods are on which nodes: those the API tells of, and those assumed there until it does."""

from __future__ import annotations

from typing import Any

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import facts_of
from knarr.scheduler.queue.events import Action


class PodRecord:
    """A pod that takes up room."""

    __slots__ = ("assumed", "cls", "node", "pod", "uid")

    def __init__(self, pod: Any, cls: PodClass, node: str, assumed: bool) -> None:
        self.uid: str = pod.metadata.uid
        self.pod, self.cls, self.node, self.assumed = pod, cls, node, assumed


class PodCache:
    """Keeps a Cluster in step with nodes and pods. A pod whose node is unknown waits for the node to appear."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.records: dict[str, PodRecord] = {}
        self._by_node: dict[str, dict[str, PodRecord]] = {}

    def on(self, node: str) -> list[PodRecord]:
        """The pods of a node, in the order of their arrival."""
        return list(self._by_node.get(node, {}).values())

    def __len__(self) -> int:
        return len(self.records)

    def classes_below(self, priority: int) -> list[PodClass]:
        """The classes of running pods that are less important."""
        return [c for c in self.cluster.classes() if c.rows and c.priority < priority]

    # -- pods --------------------------------------------------------------------------------------------

    def assume(self, pod: Any, cls: PodClass, node: str) -> PodRecord:
        """It will run there: count it from now on."""
        record = PodRecord(pod, cls, node, assumed=True)
        self._place(record)
        return record

    def forget(self, uid: str) -> PodRecord | None:
        """An assumed pod will not run there after all; None where the API has confirmed it meanwhile."""
        record = self.records.get(uid)
        if record is None or not record.assumed:
            return None
        self._displace(record)
        return record

    def put(self, pod: Any, cls: PodClass) -> PodRecord | None:
        """As the API tells; the record that this replaces, if the pod was known."""
        old = self.records.get(pod.metadata.uid)
        node = pod.spec.nodeName
        if old is not None and old.node == node and old.cls is cls:
            old.pod, old.assumed = pod, False
            return old
        if old is not None:
            self._displace(old)
        self._place(PodRecord(pod, cls, node, assumed=False))
        return old

    def remove(self, uid: str) -> PodRecord | None:
        """It is gone, or it has ended."""
        record = self.records.get(uid)
        if record is not None:
            self._displace(record)
        return record

    def _place(self, record: PodRecord) -> None:
        self.records[record.uid] = record
        self._by_node.setdefault(record.node, {})[record.uid] = record
        row = self.cluster.nodes.row_of.get(record.node)
        if row is not None:
            self.cluster.bind(row, record.cls)

    def _displace(self, record: PodRecord) -> None:
        del self.records[record.uid]
        on_node = self._by_node[record.node]
        del on_node[record.uid]
        if not on_node:
            del self._by_node[record.node]
        row = self.cluster.nodes.row_of.get(record.node)
        if row is not None:
            self.cluster.bind(row, record.cls, -1)

    # -- nodes -------------------------------------------------------------------------------------------

    def put_node(self, node: Any) -> Action:
        """What changed, in the words of events; empty if nothing that matters."""
        nodes = self.cluster.nodes
        facts = facts_of(node)
        row = nodes.row_of.get(facts.name)
        if row is None:
            row = nodes.add(facts)
            nodes.set_allocatable(row, node.status.allocatable)
            for record in self._by_node.get(facts.name, {}).values():
                self.cluster.bind(row, record.cls)
            self.cluster.balance(row)
            self.cluster.touch(row)
            return Action.ADD
        changed = Action(0)
        if nodes.set_allocatable(row, node.status.allocatable):
            changed |= Action.NODE_ALLOCATABLE
            self.cluster.balance(row)
            self.cluster.touch(row)
        old = nodes.facts[row]
        assert old is not None
        if facts != old:
            if facts.labels != old.labels:
                changed |= Action.NODE_LABEL
            if facts.taints != old.taints:
                changed |= Action.NODE_TAINT
            if facts.unschedulable != old.unschedulable:
                changed |= Action.NODE_SPEC
            if facts.features != old.features:
                changed |= Action.NODE_FEATURES
            nodes.replace(row, facts)
        return changed

    def remove_node(self, name: str) -> bool:
        """Its pods stay known, in case it comes back."""
        row = self.cluster.nodes.row_of.get(name)
        if row is None:
            return False
        for record in self._by_node.get(name, {}).values():
            self.cluster.bind(row, record.cls, -1)
        self.cluster.nodes.remove(row)
        return True
