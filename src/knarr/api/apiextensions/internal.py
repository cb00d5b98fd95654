"""Definitions as Go's internal types print them in messages, and what v1 lifts to the top of the internal type.

Internally a definition whose versions all have the same schema, subresources, columns or selectable fields has them
once, under spec; so do paths in messages (`spec.validation.openAPIV3Schema...`).
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
#: (wire name, Go name, zero) of JSONSchemaProps, in the order of the internal type
PROPS: tuple[tuple[str, str, Any], ...] = (
    ("id", "ID", ""),
    ("$schema", "Schema", ""),
    ("$ref", "Ref", None),
    ("description", "Description", ""),
    ("type", "Type", ""),
    ("nullable", "Nullable", False),
    ("format", "Format", ""),
    ("title", "Title", ""),
    ("default", "Default", None),
    ("maximum", "Maximum", None),
    ("exclusiveMaximum", "ExclusiveMaximum", False),
    ("minimum", "Minimum", None),
    ("exclusiveMinimum", "ExclusiveMinimum", False),
    ("maxLength", "MaxLength", None),
    ("minLength", "MinLength", None),
    ("pattern", "Pattern", ""),
    ("maxItems", "MaxItems", None),
    ("minItems", "MinItems", None),
    ("uniqueItems", "UniqueItems", False),
    ("multipleOf", "MultipleOf", None),
    ("enum", "Enum", None),
    ("maxProperties", "MaxProperties", None),
    ("minProperties", "MinProperties", None),
    ("required", "Required", None),
    ("items", "Items", None),
    ("allOf", "AllOf", None),
    ("oneOf", "OneOf", None),
    ("anyOf", "AnyOf", None),
    ("not", "Not", None),
    ("properties", "Properties", None),
    ("additionalProperties", "AdditionalProperties", None),
    ("patternProperties", "PatternProperties", None),
    ("dependencies", "Dependencies", None),
    ("additionalItems", "AdditionalItems", None),
    ("definitions", "Definitions", None),
    ("externalDocs", "ExternalDocs", None),
    ("example", "Example", None),
    ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields", None),
    ("x-kubernetes-embedded-resource", "XEmbeddedResource", False),
    ("x-kubernetes-int-or-string", "XIntOrString", False),
    ("x-kubernetes-list-map-keys", "XListMapKeys", None),
    ("x-kubernetes-list-type", "XListType", None),
    ("x-kubernetes-map-type", "XMapType", None),
    ("x-kubernetes-validations", "XValidations", None),
)
LISTS_OF_SCHEMAS = frozenset({"allOf", "oneOf", "anyOf"})
MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "definitions"})
SCHEMA_OR = {
    "items": ("Schema", "JSONSchemas"),
    "additionalProperties": ("Allows", "Schema"),
    "additionalItems": ("Allows", "Schema"),
}


def props(schema: Object) -> Object:
    """A schema as the internal JSONSchemaProps."""
    return {go: _prop(wire, schema.get(wire), zero) for wire, go, zero in PROPS}


def _prop(wire: str, value: Any, zero: Any) -> Any:
    if value is None:
        return zero
    if wire == "not":
        return props(value)
    if wire in LISTS_OF_SCHEMAS:
        return [props(item) for item in value]
    if wire in MAPS_OF_SCHEMAS:
        return {key: props(value[key]) for key in sorted(value)}
    if wire == "items":
        if isinstance(value, list):
            return {"Schema": None, "JSONSchemas": [props(item) for item in value]}
        return {"Schema": props(value), "JSONSchemas": None}
    if wire in SCHEMA_OR:
        if isinstance(value, bool):
            return {"Allows": value, "Schema": None}
        return {"Allows": True, "Schema": props(value)}
    if wire == "externalDocs":
        return {"Description": value.get("description", ""), "URL": value.get("url", "")}
    if wire == "x-kubernetes-validations":
        return [rule(item) for item in value]
    return value


def rule(value: Object) -> Object:
    """A validation rule as the internal ValidationRule."""
    return {
        "Rule": value.get("rule", ""),
        "Message": value.get("message", ""),
        "MessageExpression": value.get("messageExpression", ""),
        "Reason": value.get("reason"),
        "FieldPath": value.get("fieldPath", ""),
        "OptionalOldSelf": value.get("optionalOldSelf"),
    }


def versions(spec: Object) -> list[Object] | None:
    """spec.versions as the internal type, without what was lifted."""
    if spec.get("versions") is None:
        return None
    return [_version(v) for v in spec["versions"]]


def _version(v: Object) -> Object:
    schema, subresources = v.get("schema"), v.get("subresources")
    columns, fields = v.get("additionalPrinterColumns"), v.get("selectableFields")
    return {
        "Name": v.get("name", ""),
        "Served": v.get("served", False),
        "Storage": v.get("storage", False),
        "Deprecated": v.get("deprecated", False),
        "DeprecationWarning": v.get("deprecationWarning"),
        "Schema": None if schema is None else _validation(schema),
        "Subresources": None if subresources is None else _subresources(subresources),
        "AdditionalPrinterColumns": [_column(c) for c in columns] if columns else None,
        "SelectableFields": [{"JSONPath": f.get("jsonPath", "")} for f in fields] if fields else None,
    }


def _validation(schema: Object) -> Object:
    found = schema.get("openAPIV3Schema")
    return {"OpenAPIV3Schema": None if found is None else props(found)}


def _subresources(value: Object) -> Object:
    scale = value.get("scale")
    return {
        "Status": None if value.get("status") is None else {},
        "Scale": None
        if scale is None
        else {
            "SpecReplicasPath": scale.get("specReplicasPath", ""),
            "StatusReplicasPath": scale.get("statusReplicasPath", ""),
            "LabelSelectorPath": scale.get("labelSelectorPath"),
        },
    }


def _column(value: Object) -> Object:
    return {
        "Name": value.get("name", ""),
        "Type": value.get("type", ""),
        "Format": value.get("format", ""),
        "Description": value.get("description", ""),
        "Priority": value.get("priority", 0),
        "JSONPath": value.get("jsonPath", ""),
    }


#: per-version field -> top-level field of the internal spec
LIFTED = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


def lifted(spec: Object) -> Object:
    """The spec as the internal type holds it (wire names): equal per-version fields once, at the top."""
    versions_ = [dict(v) for v in spec.get("versions") or ()]
    out = {**spec, "versions": versions_ if spec.get("versions") is not None else None}
    for field, top in LIFTED.items():
        values = [v.get(field) or None for v in versions_]
        if values and all(value == values[0] for value in values) and values[0] is not None:
            out[top] = values[0]
            for v in versions_:
                v.pop(field, None)
    if versions_:
        out["version"] = versions_[0].get("name", "")
    return out
