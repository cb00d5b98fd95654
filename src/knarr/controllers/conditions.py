"""Conditions as workload statuses hold them: tuples of Structs with type, status, reason and message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def find(conditions: Sequence[Any], type_: str) -> Any | None:
    for condition in conditions:
        if condition.type == type_:
            return condition
    return None


def is_true(conditions: Sequence[Any], type_: str) -> bool:
    found = find(conditions, type_)
    return found is not None and found.status == "True"


def without(conditions: Sequence[Any], type_: str) -> tuple[Any, ...]:
    return tuple(condition for condition in conditions if condition.type != type_)
