"""ServiceCIDR: a range from which Services get their addresses."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import addresses
from knarr.meta.fielderrors import FieldError, invalid, required

SPEC: gostruct.Shape = (("cidrs", "CIDRs", None),)


class ServiceCIDR(Kind):
    status_keeps_metadata = True
    columns = (
        NAME,
        Column("CIDRs", doc="networking.v1.ServiceCIDRSpec.cidrs"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        obj.setdefault("status", {})

    # Kubernetes lets everybody write this status through the resource itself.

    def reset_status(self, obj: Object) -> None:
        """Stays as it was sent."""

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        """Stays as it was sent."""

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        return ()

    def validate(self, obj: Object) -> list[FieldError]:
        return _cidrs_errors(obj["spec"])

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        """A second family may be added; nothing else may change."""
        path = "spec.cidrs"
        new, before = obj["spec"].get("cidrs") or [], old["spec"].get("cidrs") or []
        changed = [
            invalid(f"{path}[{i}]", cidr, checks.IMMUTABLE)
            for i, (cidr, was) in enumerate(zip(new, before, strict=False))
            if cidr != was
        ]
        if len(new) == len(before):
            return changed
        if len(before) == 1 and len(new) == 2:
            return changed + _cidrs_errors(obj["spec"])
        return [invalid(path, new or None, checks.IMMUTABLE)]

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], ",".join(obj["spec"].get("cidrs") or ()), printing.age(obj, now)]


def _cidrs_errors(spec: Object) -> list[FieldError]:
    path, cidrs = "spec.cidrs", spec.get("cidrs") or []
    if not cidrs:
        return [required(path, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid(path, gostruct.dump(spec, SPEC), "may only hold up to 2 values")]
    errors: list[FieldError] = []
    for i, cidr in enumerate(cidrs):
        errors += checks.invalids(f"{path}[{i}]", cidr, addresses.is_canonical_cidr(cidr))
    families = [parsed[0].version for cidr in cidrs if (parsed := addresses.parse_cidr(cidr))]
    if len(families) == 2 and families[0] == families[1]:
        message = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(invalid(path, cidrs, message))
    return errors
