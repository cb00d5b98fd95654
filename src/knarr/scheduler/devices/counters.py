"""Counters: devices that are parts of one another draw on the same ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from knarr.scheduler.devices.claims import DeviceId
from knarr.scheduler.devices.pools import Candidate, Pool

if TYPE_CHECKING:
    from fractions import Fraction

#: (counter set, counter) -> what is left
Left = dict[tuple[str, str], "Fraction | int"]


class Counters:
    """What is left of the counters of each pool; `in_use` tells of the devices that draw on them already."""

    def __init__(self, in_use: Callable[[DeviceId], bool]) -> None:
        self._in_use = in_use
        self._pools: dict[str, Left] = {}

    def take(self, candidate: Candidate) -> bool:
        """False where the device needs more than is left; then nothing was taken."""
        left, needed = self._left(candidate.pool), _consumed(candidate.device)
        if any(left.get(key, 0) < amount for key, amount in needed.items()):
            return False
        for key, amount in needed.items():
            left[key] -= amount
        return True

    def give_back(self, candidate: Candidate) -> None:
        left = self._left(candidate.pool)
        for key, amount in _consumed(candidate.device).items():
            left[key] += amount

    def _left(self, pool: Pool) -> Left:
        known = self._pools.get(str(pool))
        if known is None:
            known = self._pools[str(pool)] = self._count(pool)
        return known

    def _count(self, pool: Pool) -> Left:
        left = {
            (shared.name, name): counter.value.exact
            for spec in pool.slices
            for shared in spec.sharedCounters
            for name, counter in shared.counters.items()
        }
        for spec in pool.slices:
            for device in spec.devices:
                if device.consumesCounters and self._in_use(DeviceId(pool.driver, pool.name, device.name)):
                    for key, amount in _consumed(device).items():
                        left[key] = left.get(key, 0) - amount
        return left


def _consumed(device: Any) -> Left:
    return {
        (consumption.counterSet, name): counter.value.exact
        for consumption in device.consumesCounters
        for name, counter in consumption.counters.items()
    }
