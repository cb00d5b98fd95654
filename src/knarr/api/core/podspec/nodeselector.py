"""Node selectors: terms over the labels and fields of nodes."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.paths import Errors, add
from knarr.meta import names
from knarr.meta.fielderrors import forbidden, invalid, required

Spec = dict[str, Any]
_BAD_OPERATOR = "not a valid selector operator"


def validate_node_selector(selector: Spec, path: str, errors: Errors) -> None:
    path = f"{path}.nodeSelectorTerms"
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        errors.append(required(path, "must have at least one node selector term"))
    for index, term in enumerate(terms or ()):
        validate_term(term, f"{path}[{index}]", errors)


def validate_term(term: Spec, path: str, errors: Errors, any_value: bool = False) -> None:
    """`any_value`: values need not be label values, as in preferences."""
    for index, expression in enumerate(term.get("matchExpressions", ())):
        _validate_expression(expression, f"{path}.matchExpressions[{index}]", errors, any_value)
    for index, expression in enumerate(term.get("matchFields", ())):
        _validate_field(expression, f"{path}.matchFields[{index}]", errors)


def _validate_expression(expression: Spec, path: str, errors: Errors, any_value: bool) -> None:
    operator, values = expression.get("operator", ""), expression.get("values", ())
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{path}.values", message))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            message = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.append(required(f"{path}.values", message))
    else:
        errors.append(invalid(f"{path}.operator", operator, _BAD_OPERATOR))
    key = expression.get("key", "")
    add(errors, f"{path}.key", key, names.is_qualified_name(key))
    if not any_value:
        for index, value in enumerate(values):
            add(errors, f"{path}.values[{index}]", value, names.is_label_value(value))


def _validate_field(expression: Spec, path: str, errors: Errors) -> None:
    operator, values = expression.get("operator", ""), expression.get("values", ())
    if operator not in ("In", "NotIn"):
        errors.append(invalid(f"{path}.operator", operator, _BAD_OPERATOR))
    elif len(values) != 1:
        message = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{path}.values", message))
    key = expression.get("key", "")
    if key != "metadata.name":
        errors.append(invalid(f"{path}.key", key, "not a valid field selector key"))
        return
    for index, value in enumerate(values):
        add(errors, f"{path}.values[{index}]", value, names.is_dns1123_subdomain(value))
