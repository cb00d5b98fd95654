"""Selectors of devices: CEL over a device's driver, attributes and capacity."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from knarr.meta.fielderrors import FieldError, invalid, required, too_long, too_many

if TYPE_CHECKING:
    from knarr.meta.cel.environment import Environment

SELECTORS_MAX = 32
EXPRESSION_BYTES_MAX = 10 * 1024
QUANTITY = ("opaque", "kubernetes.Quantity")


@cache
def environment() -> Environment:
    """What a selector sees: `device`. CEL is imported late: claims are read where nobody selects anything."""
    from knarr.meta.cel.environment import Environment
    from knarr.meta.cel.types import BOOL, DYN, STRING, ObjectType, map_of

    device = ObjectType(
        "kubernetes.DRADevice",
        {
            "driver": STRING,
            "attributes": map_of(STRING, map_of(STRING, DYN)),
            "capacity": map_of(STRING, map_of(STRING, QUANTITY)),
            "allowMultipleAllocations": BOOL,
        },
    )
    return Environment({"device": ("object", device)})


def errors(selectors: Any, path: str, stored: bool = False) -> list[FieldError]:
    """`stored`: the expressions were good once, so they are good."""
    found: list[FieldError] = []
    if len(selectors or ()) > SELECTORS_MAX:
        return [too_many(path, len(selectors), SELECTORS_MAX)]
    for i, selector in enumerate(selectors or ()):
        cel = selector.get("cel")
        if cel is None:
            found.append(required(f"{path}[{i}].cel"))
            continue
        if stored:
            continue
        text, where = cel.get("expression", ""), f"{path}[{i}].cel.expression"
        if len(text.encode()) > EXPRESSION_BYTES_MAX:
            found.append(too_long(where, EXPRESSION_BYTES_MAX))
        else:
            found += _compile_errors(text, where)
    return found


def _compile_errors(text: str, path: str) -> list[FieldError]:
    """Attributes are of any type, so an expression of an unknown type will do."""
    from knarr.api.admissionregistration.expressions import compile_to
    from knarr.meta.cel.types import BOOL, DYN

    _, error = compile_to(environment(), text, (BOOL, DYN))
    if not error:
        return []
    wrong_type = error.rpartition(" but got ")[2]
    if error.startswith("must evaluate to"):
        error = f"must evaluate to bool or the unknown type, not {wrong_type}"
    return [invalid(path, text, error)]
