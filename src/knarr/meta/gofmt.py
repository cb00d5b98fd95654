"""Values as Go prints them in messages."""

from __future__ import annotations

from typing import Any

import orjson


def quote(text: str) -> str:
    """Go's %q for the strings that meet us: JSON's quoting, without its escape of nothing else."""
    return orjson.dumps(text).decode()


def go_value(value: Any) -> str:
    """A value inside a field error: strings quoted, null as `null`, structs and lists as JSON."""
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    return orjson.dumps(value).decode()
