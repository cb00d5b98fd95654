"""Arithmetic on named quantities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from knarr.meta.quantity import Quantity

Amounts = dict[str, Quantity]


def parse(quantities: Mapping[str, str] | None) -> Amounts:
    return {name: Quantity.parse(q) for name, q in (quantities or {}).items()}


def add(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> Amounts:
    total = dict(one)
    for name, quantity in other.items():
        total[name] = total[name].add(quantity) if name in total else quantity
    return total


def growth(new: Mapping[str, Quantity], old: Mapping[str, Quantity]) -> Amounts:
    """How much more `new` is than `old`: only what grew."""
    more = {name: quantity.sub(old[name]) if name in old else quantity for name, quantity in new.items()}
    return {name: quantity for name, quantity in more.items() if quantity.sign > 0}


def only(amounts: Mapping[str, Quantity], names: Iterable[str]) -> Amounts:
    names = set(names)
    return {name: quantity for name, quantity in amounts.items() if name in names}


def beyond(amounts: Mapping[str, Quantity], bounds: Mapping[str, Quantity]) -> list[str]:
    """Names whose amount is above its bound."""
    return [name for name, q in amounts.items() if name in bounds and q.compare(bounds[name]) > 0]


def show(amounts: Mapping[str, Quantity]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in sorted(amounts))
