"""Capacity of devices: what a request takes of it, and whether that is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.meta.quantity import Quantity

Amounts = Mapping[str, Quantity]


def wanted(request: Any, device: Any) -> dict[str, Quantity] | None:
    """What a request takes of each capacity; None where the device does not have what is asked for, or not so."""
    asked = dict(request.capacity.requests) if request.capacity is not None else {}
    if not asked.keys() <= device.capacity.keys():
        return None
    amounts = {name: _amount(asked.get(name), has) for name, has in device.capacity.items()}
    if any(_violates(amounts[name], has.requestPolicy) for name, has in device.capacity.items()):
        return None
    return amounts


def fits(amounts: Amounts, device: Any, *held: Amounts) -> bool:
    """Is so much left, beside what others hold?"""
    for name, has in device.capacity.items():
        total = amounts[name]
        for other in held:
            if name in other:
                total = total.add(other[name])
        if total.compare(has.value) > 0:
            return False
    return True


def _amount(asked: Quantity | None, has: Any) -> Quantity:
    policy = has.requestPolicy
    if asked is None:
        return policy.default if policy is not None and policy.default is not None else has.value
    if policy is None:
        return asked
    if policy.validRange is not None and policy.validRange.min is not None:
        return _rounded_up(asked, policy.validRange)
    fitting = [value for value in policy.validValues if value.compare(asked) >= 0]
    return fitting[0] if fitting else asked


def _rounded_up(asked: Quantity, allowed: Any) -> Quantity:
    """To the least, or to a whole number of steps from it."""
    if asked.compare(allowed.min) < 0:
        return allowed.min  # type: ignore[no-any-return]
    if allowed.step is None:
        return asked
    steps = -(-(asked.exact - allowed.min.exact) // allowed.step.exact)
    return allowed.min.add(allowed.step.mul(int(steps)))  # type: ignore[no-any-return]


def _violates(amount: Quantity, policy: Any) -> bool:
    if policy is None or (policy.default is not None and amount.compare(policy.default) == 0):
        return False
    allowed = policy.validRange
    if allowed is not None:
        if allowed.max is not None and amount.compare(allowed.max) > 0:
            return True
        step = allowed.step
        return step is not None and (amount.exact - allowed.min.exact) % step.exact != 0
    return bool(policy.validValues) and all(amount.compare(value) for value in policy.validValues)
