"""ClusterRole: what may be done everywhere; or the sum of other ClusterRoles."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.kind import Kind, Object
from knarr.api.rbac import policyrules
from knarr.meta import labels, names
from knarr.meta.fielderrors import FieldError, invalid, required


class ClusterRole(Kind):
    validate_name = staticmethod(names.path_segment_name)
    allow_create_on_update = True
    columns = printing.PLAIN_TABLE

    def default(self, obj: Object) -> None:
        policyrules.default_rules(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        errors = policyrules.rules_errors(obj["rules"], namespaced=False)
        if "aggregationRule" in obj:
            errors += _aggregation_errors(obj["aggregationRule"].get("clusterRoleSelectors") or ())
        return errors

    def cells(self, obj: Object, now: float) -> list[Any]:
        return printing.plain_cells(obj)


def _aggregation_errors(selectors: Any) -> list[FieldError]:
    path = "aggregationRule.clusterRoleSelectors"
    if not selectors:
        message = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        return [required(path, message)]
    errors: list[FieldError] = []
    for i, selector in enumerate(selectors):
        errors += labels.validate_label_selector(selector, f"{path}[{i}]")
        try:
            labels.from_label_selector(selector)
        except ValueError:
            # Go shows the selector that could not be made
            errors.append(invalid(f"{path}[{i}]", None, "invalid label selector."))
    return errors
