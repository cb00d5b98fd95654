"""IngressClass: which controller serves an Ingress, and with what parameters."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.networking.ingress import reference_errors
from knarr.api.printing import NONE
from knarr.meta import names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required, too_long

CONTROLLER_BYTES_MAX = 250
SCOPES = ("Cluster", "Namespace")


class IngressClass(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column("Controller", "string", "", "Controller that is responsible for handling this class"),
        Column("Parameters", "string", "", "A reference to a resource with additional parameters"),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if "parameters" in spec:
            spec["parameters"].setdefault("scope", "Cluster")

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        errors = _controller_errors(spec.get("controller", ""))
        if "parameters" in spec:
            errors += _parameters_errors(spec["parameters"])
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        new, before = obj["spec"].get("controller", ""), old["spec"].get("controller", "")
        return checks.unchanged("spec.controller", new, before) + self.validate(obj)

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        return [
            obj["metadata"]["name"],
            spec.get("controller", ""),
            _shown(spec.get("parameters")),
            printing.age(obj, now),
        ]


def _shown(parameters: Object | None) -> str:
    if parameters is None:
        return NONE
    group = parameters.get("apiGroup")
    kind = parameters.get("kind", "")
    return (
        f"{kind}.{group}/{parameters.get('name', '')}"
        if group is not None
        else f"{kind}/{parameters.get('name', '')}"
    )


def _controller_errors(controller: str) -> list[FieldError]:
    path = "spec.controller"
    if not controller:
        return [required(path)]
    errors = []
    if names.byte_length(controller) > CONTROLLER_BYTES_MAX:
        errors.append(too_long(path, CONTROLLER_BYTES_MAX))
    return errors + [
        invalid(path, value, message) for value, message in names.domain_prefixed_path_problems(controller)
    ]


def _parameters_errors(parameters: Object) -> list[FieldError]:
    path = "spec.parameters"
    errors = reference_errors(parameters, path)
    scope, namespace = parameters["scope"], parameters.get("namespace")
    if scope not in SCOPES:
        errors.append(not_supported(f"{path}.scope", scope, SCOPES))
    elif scope == "Namespace" and namespace is None:
        errors.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Namespace":
        errors += checks.dns_label(f"{path}.namespace", namespace or "")
    elif namespace is not None:
        errors.append(forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return errors
