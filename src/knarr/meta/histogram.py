"""How many values fell up to which bound: what a histogram of /metrics is made of."""

from __future__ import annotations

from bisect import bisect_left


class Histogram:
    """The last bucket has what is above all bounds."""

    __slots__ = ("bounds", "buckets", "count", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.count, self.total = 0, 0.0

    def observe(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.buckets[bisect_left(self.bounds, value)] += 1

    def add(self, other: Histogram) -> None:
        """What another one of the same bounds has seen."""
        self.count += other.count
        self.total += other.total
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
