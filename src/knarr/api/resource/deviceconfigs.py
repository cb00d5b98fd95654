"""Configuration of devices: parameters that only their driver understands."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api.kind import Object
from knarr.api.resource import devicenames
from knarr.meta.fielderrors import FieldError, invalid, required, too_long

PARAMETERS_BYTES_MAX = 10 * 1024


def errors(config: Object, path: str, stored: bool = False) -> list[FieldError]:
    """`stored`: the parameters were accepted before there was a limit of their size."""
    opaque = config.get("opaque")
    if opaque is None:
        return [required(f"{path}.opaque")]
    found = devicenames.driver(opaque.get("driver", ""), f"{path}.opaque.driver")
    return found + raw_errors(opaque.get("parameters"), f"{path}.opaque.parameters", stored)


def raw_errors(value: Any, path: str, stored: bool = False) -> list[FieldError]:
    """A document that must be a JSON object."""
    if value is None:
        return [required(path)]
    if not stored and len(orjson.dumps(value)) > PARAMETERS_BYTES_MAX:
        return [too_long(path, PARAMETERS_BYTES_MAX)]
    return (
        [] if isinstance(value, dict) else [invalid(path, "<value omitted>", "must be a valid JSON object")]
    )
