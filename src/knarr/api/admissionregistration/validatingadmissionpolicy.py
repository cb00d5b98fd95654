"""ValidatingAdmissionPolicy: rules in CEL that requests must keep."""

from __future__ import annotations

import re
from typing import Any

from knarr.api import checks, conditions, printing
from knarr.api.admissionregistration import policies
from knarr.api.admissionregistration.expressions import (
    BOOL,
    NULL,
    STRING,
    compile_as,
    compile_to,
    environment,
)
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta.cel.environment import Environment
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required

REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
NOTHING = "validations or auditAnnotations must contain at least one item"
AUDIT_ANNOTATIONS_MAX = 20
#: of an audit annotation's expression
VALUE_BYTES_MAX = 5 * 1024
_NEWLINES = re.compile(r"[\n\r]+")


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


def spec_errors(spec: Object, name: str) -> list[FieldError]:
    params = spec.get("paramKind") is not None
    found = policies.common_errors(spec, "spec")
    wrong, variables = policies.variable_errors(spec.get("variables"), "spec.variables", params)
    found += wrong
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or ()
    if not validations and not annotations:
        return [*found, required("spec.validations", NOTHING), required("spec.auditAnnotations", NOTHING)]
    # Without any, not even the name is known.
    composed = variables if spec.get("variables") else None
    env = environment(params, variables=composed)
    message_env = environment(params, authorizer=False, variables=composed)
    for i, validation in enumerate(validations):
        found += _validation_errors(validation, f"spec.validations[{i}]", env, message_env)
    return found + _annotation_errors(annotations, name, env)


def _validation_errors(v: Object, path: str, env: Environment, message_env: Environment) -> list[FieldError]:
    text, message, expression = v.get("expression", ""), v.get("message", ""), v.get("messageExpression", "")
    found: list[FieldError] = []
    if not text.strip():
        found.append(required(f"{path}.expression", "expression is not specified"))
    else:
        found += compile_as(env, text, f"{path}.expression", (BOOL,))[1]
    if expression and not expression.strip():
        found.append(invalid(f"{path}.messageExpression", expression, "must be non-empty if specified"))
    elif expression:
        found += compile_as(message_env, expression, f"{path}.messageExpression", (STRING,))[1]
    if message and not message.strip():
        found.append(invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif _NEWLINES.search(message.strip()):
        found.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    if v.get("reason") is not None:
        found += checks.one_of(f"{path}.reason", v["reason"], REASONS)
    return found


def _annotation_errors(annotations: Any, policy: str, env: Environment) -> list[FieldError]:
    found: list[FieldError] = []
    if len(annotations) > AUDIT_ANNOTATIONS_MAX:
        shown = [
            {"Key": a.get("key", ""), "ValueExpression": a.get("valueExpression", "")} for a in annotations
        ]
        detail = f"must not have more than {AUDIT_ANNOTATIONS_MAX} auditAnnotations"
        found.append(invalid("spec.auditAnnotations", shown, detail))
    seen: set[str] = set()
    for i, annotation in enumerate(annotations):
        path, key = f"spec.auditAnnotations[{i}]", annotation.get("key", "")
        text = annotation.get("valueExpression", "")
        if policy:
            found += checks.qualified_name(f"{path}.key", f"{policy}/{key}")
        else:
            found.append(invalid(f"{path}.key", key, "requires metadata.name be non-empty"))
        found += _value_errors(text, f"{path}.valueExpression", env)
        if key in seen:
            found.append(duplicate(f"{path}.key", key))
        seen.add(key)
    return found


def _value_errors(text: str, path: str, env: Environment) -> list[FieldError]:
    trimmed = text.strip()
    if not trimmed:
        return [required(path, "valueExpression is not specified")]
    if len(trimmed.encode()) > VALUE_BYTES_MAX:
        return [required(path, f"must not exceed {VALUE_BYTES_MAX} bytes in length")]
    error = compile_to(env, trimmed, (STRING, NULL))[1]
    return [invalid(path, text, error)] if error else []
