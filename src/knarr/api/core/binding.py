"""Bindings: which pod goes on which node. They are asked for, never stored."""

from __future__ import annotations

from knarr.api.kind import Kind, Object
from knarr.meta.fielderrors import FieldError, not_supported, required


class Binding(Kind):
    def default(self, obj: Object) -> None:
        obj.setdefault("target", {})

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_target(obj.get("target") or {})


def validate_target(target: Object) -> list[FieldError]:
    """Only nodes can be bound to; an empty kind means a node."""
    errors = []
    if target.get("kind") not in ("Node", "", None):
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors
