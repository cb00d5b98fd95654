"""IPAddress: an address that is in use, and by whom; its name is the address."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.kind import NAME, Column, Kind, Object
from knarr.api.printing import NONE
from knarr.meta import addresses, names
from knarr.meta.fielderrors import FieldError, invalid, required

PARENT = gostruct.strings("group", "resource", "namespace", "name")


class IPAddress(Kind):
    validate_name = staticmethod(addresses.is_canonical_ip)
    columns = (
        NAME,
        Column("ParentRef", doc="networking.v1.IPAddressSpec.parentRef"),
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def validate(self, obj: Object) -> list[FieldError]:
        path, parent = "spec.parentRef", obj["spec"].get("parentRef")
        if parent is None:
            return [required(path)]
        errors: list[FieldError] = []
        if parent.get("group"):
            errors += checks.dns_subdomain(f"{path}.group", parent["group"])
        for key in ("resource", "name", "namespace"):
            value, where = parent.get(key, ""), f"{path}.{key}"
            if value:
                errors += checks.invalids(where, value, names.path_segment_name(value))
            elif key != "namespace":
                errors.append(required(where))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        new = obj["spec"].get("parentRef")
        if new == old["spec"].get("parentRef"):
            return []
        shown = None if new is None else gostruct.dump(new, PARENT)
        return [invalid("spec.parentRef", shown, checks.IMMUTABLE)]

    def cells(self, obj: Object, now: float) -> list[Any]:
        # Kubernetes gives an age without a column for it
        return [obj["metadata"]["name"], _shown(obj["spec"].get("parentRef")), printing.age(obj, now)]


def _shown(parent: Object | None) -> str:
    if parent is None:
        return NONE
    resource, group = parent.get("resource", ""), parent.get("group", "")
    parts = [f"{resource}.{group}".lower() if group else resource.lower()]
    if parent.get("namespace"):
        parts.append(parent["namespace"])
    return "/".join([*parts, parent.get("name", "")])
