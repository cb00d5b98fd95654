"""What is counted of each flow schema at its level, for /metrics."""

from __future__ import annotations

from bisect import bisect_left

SECONDS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
LENGTHS = (0.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
SEATS = (1.0, 2.0, 4.0, 10.0)
WATCHERS = (0.0, 1.0, 10.0, 100.0, 1000.0, 10000.0)


class Histogram:
    """How many values fell up to which bound; the last bucket has what is above all."""

    __slots__ = ("bounds", "buckets", "count", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.count, self.total = 0, 0.0

    def observe(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.buckets[bisect_left(self.bounds, value)] += 1


class Counts:
    """The requests of one flow schema."""

    __slots__ = (
        "dispatched",
        "lengths",
        "rejected",
        "seats",
        "took",
        "waited",
        "waited_in_vain",
        "waiting",
        "waiting_seats",
        "watchers",
    )

    def __init__(self) -> None:
        self.dispatched = self.waiting = self.waiting_seats = 0
        #: by reason
        self.rejected: dict[str, int] = {}
        self.waited, self.waited_in_vain = Histogram(SECONDS), Histogram(SECONDS)
        self.took = Histogram(SECONDS)
        self.lengths = Histogram(LENGTHS)
        self.seats = Histogram(SEATS)
        self.watchers = Histogram(WATCHERS)
