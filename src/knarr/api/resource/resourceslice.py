"""ResourceSlice: the devices of one driver in one pool."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required, too_long

PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
DRIVER_BYTES_MAX, POOL_BYTES_MAX = 63, 253


class ResourceSlice(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column("Node", doc="resource.v1.ResourceSliceSpec.nodeName"),
        Column("Driver", doc="resource.v1.ResourceSliceSpec.driver"),
        Column("Pool", doc="resource.v1.ResourcePool.name"),
        AGE,
    )

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        found = _driver_errors(spec.get("driver", ""), "spec.driver")
        found += _pool_errors(spec.get("pool") or {}, "spec.pool")
        placed = [field for field in PLACES if spec.get(field)]
        if len(placed) != 1:
            listed = ", ".join(f"`{field}`" for field in PLACES)
            if not placed:
                found.append(required("spec", f"exactly one of {listed} is required"))
            else:
                given = ", ".join(f"`{field}`" for field in placed)
                detail = f"exactly one of {listed} is required, but multiple fields are set"
                found.append(invalid("spec", f"{{{given}}}", detail))
        seen: set[str] = set()
        for i, device in enumerate(spec.get("devices") or ()):
            name, path = device.get("name", ""), f"spec.devices[{i}]"
            found += checks.dns_label(f"{path}.name", name) if name else [required(f"{path}.name")]
            if name in seen:
                found.append(duplicate(path, name))
            seen.add(name)
        return found

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        found = self.validate(obj)
        for field in ("driver", "nodeName"):
            found += checks.unchanged(f"spec.{field}", obj["spec"].get(field, ""), old["spec"].get(field, ""))
        new_pool, old_pool = obj["spec"].get("pool") or {}, old["spec"].get("pool") or {}
        return found + checks.unchanged("spec.pool.name", new_pool.get("name", ""), old_pool.get("name", ""))

    def fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec", {})
        return {"spec.nodeName": spec.get("nodeName", ""), "spec.driver": spec.get("driver", "")}

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        node = spec.get("nodeName") or printing.UNSET
        pool = (spec.get("pool") or {}).get("name", "")
        return [obj["metadata"]["name"], node, spec.get("driver", ""), pool, printing.age(obj, now)]


def _driver_errors(driver: str, path: str) -> list[FieldError]:
    if not driver:
        return [required(path)]
    if names.byte_length(driver) > DRIVER_BYTES_MAX:
        return [too_long(path, DRIVER_BYTES_MAX)]
    return checks.invalids(path, driver, names.is_dns1123_subdomain(driver.lower()))


def _pool_errors(pool: Object, path: str) -> list[FieldError]:
    name, count, generation = (
        pool.get("name", ""),
        pool.get("resourceSliceCount", 0),
        pool.get("generation", 0),
    )
    found: list[FieldError] = []
    if not name:
        found.append(required(f"{path}.name"))
    elif names.byte_length(name) > POOL_BYTES_MAX:
        found.append(too_long(f"{path}.name", POOL_BYTES_MAX))
    else:
        for part in name.split("/"):
            found += checks.invalids(f"{path}.name", part, names.is_dns1123_subdomain(part))
    if count <= 0:
        found.append(invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        found.append(invalid(f"{path}.generation", generation, "must be greater than or equal to zero"))
    return found
