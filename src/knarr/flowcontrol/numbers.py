"""What is counted of each flow schema at its level, for /metrics."""

from __future__ import annotations

from knarr.meta.histogram import Histogram

SECONDS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
LENGTHS = (0.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
SEATS = (1.0, 2.0, 4.0, 10.0)
WATCHERS = (0.0, 1.0, 10.0, 100.0, 1000.0, 10000.0)


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
