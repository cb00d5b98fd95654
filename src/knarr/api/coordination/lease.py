"""Lease: who holds something, since when and until when."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.fielderrors import FieldError, invalid

STRATEGIES = ("OldestEmulationVersion",)


class Lease(Kind):
    allow_create_on_update = True
    allow_unconditional_update = False
    columns = (
        NAME,
        Column("Holder", doc="coordination.v1.LeaseSpec.holderIdentity"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        _drop_disabled(obj["spec"], {})

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        _drop_disabled(obj["spec"], old.get("spec") or {})
        super().prepare_for_update(obj, old)

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        errors: list[FieldError] = []
        duration = spec.get("leaseDurationSeconds")
        if duration is not None and duration <= 0:
            errors.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
        errors += checks.not_negative("spec.leaseTransitions", spec.get("leaseTransitions"))
        if strategy := spec.get("strategy"):
            errors += _strategy_errors(strategy)
        if spec.get("preferredHolder") and not spec.get("strategy"):
            message = "strategy must be specified when `preferredHolder` is specified"
            errors.append(invalid("spec.preferredHolder", spec["preferredHolder"], message))
        return errors

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj["spec"].get("holderIdentity", ""), printing.age(obj, now)]


def _drop_disabled(spec: Object, old: Object) -> None:
    """Elections that servers coordinate are behind a gate that v1.36 has closed."""
    for field in ("strategy", "preferredHolder"):
        if field not in old:
            spec.pop(field, None)


def _strategy_errors(strategy: str) -> list[FieldError]:
    """A strategy of one's own has a domain."""
    path = "spec.strategy"
    if "/" in strategy:
        return checks.qualified_name(path, strategy)
    return checks.one_of(path, strategy, STRATEGIES)
