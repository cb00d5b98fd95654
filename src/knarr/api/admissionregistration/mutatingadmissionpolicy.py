"""MutatingAdmissionPolicy: changes in CEL that are made to objects on their way in."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.admissionregistration import policies
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.fielderrors import FieldError


class MutatingAdmissionPolicy(Kind):
    allow_unconditional_update = False
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Mutations",
            "integer",
            "",
            "Mutations indicates the number of mutations rules defined in this configuration",
        ),
        Column(
            "ParamKind",
            "string",
            "",
            "ParamKind specifies the kind of resources used to parameterize this policy",
        ),
        AGE,
    )

    def default(self, obj: Object) -> None:
        policies.default_policy(obj.setdefault("spec", {}))

    def validate(self, obj: Object) -> list[FieldError]:
        # The engine of expressions is loaded with the first policy that is written.
        from knarr.api.admissionregistration.mutatingerrors import spec_errors

        return spec_errors(obj["spec"])

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return [] if obj["spec"] == old["spec"] else self.validate(obj)

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        kind = spec.get("paramKind")
        shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else printing.UNSET
        return [obj["metadata"]["name"], len(spec.get("mutations") or ()), shown, printing.age(obj, now)]
