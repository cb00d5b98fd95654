"""ResourceClaim: devices that pods share."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.resource import claimstatus, deviceclaims
from knarr.meta.fielderrors import FieldError


class ResourceClaim(Kind):
    status_keeps_metadata = True
    columns = (
        NAME,
        Column("State", "string", "", "A summary of the current state (allocated, pending, reserved, etc.)."),
        AGE,
    )

    def default(self, obj: Object) -> None:
        deviceclaims.default(obj["spec"])

    def validate(self, obj: Object) -> list[FieldError]:
        return deviceclaims.errors(obj["spec"], "spec")

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return deviceclaims.immutable("spec", obj["spec"], old["spec"])

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_status_update(obj, old)
        claimstatus.drop_deallocated(obj.get("status") or {}, old.get("status") or {})

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        """Its metadata is kept, but owned as if it were not."""
        return (("spec",),) if subresource == "status" else super().reset_fields(subresource)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return claimstatus.errors(obj, old)

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], state(obj), printing.age(obj, now)]


def state(claim: Object) -> str:
    """`pending`, or what the claim has got."""
    status = claim.get("status") or {}
    states = []
    if claim["metadata"].get("deletionTimestamp"):
        states.append("deleted")
    if status.get("allocation") is not None:
        states.append("allocated")
        if status.get("reservedFor"):
            states.append("reserved")
    elif not states:
        states.append("pending")
    return ",".join(states)
