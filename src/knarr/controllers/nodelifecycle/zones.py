"""How fast nodes may be given up. A zone in which most nodes fell silent has more likely lost its network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from knarr.client.ratelimit import TokenBucket

INITIAL, NORMAL, PARTIAL, FULL = "Initial", "Normal", "PartialDisruption", "FullDisruption"
#: nodes per second, in a healthy zone and in a large one that is partly disrupted
RATE, SECONDARY_RATE = 0.1, 0.01
LARGE_NODES = 50
UNHEALTHY_SHARE = 0.55
EXCLUDED = "node.kubernetes.io/exclude-disruption"


def zone_of(node: Any) -> str:
    labels = node.metadata.labels
    region = labels.get("topology.kubernetes.io/region", "")
    zone = labels.get("topology.kubernetes.io/zone", "")
    return f"{region}:\x00:{zone}" if region or zone else ""


class Count(NamedTuple):
    """The nodes of a zone."""

    ready: int
    other: int


def state_of(count: Count) -> str:
    if count.ready == 0 and count.other > 0:
        return FULL
    if count.other > 2 and count.other / (count.ready + count.other) >= UNHEALTHY_SHARE:
        return PARTIAL
    return NORMAL


def rate_of(state: str, nodes: int) -> float:
    if state == PARTIAL:
        return SECONDARY_RATE if nodes > LARGE_NODES else 0.0
    return RATE


def count_nodes(nodes: Iterable[tuple[Any, str | None]]) -> dict[str, Count]:
    """(node, its readiness) -> zone -> numbers."""
    counts: dict[str, list[int]] = {}
    for node, ready in nodes:
        if EXCLUDED not in node.metadata.labels:
            counts.setdefault(zone_of(node), [0, 0])[ready != "True"] += 1
    return {zone: Count(*numbers) for zone, numbers in counts.items()}


@dataclass
class Zone:
    """One zone: its state, its rate, and the nodes whose pods wait to be told to leave."""

    state: str = INITIAL
    rate: float = RATE
    waiting: OrderedDict[str, None] = field(default_factory=OrderedDict)
    bucket: TokenBucket = field(default_factory=lambda: TokenBucket(RATE, 1))

    def set_rate(self, rate: float) -> None:
        if rate != self.rate:
            self.rate, self.bucket = rate, TokenBucket(rate, 1)

    def take(self) -> str | None:
        """The node whose turn it is, if the rate allows one now."""
        if self.rate <= 0 or not self.waiting or not self.bucket.try_take():
            return None
        return self.waiting.popitem(last=False)[0]


class Change(NamedTuple):
    """`began`: nobody is well any more, so nothing is known and everything stays; `ended`: that is over."""

    began: bool = False
    ended: bool = False


def disruption(zones: dict[str, Zone], counts: Mapping[str, Count]) -> Change:
    """Bring the zones' states and rates up to the numbers of ready nodes."""
    new = {zone: state_of(count) for zone, count in counts.items()}
    for name in new:
        zones.setdefault(name, Zone())
    for gone in [name for name in zones if name not in new]:
        del zones[gone]
    if not new:
        return Change()
    all_were = all(zone.state == FULL for zone in zones.values())
    all_are = all(state == FULL for state in new.values())
    if all_were and all_are:
        return Change()
    for name, zone in zones.items():
        if all_are:
            zone.set_rate(0.0)
        elif all_were or zone.state != new[name]:
            zone.set_rate(rate_of(new[name], sum(counts[name])))
        zone.state = new[name]
    return Change(began=all_are, ended=all_were)
