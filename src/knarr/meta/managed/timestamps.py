"""Keeps a write that changes nothing from being one because of times in managedFields."""

from __future__ import annotations

from typing import Any


def keep_times(live: dict[str, Any], new: dict[str, Any]) -> None:
    """Gives entries their live times back when times of entries are all that differs between two objects.

    To be called last, with the object as it would be stored.
    """
    before = (live.get("metadata") or {}).get("managedFields")
    after = (new.get("metadata") or {}).get("managedFields")
    if not before or not after or len(before) != len(after) or before == after:
        return
    if not all(_timeless(a) == _timeless(b) for a, b in zip(before, after, strict=True)):
        return
    if _without_entries(live) == _without_entries(new):
        new["metadata"]["managedFields"] = before


def _timeless(entry: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in entry.items() if k != "time"}


def _without_entries(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "metadata": {k: v for k, v in value["metadata"].items() if k != "managedFields"}}
