"""From what metrics ask for to what is done: within the limits, not too fast, and not to and fro."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

from knarr.controllers.podautoscaler.replicas import MAX_INT32, TOLERANCE, Tolerances
from knarr.meta.quantity import Quantity

#: a workload shrinks to the most that was asked for within so many seconds
SHRINK_WINDOW_SECONDS = 300
#: without rules of its own a workload may double at a time, or grow to so many
GROWTH_FACTOR, GROWTH_MIN = 2, 4

Rules = Mapping[str, Any]


class Said(NamedTuple):
    """A condition's reason and message."""

    reason: str
    message: str


READY = Said("ReadyForNewScale", "recommended size matches current size")
STABLE_UP = Said(
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
STABLE_DOWN = Said(
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
IN_RANGE = Said("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_MANY = Said("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW = Said("TooFewReplicas", "the desired replica count is less than the minimum replica count")
TOO_FAST_UP = Said(
    "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"
)
TOO_FAST_DOWN = Said(
    "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"
)


class Past(NamedTuple):
    """So many replicas were asked for, or added, or taken away, then."""

    replicas: int
    at: float


@dataclass
class Memory:
    """What is known of one autoscaler's past; lost with the controller."""

    asked: list[Past] = field(default_factory=list)
    ups: list[Past] = field(default_factory=list)
    downs: list[Past] = field(default_factory=list)

    def ask(self, replicas: int, now: float, window: float) -> None:
        self.asked = [past for past in self.asked if past.at >= now - window] + [Past(replicas, now)]

    def scaled(self, behavior: Rules, before: int, after: int, now: float) -> None:
        """Remembered as long as a policy may look back."""
        up = after > before
        policies = ((behavior.get("scaleUp" if up else "scaleDown") or {}).get("policies")) or ()
        window = max((policy["periodSeconds"] for policy in policies), default=0)
        events = self.ups if up else self.downs
        events[:] = [past for past in events if past.at >= now - window] + [Past(abs(after - before), now)]


class Limited(NamedTuple):
    """`able` and `limited` are what the conditions AbleToScale and ScalingLimited say."""

    replicas: int
    able: Said
    limited: Said
    is_limited: bool


class Limits(NamedTuple):
    least: int
    most: int


def tolerances_of(behavior: Rules | None) -> Tolerances:
    def of(rules: Rules | None) -> float:
        text = (rules or {}).get("tolerance")
        return TOLERANCE if text is None else float(Quantity.parse(text).nanos) / 1e9

    behavior = behavior or {}
    return Tolerances(of(behavior.get("scaleDown")), of(behavior.get("scaleUp")))


def limit(
    behavior: Rules | None, memory: Memory, current: int, asked: int, limits: Limits, now: float
) -> Limited:
    """What is done where `asked` replicas are asked for; enters that in the memory."""
    if behavior is None:
        stable, said = _highest(memory, asked, now), STABLE_DOWN
    else:
        stable, said = _stable(behavior, memory, current, asked, now)
    able = said if stable != asked else READY
    if behavior is None:
        replicas, why = _within(current, stable, limits)
    else:
        replicas, why = _by_rules(behavior, memory, current, stable, limits, now)
    return Limited(replicas, able, why, replicas != stable)


# -- not to and fro ----------------------------------------------------------------------------------------------


def _highest(memory: Memory, asked: int, now: float) -> int:
    recent = [past.replicas for past in memory.asked if past.at >= now - SHRINK_WINDOW_SECONDS]
    memory.ask(asked, now, SHRINK_WINDOW_SECONDS)
    return max([asked, *recent])


def _window(rules: Rules | None, otherwise: int) -> int:
    seconds = (rules or {}).get("stabilizationWindowSeconds")
    return otherwise if seconds is None else int(seconds)


def _stable(behavior: Rules, memory: Memory, current: int, asked: int, now: float) -> tuple[int, Said]:
    """As near to the present size as what was asked for lately allows."""
    up = _window(behavior.get("scaleUp"), 0)
    down = _window(behavior.get("scaleDown"), SHRINK_WINDOW_SECONDS)
    lowest = min([asked, *(past.replicas for past in memory.asked if past.at > now - up)])
    highest = max([asked, *(past.replicas for past in memory.asked if past.at > now - down)])
    memory.ask(asked, now, max(up, down))
    return min(max(current, lowest), highest), STABLE_UP if asked >= current else STABLE_DOWN


# -- not too fast ------------------------------------------------------------------------------------------------


def _within(current: int, asked: int, limits: Limits) -> tuple[int, Said]:
    fastest = max(GROWTH_FACTOR * current, GROWTH_MIN)
    most, why = (fastest, TOO_FAST_UP) if limits.most > fastest else (limits.most, TOO_MANY)
    if asked < limits.least:
        return limits.least, TOO_FEW
    return (most, why) if asked > most else (asked, IN_RANGE)


def _by_rules(
    behavior: Rules, memory: Memory, current: int, asked: int, limits: Limits, now: float
) -> tuple[int, Said]:
    if asked > current:
        fastest = max(current, _bound(behavior["scaleUp"], memory, current, now, 1))
        most, why = (fastest, TOO_FAST_UP) if limits.most > fastest else (limits.most, TOO_MANY)
        if asked > most:
            return most, why
    elif asked < current:
        fastest = min(current, _bound(behavior["scaleDown"], memory, current, now, -1))
        least, why = (fastest, TOO_FAST_DOWN) if limits.least < fastest else (limits.least, TOO_FEW)
        if asked < least:
            return least, why
    return asked, IN_RANGE


def _before(policy: Rules, memory: Memory, current: int, now: float) -> int:
    """The size when the policy's period began."""
    since = now - policy["periodSeconds"]

    def changed(events: Sequence[Past]) -> int:
        return sum(past.replicas for past in events if past.at > since)

    return current - changed(memory.ups) + changed(memory.downs)


def _bound(rules: Rules, memory: Memory, current: int, now: float, direction: int) -> int:
    """The farthest size that the policies allow now, upwards (`direction` 1) or downwards (-1)."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    up, mild = direction > 0, rules.get("selectPolicy") == "Min"
    sizes = []
    for policy in rules.get("policies") or ():
        before = _before(policy, memory, current, now)
        if policy["type"] == "Pods":
            sizes.append(before + direction * policy["value"])
        else:
            size = before * (1 + direction * policy["value"] / 100)
            # up, because a share of a few pods may be less than one
            sizes.append(ceil(size) if up else int(size))
    choose = min if mild == up else max
    return choose(sizes, default=MAX_INT32 if mild == up else -MAX_INT32)
