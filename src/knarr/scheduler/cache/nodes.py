"""The nodes as columns: one row per resource, one column per node, so that one numpy call answers for all nodes.

Amounts are float64: whole numbers below 2**53 are exact, and divide-and-floor equals Go's int64 division up to
2**46 (64 TiB of memory). Scalar access goes through memoryviews, at a third of the cost of an array's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from knarr.api.core import podrequests

T = TypeVar("T")
Array = np.ndarray[Any, Any]

CPU, MEMORY, STORAGE, PODS = range(4)
RESOURCES = (podrequests.CPU, podrequests.MEMORY, podrequests.STORAGE, podrequests.PODS)
NO_DOMAIN = -1
#: (key, value, effect)
Taint = tuple[str, str, str]


class NodeFacts(NamedTuple):
    """What plugins read of a Node beside its allocatable amounts."""

    name: str
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    unschedulable: bool
    #: bytes by image name
    images: dict[str, int]
    #: what its kubelet declares
    features: frozenset[str] = frozenset()


def facts_of(node: Any) -> NodeFacts:
    return NodeFacts(
        node.metadata.name,
        dict(node.metadata.labels),
        tuple((t.key, t.value or "", t.effect) for t in node.spec.taints),
        bool(node.spec.unschedulable),
        {name: image.sizeBytes or 0 for image in node.status.images for name in image.names},
        frozenset(node.status.declaredFeatures),
    )


class LabelColumn:
    """The values of one label: `ids[row]` numbers the node's value, NO_DOMAIN where it lacks the label."""

    __slots__ = ("count", "ids", "index", "row")

    def __init__(self, key: str, nodes: list[NodeFacts | None]) -> None:
        self.index: dict[str, int] = {}
        self.ids = np.full(len(nodes), NO_DOMAIN, np.int32)
        index = self.index
        for row, facts in enumerate(nodes):
            value = facts.labels.get(key) if facts is not None else None
            if value is not None:
                self.ids[row] = index.setdefault(value, len(index))
        #: how many domains there are
        self.count = len(index)
        #: scalar access
        self.row = memoryview(self.ids)


class Nodes:
    """Rows are given to nodes as they come and reused when they go; a free row is `present` nowhere.

    `epoch` moves whenever a node's facts change: what was derived from facts (`memo`, label columns) is dropped.
    """

    def __init__(self) -> None:
        self.size = 0
        self.count = 0
        self.epoch = 0
        self.row_of: dict[str, int] = {}
        self.facts: list[NodeFacts | None] = []
        self.resources: dict[str, int] = {name: row for row, name in enumerate(RESOURCES)}
        self._free: list[int] = []
        self._capacity = 0
        self._memo: dict[Hashable, Any] = {}
        self._columns: dict[str, LabelColumn] = {}
        self._all = np.zeros((2, len(RESOURCES), 0))
        self._scored = np.zeros((2, 0))
        self._balance = np.zeros(0)
        self._present = np.zeros(0, bool)
        self._allocate(64)

    # -- the columns -------------------------------------------------------------------------------------

    def _allocate(self, capacity: int) -> None:
        """Room for `capacity` nodes and all resources; keeps what is there."""
        depth, width = self._all.shape[1:]
        everything = np.zeros((2, len(self.resources), capacity))
        everything[:, :depth, :width] = self._all
        self._all = everything
        self._scored = np.concatenate((self._scored, np.zeros((2, capacity - width))), axis=1)
        self._balance = np.concatenate((self._balance, np.full(capacity - width, 100.0)))
        self._present = np.concatenate((self._present, np.zeros(capacity - width, bool)))
        self._capacity = capacity
        #: scalar access: [resource][row]
        self.allocatable_at = [memoryview(row) for row in everything[0]]
        self.requested_at = [memoryview(row) for row in everything[1]]
        self.scored_at = [memoryview(row) for row in self._scored]
        self.balance_at = memoryview(self._balance)
        self._views()

    def _views(self) -> None:
        size = self.size
        #: (resources, nodes): what nodes offer, and what their pods request
        self.allocatable: Array = self._all[0][:, :size]
        self.requested: Array = self._all[1][:, :size]
        #: (cpu and memory, nodes): requests with the defaults that scores assume
        self.scored: Array = self._scored[:, :size]
        #: how evenly each node is used before the pod comes (0..100)
        self.balance: Array = self._balance[:size]
        self.present: Array = self._present[:size]

    def resource(self, name: str) -> int:
        """The row of a resource; a new one gets the next."""
        row = self.resources.get(name)
        if row is None:
            row = self.resources[name] = len(self.resources)
            self._allocate(self._capacity)
        return row

    @property
    def resource_names(self) -> list[str]:
        return list(self.resources)

    # -- nodes -------------------------------------------------------------------------------------------

    def add(self, facts: NodeFacts) -> int:
        """A row for a new node."""
        if self._free:
            row = self._free.pop()
            self.facts[row] = facts
        else:
            row = self.size
            if row == self._capacity:
                self._allocate(self._capacity * 2)
            self.size += 1
            self.facts.append(facts)
            self._views()
        self.row_of[facts.name] = row
        self._present[row] = True
        self.count += 1
        self.changed()
        return row

    def replace(self, row: int, facts: NodeFacts) -> None:
        self.facts[row] = facts
        self.changed()

    def remove(self, row: int) -> None:
        facts = self.facts[row]
        assert facts is not None
        del self.row_of[facts.name]
        self.facts[row] = None
        self._present[row] = False
        self._all[0][:, row] = 0
        self._free.append(row)
        self.count -= 1
        self.changed()

    def set_allocatable(self, row: int, quantities: Any) -> bool:
        """From status.allocatable; True where something changed."""
        wanted = podrequests.amounts(quantities)
        for name in wanted:
            self.resource(name)
        changed = False
        for name, index in self.resources.items():
            value = float(wanted.get(name, 0))
            if self.allocatable_at[index][row] != value:
                self.allocatable_at[index][row] = value
                changed = True
        return changed

    # -- what follows from facts ----------------------------------------------------------------------------

    def changed(self) -> None:
        self.epoch += 1
        self._memo.clear()
        self._columns.clear()

    def column(self, key: str) -> LabelColumn:
        found = self._columns.get(key)
        if found is None:
            found = self._columns[key] = LabelColumn(key, self.facts)
        return found

    def memo(self, key: Hashable, build: Callable[[], T]) -> T:
        """`build()`, kept until some node's facts change."""
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = build()
        return found

    def rows_where(self, holds: Callable[[NodeFacts], bool]) -> Array:
        """A mask by asking each node; for what has no column."""
        return np.fromiter((f is not None and holds(f) for f in self.facts), bool, self.size)

    def taint_sets(self) -> tuple[Array, list[tuple[Taint, ...]]]:
        """The number of each node's set of taints, and the sets."""
        return self.memo("taints", self._taint_sets)

    def _taint_sets(self) -> tuple[Array, list[tuple[Taint, ...]]]:
        index: dict[tuple[Taint, ...], int] = {}
        ids = np.zeros(self.size, np.int32)
        for row, facts in enumerate(self.facts):
            ids[row] = index.setdefault(facts.taints if facts is not None else (), len(index))
        return ids, list(index)
