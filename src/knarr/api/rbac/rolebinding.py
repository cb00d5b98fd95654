"""RoleBinding: who has a Role, or a ClusterRole in one namespace."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.rbac import policyrules
from knarr.meta import names
from knarr.meta.fielderrors import FieldError

ROLE_KINDS = ("Role", "ClusterRole")


class RoleBinding(Kind):
    validate_name = staticmethod(names.path_segment_name)
    allow_create_on_update = True
    columns = (
        NAME,
        Column("Role", doc="rbac.v1.RoleBinding.roleRef", without=" This field is immutable."),
        AGE,
        Column("Users", "string", "", "Users in the roleBinding", 1),
        Column("Groups", "string", "", "Groups in the roleBinding", 1),
        Column("ServiceAccounts", "string", "", "ServiceAccounts in the roleBinding", 1),
    )

    def default(self, obj: Object) -> None:
        policyrules.default_binding(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        return policyrules.binding_errors(obj, ROLE_KINDS, namespaced=True)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate(obj) + policyrules.binding_update_errors(obj, old)

    def cells(self, obj: Object, now: float) -> list[Any]:
        role, users, groups, accounts = policyrules.binding_cells(obj)
        return [obj["metadata"]["name"], role, printing.age(obj, now), users, groups, accounts]
