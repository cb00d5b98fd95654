"""How the server's seats are shared out: shares give each level a nominal limit, idle levels lend (KEP-1040)."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import NamedTuple


class Claim(NamedTuple):
    """What a level is entitled to and may lend or borrow, in seats; `demand` is what it lately wanted at most."""

    nominal: int
    lowest: int
    highest: int
    demand: float


def nominal_limits(total_seats: int, shares: Mapping[str, int]) -> dict[str, int]:
    """Seats by share, each rounded up."""
    whole = sum(shares.values())
    return {name: ceil(total_seats * share / whole) if whole else 0 for name, share in shares.items()}


def current_limits(total_seats: int, claims: Mapping[str, Claim]) -> dict[str, int]:
    """Limits that follow demand: each level gets the same fraction of what it wants, within its bounds.

    A level that needs its nominal seats has them; only what is idle is lent.
    """
    lower = {n: max(c.lowest, min(c.nominal, ceil(c.demand))) for n, c in claims.items()}
    target = {n: max(float(lower[n]), c.demand, 1e-9) for n, c in claims.items()}

    def at(fraction: float) -> dict[str, float]:
        return {n: min(max(target[n] * fraction, lower[n]), c.highest) for n, c in claims.items()}

    low, high = 0.0, 1.0
    while sum(at(high).values()) < total_seats and high < 1e12:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if sum(at(middle).values()) < total_seats:
            low = middle
        else:
            high = middle
    return {name: round(seats) for name, seats in at(low).items()}
