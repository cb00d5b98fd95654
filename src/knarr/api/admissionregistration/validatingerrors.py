"""What is wrong with the spec of a ValidatingAdmissionPolicy."""

from __future__ import annotations

import re
from typing import Any

from knarr.api import checks
from knarr.api.admissionregistration import policies
from knarr.api.admissionregistration.expressions import (
    BOOL,
    NULL,
    STRING,
    compile_as,
    compile_to,
    environment,
)
from knarr.api.kind import Object
from knarr.meta.cel.environment import Environment
from knarr.meta.fielderrors import FieldError, duplicate, invalid, required

REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
NOTHING = "validations or auditAnnotations must contain at least one item"
AUDIT_ANNOTATIONS_MAX = 20
#: of an audit annotation's expression
VALUE_BYTES_MAX = 5 * 1024
_NEWLINES = re.compile(r"[\n\r]+")


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
