"""Constraints of a claim: an attribute that all its devices have the same value of, or all different ones."""

from __future__ import annotations

from typing import Any

from knarr.scheduler.devices.pools import Candidate


class Constraint:
    """Knows the devices chosen so far. `add` refuses what breaks it; every device added is removed in turn."""

    def __init__(self, spec: Any) -> None:
        self._requests = frozenset(spec.requests)
        self._same = spec.matchAttribute is not None
        self._attribute: str = spec.matchAttribute if self._same else spec.distinctAttribute
        self._values: list[Any] = []

    def add(self, names: tuple[str, ...], candidate: Candidate) -> bool:
        """`names`: by which the request can be referred to."""
        if not self._concerns(names):
            return True
        value = _value(candidate, self._attribute)
        if value is None:
            return False
        if self._values and (value in self._values) != self._same:
            return False
        self._values.append(value)
        return True

    def remove(self, names: tuple[str, ...]) -> None:
        if self._concerns(names):
            self._values.pop()

    def _concerns(self, names: tuple[str, ...]) -> bool:
        return not self._requests or not self._requests.isdisjoint(names)


def _value(candidate: Candidate, name: str) -> tuple[str, Any] | None:
    """Of an attribute by its full name; the driver's own may be published without the domain."""
    attributes = candidate.device.attributes
    found = attributes.get(name)
    if found is None:
        domain, _, identifier = name.partition("/")
        found = attributes.get(identifier) if domain == candidate.id.driver else None
    if found is None:
        return None
    for kind in ("string", "int", "bool", "version"):
        if (value := getattr(found, kind)) is not None:
            return kind, value
    return None
