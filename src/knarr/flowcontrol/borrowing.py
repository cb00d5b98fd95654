"""How the server's seats are shared out: shares give each level a nominal limit, idle levels lend (KEP-1040)."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import NamedTuple

#: nobody wants less
TARGET_MIN = 0.001


class Claim(NamedTuple):
    """What a level is entitled to and may lend or borrow, in seats; `demand` is what it lately wanted, smoothed, and
    `highest` at most."""

    nominal: int
    lowest: int
    highest_limit: int
    demand: float
    highest: int


def nominal_limits(total_seats: int, shares: Mapping[str, int]) -> dict[str, int]:
    """Seats by share, each rounded up."""
    whole = sum(shares.values())
    return {name: ceil(total_seats * share / whole) if whole else 0 for name, share in shares.items()}


def entitled(claim: Claim) -> int:
    """What a level gets in any case: as much of its nominal limit as it lately needed, and what it does not lend."""
    return max(claim.lowest, min(claim.nominal, claim.highest))


def current_limits(total_seats: int, claims: Mapping[str, Claim]) -> tuple[dict[str, int], float]:
    """(limits that follow demand, the fair fraction). Each level gets the same fraction of what it wants, within its
    bounds; where there are not even enough seats for what levels are entitled to, all give way alike."""
    lowest = {name: claim.lowest for name, claim in claims.items()}
    lower = {name: entitled(claim) for name, claim in claims.items()}
    least, needed = sum(lowest.values()), sum(lower.values())
    if total_seats <= least:
        return lowest, 0.0
    if total_seats <= needed:
        part = (total_seats - least) / (needed - least)
        return {n: rounded(lowest[n] + part * (lower[n] - lowest[n])) for n in claims}, 0.0
    fraction = _fair_fraction(total_seats, claims, lower)
    return {n: rounded(_share(claim, lower[n], fraction)) for n, claim in claims.items()}, fraction


def _share(claim: Claim, lower: int, fraction: float) -> float:
    target = max(TARGET_MIN, float(lower), claim.demand)
    return min(max(target * fraction, lower), claim.highest_limit)


def _fair_fraction(total_seats: int, claims: Mapping[str, Claim], lower: Mapping[str, int]) -> float:
    """The fraction at which all shares together are the server's seats; the largest that matters where they never
    are."""

    def whole(fraction: float) -> float:
        return sum(_share(claim, lower[name], fraction) for name, claim in claims.items())

    low, high = 0.0, 1.0
    while whole(high) < total_seats and high < 1e9:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if whole(middle) < total_seats:
            low = middle
        else:
            high = middle
    return high


def rounded(seats: float) -> int:
    """Halves away from zero, as Go rounds."""
    return floor(seats + 0.5)
