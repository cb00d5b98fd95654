"""The conditions of flow schemas and priority levels."""

from __future__ import annotations

from typing import Any

from knarr.meta.fielderrors import FieldError, duplicate, required


def condition_errors(obj: dict[str, Any]) -> list[FieldError]:
    """Each has a type, and no type is there twice."""
    found: list[FieldError] = []
    seen: set[str] = set()
    for i, condition in enumerate((obj.get("status") or {}).get("conditions") or ()):
        path, kind = f"status.conditions[{i}].type", condition.get("type", "")
        if kind in seen:
            found.append(duplicate(path, kind))
        seen.add(kind)
        if not kind:
            found.append(required(path, "must not be empty"))
    return found
