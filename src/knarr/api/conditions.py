"""Conditions of statuses: how one is written, and what may be in those that many share (meta/v1 Condition)."""

from __future__ import annotations

import re
from typing import Any

from knarr.api import checks
from knarr.meta import labels, names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required, too_long

STATUSES = ("False", "True", "Unknown")
REASON_BYTES_MAX = 1024
MESSAGE_BYTES_MAX = 32 * 1024
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_is_reason = re.compile(_REASON).fullmatch
_REASON_ERROR = names.regex_error(
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric"
    " characters or '_,:', and must end with an alphanumeric character or '_'",
    _REASON,
    "my_name",
    "MY_NAME",
    "MyName",
    "ReasonA,ReasonB",
    "ReasonA:ReasonB",
)


def put_condition(status: dict[str, Any], condition: dict[str, Any]) -> None:
    """Put a condition in its type's place; what was so before is so since then."""
    conditions = status["conditions"] = list(status.get("conditions") or ())
    for index, before in enumerate(conditions):
        if before.get("type") == condition["type"]:
            if before.get("status") == condition["status"] and "lastTransitionTime" in before:
                condition = {**condition, "lastTransitionTime": before["lastTransitionTime"]}
            conditions[index] = condition
            return
    conditions.append(condition)


def errors(conditions: Any, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for i, condition in enumerate(conditions or ()):
        kind = condition.get("type", "")
        if kind in seen:
            found.append(duplicate(f"{path}[{i}].type", kind))
        seen.add(kind)
        found += _errors(condition, f"{path}[{i}]")
    return found


def _errors(condition: dict[str, Any], path: str) -> list[FieldError]:
    reason, observed = condition.get("reason", ""), condition.get("observedGeneration", 0)
    found = labels.validate_label_name(condition.get("type", ""), f"{path}.type")
    found += checks.one_of(f"{path}.status", condition.get("status", ""), STATUSES)
    if observed < 0:
        found.append(invalid(f"{path}.observedGeneration", observed, "must be greater than or equal to zero"))
    if not condition.get("lastTransitionTime"):
        found.append(required(f"{path}.lastTransitionTime", "must be set"))
    if not reason:
        found.append(required(f"{path}.reason", "must be set"))
    else:
        if not _is_reason(reason):
            found.append(invalid(f"{path}.reason", reason, _REASON_ERROR))
        if names.byte_length(reason) > REASON_BYTES_MAX:
            found.append(too_long(f"{path}.reason", REASON_BYTES_MAX))
    if names.byte_length(condition.get("message", "")) > MESSAGE_BYTES_MAX:
        found.append(too_long(f"{path}.message", MESSAGE_BYTES_MAX))
    return found
