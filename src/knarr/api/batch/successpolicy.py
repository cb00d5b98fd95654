"""A job's success policy: which indexes are enough; and how lists of indexes are written."""

from __future__ import annotations

import re
from typing import Any

from knarr.api.core.podspec.paths import Errors
from knarr.meta.fielderrors import invalid, required, too_long, too_many
from knarr.meta.gofmt import quote

Spec = dict[str, Any]
SUCCESS_RULES_MAX = 20
INDEXES_TEXT_MAX = 64 * 1024
_NUMBER = re.compile("[+]?[0-9]+").fullmatch
_NEGATIVE = "must be greater than or equal to 0"


def printed_success_policy(policy: Spec) -> Spec:
    """As Go prints it."""
    rules = [
        {"SucceededIndexes": r.get("succeededIndexes"), "SucceededCount": r.get("succeededCount")}
        for r in policy.get("rules") or ()
    ]
    return {"Rules": rules or None}


def validate_success_policy(spec: Spec, path: str, errors: Errors) -> None:
    path = f"{path}.rules"
    rules = spec["successPolicy"].get("rules") or []
    if not rules:
        message = "at least one rules must be specified when the successPolicy is specified"
        errors.append(required(path, message))
    if len(rules) > SUCCESS_RULES_MAX:
        errors.append(too_many(path, len(rules), SUCCESS_RULES_MAX))
    for index, rule in enumerate(rules):
        _validate_success_rule(spec, rule, f"{path}[{index}]", errors)


def _validate_success_rule(spec: Spec, rule: Spec, path: str, errors: Errors) -> None:
    indexes, count, completions = (
        rule.get("succeededIndexes"),
        rule.get("succeededCount"),
        spec.get("completions"),
    )
    if indexes is None and count is None:
        message = "at least one of succeededCount or succeededIndexes must be specified"
        errors.append(required(path, message))
    chosen = 0
    if indexes is not None:
        path_of = f"{path}.succeededIndexes"
        if len(indexes) > INDEXES_TEXT_MAX:
            errors.append(too_long(path_of, INDEXES_TEXT_MAX))
        try:
            chosen = count_indexes(indexes, completions or 0)
        except ValueError as error:
            errors.append(invalid(path_of, indexes, f"error parsing succeededIndexes: {error}"))
    if count is not None:
        path_of = f"{path}.succeededCount"
        if count < 0:
            errors.append(invalid(path_of, count, _NEGATIVE))
        if completions is not None and count > completions:
            message = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(invalid(path_of, count, message))
        if indexes is not None and count > chosen:
            message = f"must be less than or equal to {chosen} (the number of indexes in the specified succeededIndexes field)"
            errors.append(invalid(path_of, count, message))


def count_indexes(text: str, completions: int) -> int:
    """How many indexes `1,3-5` names. ValueError has Kubernetes' message."""
    if not text:
        return 0
    total, previous = 0, None
    for part in text.split(","):
        first, last = _interval(part, completions)
        if previous is not None and previous >= first:
            raise ValueError(f"non-increasing order, previous: {previous}, current: {first}")
        total, previous = total + last - first + 1, last
    return total


def intervals(text: str, completions: int) -> list[tuple[int, int]]:
    """The intervals of `1,3-5`, but for those that cannot be read."""
    found = []
    for part in text.split(",") if text else ():
        try:
            found.append(_interval(part, completions))
        except ValueError:
            continue
    return found


def _interval(text: str, completions: int) -> tuple[int, int]:
    limits = text.split("-")
    if len(limits) > 2:
        raise ValueError(
            f"the fragment {quote(text)} violates the requirement that an index interval can have at most two parts"
            " separated by '-'"
        )
    first = _index(limits[0], completions)
    if len(limits) == 1:
        return first, first
    last = _index(limits[1], completions)
    if first >= last:
        raise ValueError(f"non-increasing order, previous: {first}, current: {last}")
    return first, last


def _index(text: str, completions: int) -> int:
    if not _NUMBER(text):
        raise ValueError(f"cannot convert string to integer for index: {quote(text)}")
    number = int(text)
    if number >= completions:
        raise ValueError(f"too large index: {quote(text)}")
    return number
