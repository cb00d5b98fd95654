"""CSIStorageCapacity: how much storage of a class is left in one part of the cluster."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.core import nodelabels
from knarr.api.kind import Kind, Object
from knarr.meta import labels
from knarr.meta.fielderrors import FieldError, invalid
from knarr.meta.quantity import Quantity


class CSIStorageCapacity(Kind):
    allow_unconditional_update = False
    columns = printing.PLAIN_TABLE

    def default(self, obj: Object) -> None:
        obj.setdefault("storageClassName", "")

    def validate(self, obj: Object) -> list[FieldError]:
        errors = checks.dns_subdomain("storageClassName", obj["storageClassName"])
        if "nodeTopology" in obj:
            errors += labels.validate_label_selector(obj["nodeTopology"], "nodeTopology")
        for key in ("capacity", "maximumVolumeSize"):
            if key in obj and Quantity.parse(obj[key]).nanos < 0:
                errors.append(invalid(key, obj[key], checks.NOT_NEGATIVE))
        return errors

    def warnings_on_create(self, obj: Object) -> list[str]:
        topology = obj.get("nodeTopology") or {}
        said = nodelabels.term_warnings(topology, "nodeTopology")
        for label in sorted(topology.get("matchLabels") or ()):
            said += nodelabels.deprecated_label_warning(f"nodeTopology.matchLabels.{label}", label)
        return said

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = self.validate(obj)
        errors += checks.unchanged("nodeTopology", obj.get("nodeTopology"), old.get("nodeTopology"))
        return errors + checks.unchanged("storageClassName", obj["storageClassName"], old["storageClassName"])

    def cells(self, obj: Object, now: float) -> list[Any]:
        return printing.plain_cells(obj)
