"""ValidatingAdmissionPolicy: rules in CEL that requests must keep."""

from __future__ import annotations

from typing import Any

from knarr.api import conditions, printing
from knarr.api.admissionregistration import policies
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.fielderrors import FieldError, required


class ValidatingAdmissionPolicy(Kind):
    allow_unconditional_update = False
    status_keeps_metadata = True
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Validations",
            "integer",
            "",
            "Validations indicates the number of validation rules defined in this configuration",
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
        from knarr.api.admissionregistration.validatingerrors import spec_errors

        return spec_errors(obj["spec"], obj["metadata"].get("name", ""))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return [] if obj["spec"] == old["spec"] else self.validate(obj)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        status = obj.get("status") or {}
        found: list[FieldError] = []
        for i, warning in enumerate((status.get("typeChecking") or {}).get("expressionWarnings") or ()):
            path = f"status.typeChecking.expressionWarnings[{i}]"
            found += [required(f"{path}.{key}") for key in ("warning", "fieldRef") if not warning.get(key)]
        return found + conditions.errors(status.get("conditions"), "status.conditions")

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        kind = spec.get("paramKind")
        shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else printing.UNSET
        return [obj["metadata"]["name"], len(spec.get("validations") or ()), shown, printing.age(obj, now)]
