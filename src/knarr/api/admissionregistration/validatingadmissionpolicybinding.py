"""ValidatingAdmissionPolicyBinding: where a policy holds, with which parameters, and what a violation means."""

from __future__ import annotations

from typing import Any

from knarr.api import printing
from knarr.api.admissionregistration import policies, rules
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.fielderrors import FieldError, duplicate, invalid, not_supported, required

ACTIONS = ("Audit", "Deny", "Warn")
DENY_AND_WARN = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and"
    " headers serves no purpose)"
)


class ValidatingAdmissionPolicyBinding(Kind):
    allow_unconditional_update = False
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "PolicyName",
            "string",
            "",
            "PolicyName indicates the policy definition which the policy binding binded to",
        ),
        Column(
            "ParamRef",
            "string",
            "",
            "ParamRef indicates the param resource which sets the configuration param",
        ),
        AGE,
    )

    def default(self, obj: Object) -> None:
        rules.default_match_resources(obj.setdefault("spec", {}).get("matchResources"))

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        return policies.binding_errors(spec, "spec") + _action_errors(spec.get("validationActions") or [])

    def cells(self, obj: Object, now: float) -> list[Any]:
        return binding_cells(obj, now)


def _action_errors(actions: list[str]) -> list[FieldError]:
    path = "spec.validationActions"
    if not actions:
        return [required(path, "at least one validation action is required")]
    found: list[FieldError] = []
    seen: set[str] = set()
    for i, action in enumerate(actions):
        if action not in ACTIONS:
            found.append(not_supported(f"{path}[{i}]", action, ACTIONS))
        if action in seen:
            found.append(duplicate(f"{path}[{i}]", action))
        seen.add(action)
    if {"Deny", "Warn"} <= seen:
        found.append(invalid(path, actions, DENY_AND_WARN))
    return found


def binding_cells(obj: Object, now: float) -> list[Any]:
    """Name, policy, parameters (`namespace/name`, `name`, or what they are selected by), age."""
    spec = obj["spec"]
    ref = spec.get("paramRef")
    if not ref:
        shown = printing.UNSET
    elif ref.get("name"):
        shown = f"{ref['namespace']}/{ref['name']}" if ref.get("namespace") else ref["name"]
    else:
        shown = printing.format_labels((ref.get("selector") or {}).get("matchLabels"))
    return [obj["metadata"]["name"], spec.get("policyName", ""), shown, printing.age(obj, now)]
