"""Validation of an update: what is wrong in parts that the update leaves as they were is let pass (KEP-4008)."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.schema.result import Result
from knarr.api.apiextensions.schema.validate import Validator

ABSENT = object()


def validate_update(validator: Validator, new: Any, old: Any, path: str = "") -> Result:
    """As `validator.validate(new)`, without the findings in unchanged parts; `old` may be ABSENT."""
    return _Ratchet(validator, old).validate(new, path)


class _Ratchet(Validator):
    """A validator that knows the old value beside the new one."""

    def __init__(self, validator: Validator, old: Any) -> None:
        for name, value in validator.__dict__.items():
            setattr(self, name, value)
        self.old = old

    def validate(self, value: Any, path: str = "") -> Result:
        if self.old is not ABSENT and same(value, self.old):
            return Result()
        inner = Validator.__new__(Validator)
        inner.__dict__.update({k: v for k, v in self.__dict__.items() if k != "old"})
        if value.__class__ is dict:
            old = self.old if self.old.__class__ is dict else {}
            inner.properties = {k: _Ratchet(v, old.get(k, ABSENT)) for k, v in self.properties.items()}
            inner.additional = _Keyed(self.additional, old, path) if self.additional is not None else None
        elif value.__class__ is list and self.items is not None:
            olds = _items_before(self.schema, value, self.old)
            inner.items = _Indexed(self.items, olds)  # type: ignore[assignment]
        return inner.validate(value, path)


class _Keyed(Validator):
    """The validator of additional properties: which key it is asked about stands at the end of the path."""

    def __init__(self, validator: Validator, old: dict[str, Any], path: str) -> None:
        self.validator, self.old, self.start = validator, old, len(path) + 1

    def validate(self, value: Any, path: str = "") -> Result:
        return _Ratchet(self.validator, self.old.get(path[self.start :], ABSENT)).validate(value, path)


class _Indexed:
    def __init__(self, validator: Validator, olds: list[Any]) -> None:
        self.validator, self.olds, self.at = validator, iter(olds), 0

    def validate(self, value: Any, path: str = "") -> Result:
        return _Ratchet(self.validator, next(self.olds)).validate(value, path)


def _items_before(schema: dict[str, Any], new: list[Any], old: Any) -> list[Any]:
    """For each new item the old one it continues: found by key in map lists, unknown in all others."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") != "map" or not keys or old.__class__ is not list:
        return [ABSENT] * len(new)
    before = {key_of(item, keys): item for item in reversed(old)}
    return [before.get(key_of(item, keys), ABSENT) for item in new]


def key_of(item: Any, keys: list[str]) -> tuple[Any, ...]:
    if item.__class__ is not dict:
        return (ABSENT,)
    return tuple((value.__class__, value) for value in (_hashable(item.get(key)) for key in keys))


def _hashable(value: Any) -> Any:
    return repr(value) if value.__class__ in (dict, list) else value


def same(a: Any, b: Any) -> bool:
    """Equality that tells true from 1."""
    kind = a.__class__
    if kind is dict:
        return b.__class__ is dict and a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if kind is list:
        return b.__class__ is list and len(a) == len(b) and all(map(same, a, b))
    return a == b and (kind is bool) == (b.__class__ is bool)
