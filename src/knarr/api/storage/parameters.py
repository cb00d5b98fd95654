"""Parameters of storage classes and volume attributes classes."""

from __future__ import annotations

from knarr.api import checks
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, invalid, required, too_long

COUNT_MAX = 512
BYTES_MAX = 256 * 1024


def errors(path: str, parameters: dict[str, str] | None, may_be_empty: bool = True) -> list[FieldError]:
    given = parameters or {}
    if len(given) > COUNT_MAX:
        return [too_long(path, COUNT_MAX)]
    found = [invalid(path, key, "field can not be empty.") for key in given if not key]
    if sum(names.byte_length(key) + names.byte_length(value) for key, value in given.items()) > BYTES_MAX:
        found.append(too_long(path, BYTES_MAX))
    if not given and not may_be_empty:
        found.append(required(path, "must contain at least one key/value pair"))
    return found


def driver_errors(path: str, name: str) -> list[FieldError]:
    """A provisioner's name, which the message shows in lower case."""
    return checks.qualified_name(path, name.lower()) if name else [required(path)]
