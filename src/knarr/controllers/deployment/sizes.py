"""How large each replica set should be: one step of a rolling update, and scaling in proportion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import trunc
from typing import Any, NamedTuple

from knarr.controllers.deployment.limits import is_rolling, max_surge, max_unavailable
from knarr.controllers.deployment.revisions import DESIRED, MAX, by_age


class Resize(NamedTuple):
    """Give a replica set this many replicas."""

    rs: Any
    replicas: int


def is_running(rs: Any) -> bool:
    """Still wants pods."""
    return rs.spec.replicas > 0


def wanted(sets: Iterable[Any]) -> int:
    return sum(rs.spec.replicas for rs in sets)


def existing(sets: Iterable[Any]) -> int:
    return sum(rs.status.replicas for rs in sets)


def available(sets: Iterable[Any]) -> int:
    return sum(rs.status.availableReplicas for rs in sets)


def size_of_new(d: Any, size: int, sets: Sequence[Any]) -> int:
    """What the new replica set of `size` may grow (or must shrink) to; `sets` are all, with it if it exists."""
    if size > d.spec.replicas or not is_rolling(d):
        return d.spec.replicas
    room = d.spec.replicas + max_surge(d) - wanted(sets)
    return size + max(0, min(room, d.spec.replicas - size))


def shrink_old(d: Any, new: Any, old: Sequence[Any]) -> list[Resize]:
    """What the old ones can give up: first pods that are not available anyway, then as many as may be missing. A set
    that gives up both is there twice."""
    sets = [*old, new]
    least = d.spec.replicas - max_unavailable(d)
    # pods of the new set that are not available yet must not be counted on
    to_come = new.spec.replicas - new.status.availableReplicas
    unhealthy_max = wanted(sets) - least - to_come
    if not wanted(old) or unhealthy_max <= 0:
        return []
    running = [rs for rs in by_age(old) if is_running(rs)]
    unhealthy = [rs.spec.replicas - rs.status.availableReplicas for rs in running]
    steps, left = _take(running, [rs.spec.replicas for rs in running], unhealthy, unhealthy_max)
    more, _ = _take(running, left, left, max(0, available(sets) - least))
    return steps + more


def _take(
    sets: Sequence[Any], sizes: list[int], most: Sequence[int], count: int
) -> tuple[list[Resize], list[int]]:
    """(the steps that take `count` pods away, the first sets first and of each `most`, the sizes after that)."""
    steps, after = [], []
    for rs, size, limit in zip(sets, sizes, most, strict=True):
        taken = max(0, min(count, limit))
        count -= taken
        after.append(size - taken)
        if taken:
            steps.append(Resize(rs, size - taken))
    return steps, after


def is_saturated(d: Any, new: Any | None) -> bool:
    """The new replica set has taken over entirely."""
    if new is None or new.metadata.annotations.get(DESIRED) is None:
        return False
    sizes = (new.spec.replicas, new.status.availableReplicas)
    return sizes == (d.spec.replicas,) * 2 and new.metadata.annotations[DESIRED] == str(d.spec.replicas)


def was_scaled(d: Any, sets: Iterable[Any]) -> bool:
    """spec.replicas is not what the replica sets were sized for."""
    for rs in sets:
        desired = rs.metadata.annotations.get(DESIRED, "")
        if is_running(rs) and desired.isdecimal() and int(desired) != d.spec.replicas:
            return True
    return False


def rescale(d: Any, new: Any | None, old: Sequence[Any]) -> list[Resize]:
    """After spec.replicas changed, or while paused: who grows and who shrinks. Annotations may need an update even
    where the size stays."""
    sets = [*old, new] if new is not None else list(old)
    running = [rs for rs in sets if is_running(rs)]
    if len(running) <= 1:
        newest = running or ([new] if new is not None else by_age(old)[-1:])
        return [Resize(rs, d.spec.replicas) for rs in newest]
    if is_saturated(d, new):
        return [Resize(rs, 0) for rs in old if is_running(rs)]
    if is_rolling(d):
        return in_proportion(d, running)
    return []


def in_proportion(d: Any, sets: Sequence[Any]) -> list[Resize]:
    """Spread what is to come or to go over the running sets by their sizes, in the middle of a rollout."""
    allowed = d.spec.replicas + max_surge(d) if d.spec.replicas else 0
    change = allowed - wanted(sets)
    # growing prefers newer ones, shrinking older ones, among sets of one size
    ordered = by_age(sets) if change <= 0 else by_age(sets)[::-1]
    ordered = sorted(ordered, key=lambda rs: -rs.spec.replicas)
    sizes, done = [], 0
    for rs in ordered:
        share = _share(d, rs, change, done)
        sizes.append(rs.spec.replicas + share)
        done += share
    if sizes and change:
        sizes[0] = max(0, sizes[0] + change - done)  # what rounding left over
    return [Resize(rs, size) for rs, size in zip(ordered, sizes, strict=True)]


def _share(d: Any, rs: Any, change: int, done: int) -> int:
    left = change - done
    if not change or not left:
        return 0
    share = _fraction(d, rs)
    return min(share, left) if change > 0 else max(share, left)


def _fraction(d: Any, rs: Any) -> int:
    """How much a set of this size grows when the deployment grows as it did."""
    if not d.spec.replicas:
        return -rs.spec.replicas
    text = rs.metadata.annotations.get(MAX, "")
    before = (int(text) if text.isdecimal() else 0) or d.status.replicas
    if not before:
        return 0
    size = rs.spec.replicas * (d.spec.replicas + max_surge(d)) / before
    return trunc(size + 0.5) - rs.spec.replicas
