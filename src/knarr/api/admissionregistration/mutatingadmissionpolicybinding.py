"""MutatingAdmissionPolicyBinding: where a mutating policy holds and with which parameters."""

from __future__ import annotations

from typing import Any

from knarr.api.admissionregistration import policies, rules
from knarr.api.admissionregistration.validatingadmissionpolicybinding import (
    ValidatingAdmissionPolicyBinding,
    binding_cells,
)
from knarr.api.kind import Kind, Object
from knarr.meta.fielderrors import FieldError


class MutatingAdmissionPolicyBinding(Kind):
    allow_unconditional_update = False
    tracks_generation = True
    columns = ValidatingAdmissionPolicyBinding.columns

    def default(self, obj: Object) -> None:
        rules.default_match_resources(obj.setdefault("spec", {}).get("matchResources"))

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        found = policies.binding_errors(spec, "spec")
        return found + policies.operation_errors(spec.get("matchResources") or {}, "spec.matchResources")

    def cells(self, obj: Object, now: float) -> list[Any]:
        return binding_cells(obj, now)
