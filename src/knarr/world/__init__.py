"""Clock, chance and event loop: the only users of `time`, `random`, `uuid` and `secrets`."""

from __future__ import annotations

from dataclasses import dataclass, field

from knarr.world.chance import Chance, chance
from knarr.world.clock import Clock, LoopClock, RealClock

__all__ = ["Chance", "Clock", "LoopClock", "RealClock", "World", "chance"]


@dataclass(frozen=True)
class World:
    """What a part needs from outside itself, handed in from above."""

    clock: Clock = field(default_factory=RealClock)
    chance: Chance = field(default_factory=chance)
