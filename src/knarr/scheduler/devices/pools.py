"""The devices that a node can reach, by pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from knarr.scheduler.devices.claims import DeviceId
from knarr.scheduler.plugins.nodeaffinity import term_holds
from knarr.scheduler.terms import node_terms


class Candidate(NamedTuple):
    """A device that may be taken."""

    id: DeviceId
    device: Any
    #: the spec of its slice
    slice: Any
    pool: Pool


@dataclass
class Pool:
    """The newest generation of a pool's slices; what can be said of it is said once all are gathered."""

    driver: str
    name: str
    generation: int
    slices: list[Any] = field(default_factory=list)

    @cached_property
    def complete(self) -> bool:
        """All its slices are there; until then nobody knows what the pool has."""
        return len(self.slices) == self.slices[0].pool.resourceSliceCount

    @cached_property
    def valid(self) -> bool:
        names = [device.name for spec in self.slices for device in spec.devices]
        return len(set(names)) == len(names)

    def __str__(self) -> str:
        return f"{self.driver}/{self.name}"


class Node(NamedTuple):
    """What slices choose nodes by."""

    name: str
    labels: Mapping[str, str]


class Pools:
    """All there are. Most are of one node, so that each node need look at a few only."""

    def __init__(self, slices: Iterable[Any]) -> None:
        self._ordered = _gather(slices)
        #: places in that order: by the node whose devices they have, and of those that several nodes may reach
        self._of_node: dict[str, list[int]] = {}
        self._of_many: list[int] = []
        for place, pool in enumerate(self._ordered):
            nodes = {spec.nodeName or "" for spec in pool.slices}
            for node in nodes - {""}:
                self._of_node.setdefault(node, []).append(place)
            if "" in nodes:
                self._of_many.append(place)

    def near(self, node: str) -> list[Pool]:
        """Those that may have devices for a node."""
        return [self._ordered[place] for place in sorted({*self._of_node.get(node, ()), *self._of_many})]


def _gather(slices: Iterable[Any]) -> list[Pool]:
    """By driver and name; those whose devices bind at once come before those that have to be prepared."""
    pools: dict[tuple[str, str], Pool] = {}
    for found in slices:
        spec = found.spec
        key, generation = (spec.driver, spec.pool.name), spec.pool.generation
        pool = pools.get(key)
        if pool is None or generation > pool.generation:
            pool = pools[key] = Pool(*key, generation)
        if generation == pool.generation:
            pool.slices.append(spec)
    return sorted(pools.values(), key=lambda pool: (_needs_binding(pool), pool.driver, pool.name))


def _needs_binding(pool: Pool) -> bool:
    return any(device.bindingConditions for spec in pool.slices for device in spec.devices)


def reachable(pool: Pool, node: Node) -> Iterator[Candidate]:
    for spec in pool.slices:
        if not spec.perDeviceNodeSelection and not _reaches(spec, node):
            continue
        for device in spec.devices:
            if not spec.perDeviceNodeSelection or _reaches(device, node):
                yield Candidate(DeviceId(pool.driver, pool.name, device.name), device, spec, pool)


def _reaches(place: Any, node: Node) -> bool:
    """`place`: a slice's spec or a device."""
    if place.nodeName:
        return bool(place.nodeName == node.name)
    if place.allNodes:
        return True
    if place.nodeSelector is None:
        return False
    return any(term_holds(term, node.labels, node.name) for term in node_terms(place.nodeSelector))
