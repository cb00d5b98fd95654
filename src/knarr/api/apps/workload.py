"""What the kinds of apps/v1 check alike."""

from __future__ import annotations

from typing import Any

from knarr.api.checks import not_negative
from knarr.api.core.podspec.paths import Errors
from knarr.api.core.podspec.template import printed_selector
from knarr.meta import intstr
from knarr.meta.fielderrors import FieldError, invalid, required
from knarr.meta.labels import validate_label_selector

Spec = dict[str, Any]


def validate_selector(spec: Spec, kind: str, path: str, errors: Errors) -> None:
    """A selector must be there and choose something; `kind` as messages name it."""
    selector = spec.get("selector")
    if selector is None:
        errors.append(required(path))
        return
    errors += validate_label_selector(selector, path)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid(path, {}, f"empty selector is invalid for {kind}"))


def non_negative(holder: Spec, path: str, errors: Errors, *fields: str) -> None:
    for field in fields:
        if holder.get(field, 0) < 0:
            errors += not_negative(f"{path}.{field}", holder[field])


def validate_status_counts(status: Spec, errors: Errors, *fields: str) -> None:
    """Numbers of pods that a controller reports."""
    non_negative(status, "status", errors, *fields)


def at_most(status: Spec, field: str, limit: str, message: str, errors: Errors) -> None:
    if status.get(field, 0) > status.get(limit, 0):
        errors.append(invalid(f"status.{field}", status.get(field, 0), message))


def immutable(new: Spec, old: Spec, field: str, errors: list[FieldError]) -> None:
    if new.get(field) != old.get(field):
        shown = printed_selector(new.get(field)) if field == "selector" else new.get(field)
        errors.append(invalid(f"spec.{field}", shown, "field is immutable"))


def printed_strategy(kind: str, rolling: Spec | None) -> Spec:
    """How pods are replaced, as Go prints it."""
    shown = None
    if rolling is not None:
        shown = {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}
    return {"Type": kind, "RollingUpdate": shown}


def amount(value: int | str) -> int:
    """Of pods, or of percent."""
    percent = intstr.percent_of(value)
    return intstr.int_value(value) if percent is None else percent
