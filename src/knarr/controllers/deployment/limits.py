"""How far a rollout may go above and below spec.replicas."""

from __future__ import annotations

from typing import Any

from knarr.meta.intstr import scaled

#: the largest int32 stands for "no limit"
UNLIMITED = 2**31 - 1


def is_rolling(d: Any) -> bool:
    return d.spec.strategy is not None and d.spec.strategy.type == "RollingUpdate"


def _amounts(d: Any) -> tuple[int, int]:
    """(surge, unavailable). Both zero would stop the rollout for ever, so one pod may then be missing."""
    rolling = d.spec.strategy.rollingUpdate
    surge_wanted = rolling.maxSurge if rolling is not None and rolling.maxSurge is not None else 0
    down_wanted = rolling.maxUnavailable if rolling is not None and rolling.maxUnavailable is not None else 0
    surge = scaled(surge_wanted, d.spec.replicas, True)
    unavailable = scaled(down_wanted, d.spec.replicas, False)
    return surge, unavailable if surge or unavailable else 1


def max_surge(d: Any) -> int:
    return _amounts(d)[0] if is_rolling(d) else 0


def max_unavailable(d: Any) -> int:
    if not is_rolling(d) or not d.spec.replicas:
        return 0
    return min(_amounts(d)[1], d.spec.replicas)


def has_deadline(d: Any) -> bool:
    return d.spec.progressDeadlineSeconds not in (None, UNLIMITED)
