"""CSINode: the storage drivers of one node."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, gostruct, printing
from knarr.api.core.persistentvolumesource import csi_driver_name_errors
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required

NODE_ID_BYTES_MAX = 256
DRIVER: gostruct.Shape = (
    ("name", "Name", ""),
    ("nodeID", "NodeID", ""),
    ("topologyKeys", "TopologyKeys", None),
    ("allocatable", "Allocatable", gostruct.Pointer((("count", "Count", None),))),
)


class CSINode(Kind):
    allow_unconditional_update = False
    columns = (
        NAME,
        Column(
            "Drivers",
            "integer",
            "",
            "Drivers indicates the number of CSI drivers registered on the node",
        ),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec["drivers"] = spec.get("drivers") or None
        for driver in spec["drivers"] or ():
            driver.setdefault("nodeID", "")
            driver.setdefault("topologyKeys", None)

    def validate(self, obj: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        seen: set[str] = set()
        for i, driver in enumerate(obj["spec"]["drivers"] or ()):
            errors += _driver_errors(driver, f"spec.drivers[{i}]", seen)
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = self.validate(obj)
        before = {driver.get("name"): driver for driver in old["spec"]["drivers"] or ()}
        for driver in obj["spec"]["drivers"] or ():
            known = before.get(driver.get("name"))
            if known is not None and _without_allocatable(driver) != _without_allocatable(known):
                errors.append(invalid("CSINodeDriver", gostruct.dump(driver, DRIVER), checks.IMMUTABLE))
        return errors

    def cells(self, obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], len(obj["spec"]["drivers"] or ()), printing.age(obj, now)]


def _without_allocatable(driver: Object) -> Object:
    """How many volumes fit may change while the driver runs."""
    return {key: value for key, value in driver.items() if key != "allocatable"}


def _driver_errors(driver: Object, path: str, seen: set[str]) -> list[FieldError]:
    name, node_id = driver.get("name", ""), driver["nodeID"]
    errors = csi_driver_name_errors(f"{path}.name", name)
    errors += checks.required_text(f"{path}.nodeID", node_id)
    if names.byte_length(node_id) > NODE_ID_BYTES_MAX:
        message = f"must be {NODE_ID_BYTES_MAX} characters or less"
        errors.append(invalid(f"{path}.nodeID", node_id, message))
    errors += checks.not_negative(f"{path}.allocatable.count", (driver.get("allocatable") or {}).get("count"))
    if name in seen:
        errors.append(duplicate(f"{path}.name", name))
    seen.add(name)
    keys = driver["topologyKeys"] or ()
    for i, key in enumerate(keys):
        if not key:
            errors.append(required(path))
        if key in keys[:i]:
            errors.append(duplicate(path, key))
        errors += checks.invalids(path, keys, names.is_qualified_name(key))
    return errors
