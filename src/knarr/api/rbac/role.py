"""Role: what may be done in one namespace."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.kind import Kind, Object
from knarr.api.rbac import policyrules
from knarr.meta import names
from knarr.meta.fielderrors import FieldError


class Role(Kind):
    validate_name = staticmethod(names.path_segment_name)
    allow_create_on_update = True
    columns = printing.PLAIN_TABLE

    def default(self, obj: Object) -> None:
        policyrules.default_rules(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        return policyrules.rules_errors(obj["rules"], namespaced=True)

    def cells(self, obj: Object, now: float) -> list[Any]:
        return printing.plain_cells(obj)
