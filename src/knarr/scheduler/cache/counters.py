"""How many pods of a kind run in each domain of a topology key, kept up to date by every bind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.nodes import Array, LabelColumn

#: keys with more domains than this are counted in a dict until they are read as a whole
DENSE_DOMAINS_MAX = 1024
_NO_DOMAINS_MINIMUM = 2**31 - 1


class Counter:
    """Pods of matching classes per domain; `mask` limits which nodes count."""

    __slots__ = (
        "_dense",
        "_dense_at",
        "_mask",
        "_reads",
        "_registered",
        "at",
        "by_count",
        "column",
        "matches",
        "minimum",
        "total",
    )

    def __init__(self, column: LabelColumn, matches: Callable[[PodClass], bool], mask: Array | None) -> None:
        self.column = column
        self.matches = matches
        self._mask = memoryview(mask) if mask is not None else None
        self._dense: Array | None = None
        self._dense_at: Any = None
        #: the count of a domain, by its number
        self.at: Any = defaultdict(int)
        if column.count <= DENSE_DOMAINS_MAX:
            self._dense = np.zeros(column.count + 1, np.int64)
            self.at = memoryview(self._dense)
        self._reads = 0
        self.total = 0
        self.by_count: dict[int, int] | None = None
        self._registered: Any = None
        #: the smallest count of a registered domain (see `register`)
        self.minimum = 0

    @property
    def domains(self) -> Array:
        """Counts as a vector; the last entry, 0, stands for nodes without the key (their domain is -1)."""
        if self._dense is not None:
            return self._dense
        dense = np.zeros(self.column.count + 1, np.int64)
        if self.at:
            where = np.fromiter(self.at.keys(), np.int64, len(self.at))
            dense[where] = np.fromiter(self.at.values(), np.int64, len(self.at))
        self._reads += 1
        if self._reads > 2:  # read often enough to be worth keeping
            self._dense, self._dense_at = dense, memoryview(dense)
        return dense

    def add(self, row: int, delta: int) -> None:
        if self._mask is not None and not self._mask[row]:
            return
        domain = self.column.row[row]
        if domain < 0:
            return
        count = self.at[domain]
        self.at[domain] = count + delta
        self.total += delta
        if self._dense_at is not None:
            self._dense_at[domain] = count + delta
        if self.by_count is not None and self._registered[domain]:
            self._move(self.by_count, count, count + delta)

    def _move(self, by_count: dict[int, int], old: int, new: int) -> None:
        by_count[old] -= 1
        by_count[new] = by_count.get(new, 0) + 1
        if new < self.minimum:
            self.minimum = new
        else:
            while not by_count.get(self.minimum):
                self.minimum += 1

    def register(self, domains: Array) -> None:
        """Keep the minimum over these domains from now on."""
        self._registered = memoryview(domains)
        by_count: dict[int, int] = {}
        for domain in np.flatnonzero(domains).tolist():
            by_count[self.at[domain]] = by_count.get(self.at[domain], 0) + 1
        self.by_count = by_count
        self.minimum = min(by_count) if by_count else _NO_DOMAINS_MINIMUM
