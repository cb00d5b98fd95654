"""A priority level at work: what its PriorityLevelConfiguration makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from knarr.flowcontrol.borrowing import Claim, rounded
from knarr.flowcontrol.demand import Demand
from knarr.flowcontrol.estimate import seats_max
from knarr.flowcontrol.fairqueue import FairQueues, Shape, Unlimited
from knarr.flowcontrol.numbers import Counts
from knarr.flowcontrol.retryafter import RetryAfter
from knarr.registry.reader import Object


@dataclass(eq=False)
class Level:
    """`nominal` seats by its shares, `lowest` that it never lends, `highest` that it may have; `limit` is now."""

    name: str
    uid: str
    spec: Object
    queues: FairQueues
    nominal: int = 0
    lowest: int = 0
    highest: int = 0
    limit: int = 0
    #: seats that one request may take
    seats_max: int = 1
    #: its object is gone: no flow schema leads here, and what is in it drains
    quiescing: bool = False
    demand: Demand = field(default_factory=Demand)
    retry_after: RetryAfter = field(default_factory=RetryAfter)
    #: by flow schema
    counts: dict[str, Counts] = field(default_factory=dict)
    timed_out: int = 0
    cancelled: int = 0

    @property
    def exempt(self) -> bool:
        return self.spec.get("type") == "Exempt"

    @property
    def rejected(self) -> dict[str, int]:
        """How many were sent away, by reason."""
        found: dict[str, int] = {}
        for counts in self.counts.values():
            for reason, number in counts.rejected.items():
                found[reason] = found.get(reason, 0) + number
        return found

    @property
    def dispatched(self) -> int:
        return sum(counts.dispatched for counts in self.counts.values())

    def counts_of(self, schema: str) -> Counts:
        found = self.counts.get(schema)
        if found is None:
            found = self.counts[schema] = Counts()
        return found

    def entitle(self, nominal: int, total: int) -> None:
        """What shares give it. A level that is new begins with its nominal seats."""
        limits = limits_of(self.spec)
        if self.limit == self.nominal:
            self.limit = nominal
        self.nominal = nominal
        self.lowest = nominal - rounded(nominal * limits.get("lendablePercent", 0) / 100)
        percent = limits.get("borrowingLimitPercent")
        self.highest = nominal + (total if percent is None else rounded(nominal * percent / 100))
        self.limit = min(max(self.limit, self.lowest), self.highest)
        self.seats_max = seats_max(nominal, shape_of(self.spec, 0).hand)

    @property
    def claim(self) -> Claim:
        return Claim(self.nominal, self.lowest, self.highest, self.demand.smoothed, self.demand.highest)

    @property
    def shape(self) -> Shape:
        return shape_of(self.spec, self.limit)


def new_level(name: str, uid: str, spec: Object, now: float) -> Level:
    make = Unlimited if spec.get("type") == "Exempt" else FairQueues
    return Level(name, uid, spec, make(shape_of(spec, 0), now))


def limits_of(spec: Object) -> Object:
    return spec.get("exempt" if spec.get("type") == "Exempt" else "limited") or {}


def shares_of(spec: Object) -> int:
    return limits_of(spec).get("nominalConcurrencyShares", 0 if spec.get("type") == "Exempt" else 30)


def shape_of(spec: Object, seats: int) -> Shape:
    response = (spec.get("limited") or {}).get("limitResponse") or {}
    if response.get("type") != "Queue":
        return Shape(seats)
    queuing = response.get("queuing") or {}
    return Shape(
        seats, queuing.get("queues", 64), queuing.get("handSize", 8), queuing.get("queueLengthLimit", 50)
    )
