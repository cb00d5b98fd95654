"""Keeps a write that changes nothing from being one because of times in managedFields."""

from __future__ import annotations

from typing import Any


def keep_times(live: dict[str, Any], new: dict[str, Any]) -> bool:
    """Gives entries their live times back when times of entries are all that differs between two objects.

    To be called last, with the object as it would be stored: what was applied may have become what was there already
    (`1000m` is `1`). Whether it did so; `kind` and `apiVersion` do not count.
    """
    before, after = live["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if not before or not after or len(before) != len(after) or before == after:
        return False
    if not all(_timeless(a) == _timeless(b) for a, b in zip(before, after, strict=True)):
        return False
    if _without_entries(live) != _without_entries(new):
        return False
    new["metadata"]["managedFields"] = before
    return True


def _timeless(entry: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in entry.items() if k != "time"}


def _without_entries(value: dict[str, Any]) -> dict[str, Any]:
    rest = {k: v for k, v in value.items() if k not in ("kind", "apiVersion")}
    rest["metadata"] = {k: v for k, v in value["metadata"].items() if k != "managedFields"}
    return rest
