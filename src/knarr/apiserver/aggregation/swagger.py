"""OpenAPI v3 of extension servers that only know v2, made of their Swagger document."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
V2, V3 = "#/definitions/", "#/components/schemas/"
#: what a parameter's schema says; the rest is the parameter's own
SCHEMA_FIELDS = (
    *("type", "format", "items", "default", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    *("maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "enum", "multipleOf"),
)
ANYTHING = "*/*"


def as_v3(document: Object) -> Object:
    """The v3 document of a v2 one, of which `paths` and `definitions` are looked at."""
    schemas = {name: _refs(body) for name, body in (document.get("definitions") or {}).items()}
    return {
        "openapi": "3.0.0",
        "info": document.get("info") or {"title": "", "version": ""},
        "paths": {path: _item(item) for path, item in (document.get("paths") or {}).items()},
        "components": {"schemas": schemas},
    }


def _item(item: Object) -> Object:
    found: Object = {}
    for key, value in item.items():
        if key == "parameters":
            found[key] = _parameters(value)
        elif isinstance(value, dict):
            found[key] = _operation(value)
    return found


def _operation(operation: Object) -> Object:
    left_out = ("consumes", "produces", "schemes", "parameters", "responses")
    found = {key: value for key, value in operation.items() if key not in left_out}
    parameters = operation.get("parameters") or []
    if others := _parameters(parameters):
        found["parameters"] = others
    body = next((p for p in parameters if p.get("in") == "body"), None)
    if body is not None:
        found["requestBody"] = {
            **({"description": body["description"]} if body.get("description") else {}),
            "content": _content(operation.get("consumes"), body.get("schema")),
            **({"required": True} if body.get("required") else {}),
        }
    found["responses"] = {
        code: _response(response, operation.get("produces"))
        for code, response in (operation.get("responses") or {}).items()
    }
    return found


def _response(response: Object, produces: list[str] | None) -> Object:
    found: Object = {"description": response.get("description", "")}
    if response.get("schema") is not None:
        found["content"] = _content(produces, response["schema"])
    return found


def _content(media_types: list[str] | None, schema: Any) -> Object:
    return {media_type: {"schema": _refs(schema or {})} for media_type in media_types or [ANYTHING]}


def _parameters(parameters: list[Object]) -> list[Object]:
    found = []
    for parameter in parameters:
        if parameter.get("in") == "body" or "$ref" in parameter:
            continue
        own = {key: value for key, value in parameter.items() if key not in SCHEMA_FIELDS}
        schema = {key: _refs(parameter[key]) for key in SCHEMA_FIELDS if key in parameter}
        found.append({**own, "schema": schema})
    return found


def _refs(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: item.replace(V2, V3) if key == "$ref" and isinstance(item, str) else _refs(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_refs(item) for item in value]
    return value
