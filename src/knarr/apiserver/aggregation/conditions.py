"""What an APIService's status says."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def condition(service: Object) -> Object | None:
    """The Available condition."""
    for found in (service.get("status") or {}).get("conditions") or ():
        if found.get("type") == "Available":
            return found
    return None


def is_available(service: Object) -> bool:
    found = condition(service)
    return found is not None and found.get("status") == "True"
