"""Whether a schema is structural: every field has a type outside of value validation, and only there."""

from __future__ import annotations

from typing import Any

from knarr.meta import goregexp
from knarr.meta.fielderrors import FieldError, forbidden, invalid, required

Schema = dict[str, Any]
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
ROOT, ITEM, FIELD = "root", "item", "field"
NO_TYPE = {
    ROOT: "must not be empty at the root",
    ITEM: "must not be empty for specified array items",
    FIELD: "must not be empty for specified object fields",
}
METADATA = "must not specify anything other than name and generateName, but metadata is implicitly specified"
PRESERVE, EMBEDDED, INTSTR = (
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
)
#: what may not stand inside allOf, anyOf, oneOf and not: (field, detail)
FORBIDDEN_NESTED = (
    ("type", "must be empty to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (PRESERVE, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"),
    (INTSTR, "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)
#: what structural schemas cannot express at all; told only when nothing else is wrong
UNSUPPORTED = {
    "id": "id",
    "$schema": "schema",
    "$ref": "$ref",
    "patternProperties": "patternProperties",
    "dependencies": "dependencies",
    "additionalItems": "additionalItems",
    "definitions": "definitions",
}


def unsupported(schema: Schema) -> str:
    """Why a schema cannot be made structural at all; "" for one that can."""
    for key, name in UNSUPPORTED.items():
        if schema.get(key) or (key == "additionalItems" and schema.get(key) is not None):
            return f"OpenAPIV3Schema '{name}' is not supported"
    below = [*(schema.get(key) for key in ("not", "additionalProperties"))]
    below += [sub for key in ("allOf", "anyOf", "oneOf") for sub in schema.get(key) or ()]
    if why := _first_unsupported(below):
        return why
    if schema.get(PRESERVE) is False:
        return f"internal error: '{PRESERVE}' must be true or undefined"
    if isinstance(schema.get("items"), list):
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    return _first_unsupported([schema.get("items"), *(schema.get("properties") or {}).values()])


def _first_unsupported(schemas: list[Any]) -> str:
    return next((why for s in schemas if isinstance(s, dict) and (why := unsupported(s))), "")


def errors(schema: Schema, path: str) -> list[FieldError]:
    """Sorted by their messages, as Kubernetes sorts them."""
    found: list[FieldError] = []
    _invariants(schema, ROOT, path, found)
    _validation_complete(schema, schema, path, path, found)
    return sorted(found, key=str)


def _invariants(s: Schema, level: str, path: str, found: list[FieldError]) -> None:
    kind, items, additional = s.get("type", ""), s.get("items"), s.get("additionalProperties")
    if kind == "array" and items is None:
        found.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        _invariants(items, ITEM, f"{path}.items", found)
    for key, sub in (s.get("properties") or {}).items():
        _invariants(sub, FIELD, f"{path}.properties[{key}]", found)
    if additional is not None:
        if level == ROOT:
            found.append(forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(additional, dict):
            _invariants(additional, FIELD, f"{path}.additionalProperties", found)
    _extensions(s, path, found)
    any_of, all_of = s.get("anyOf") or [], s.get("allOf") or []
    skip_first = bool(all_of) and all_of[0].get("anyOf") == INT_OR_STRING
    _value_validation(s, any_of == INT_OR_STRING, skip_first, level, path, found)
    _type(s, kind, level, path, found)
    _metadata(s, level, path, found)


def _extensions(s: Schema, path: str, found: list[FieldError]) -> None:
    if s.get(INTSTR) and s.get(PRESERVE):
        found.append(invalid(f"{path}.{PRESERVE}", True, f"must be false if {INTSTR} is true"))
    if s.get(INTSTR) and s.get(EMBEDDED):
        found.append(invalid(f"{path}.{EMBEDDED}", True, f"must be false if {INTSTR} is true"))


def _type(s: Schema, kind: str, level: str, path: str, found: list[FieldError]) -> None:
    if s.get(EMBEDDED) and kind != "object":
        detail = f"must be object if {EMBEDDED} is true"
        found.append(invalid(f"{path}.type", kind, detail) if kind else required(f"{path}.type", detail))
    elif not kind and not s.get(INTSTR) and not s.get(PRESERVE):
        found.append(required(f"{path}.type", NO_TYPE[level]))
    if s.get(EMBEDDED) and s.get("additionalProperties") is not None:
        found.append(forbidden(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set"))
    if level == ROOT and kind and kind != "object":
        found.append(invalid(f"{path}.type", kind, "must be object at the root"))


def _metadata(s: Schema, level: str, path: str, found: list[FieldError]) -> None:
    """kind, apiVersion and metadata of whole resources have fixed types."""
    resource = level == ROOT or bool(s.get(EMBEDDED))
    properties = s.get("properties") or {}
    for field in ("kind", "apiVersion"):
        sub = properties.get(field)
        if sub is not None and resource and sub.get("type", "") != "string":
            found.append(invalid(f"{path}.properties[{field}].type", sub.get("type", ""), "must be string"))
    metadata = properties.get("metadata")
    if metadata is not None:
        where = f"{path}.properties[metadata]"
        if resource and metadata.get("type", "") != "object":
            found.append(invalid(f"{where}.type", metadata.get("type", ""), "must be object"))
        if level == ROOT and not _only_names(metadata):
            found.append(forbidden(where, METADATA))
    if s.get(EMBEDDED) and not s.get(PRESERVE) and not properties:
        detail = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
        found.append(required(f"{path}.properties", detail))


def _only_names(metadata: Schema) -> bool:
    ignored = ("type", "default", "properties", "example", "externalDocs")
    rest = [v for k, v in metadata.items() if k not in ignored]
    properties = set(metadata.get("properties") or ())
    return not any(_is_set(v) for v in rest) and properties <= {"name", "generateName"}


def _is_set(value: Any) -> bool:
    """Numbers are pointers, so that 0 is something that somebody said."""
    return bool(value) or isinstance(value, int | float) and value is not False


def _value_validation(
    s: Schema, skip_any_of: bool, skip_first: bool, level: str, path: str, found: list[FieldError]
) -> None:
    if not skip_any_of:
        for i, sub in enumerate(s.get("anyOf") or ()):
            _nested(sub, False, level, f"{path}.anyOf[{i}]", found)
    for i, sub in enumerate(s.get("allOf") or ()):
        _nested(sub, skip_first and i == 0, level, f"{path}.allOf[{i}]", found)
    for i, sub in enumerate(s.get("oneOf") or ()):
        _nested(sub, False, level, f"{path}.oneOf[{i}]", found)
    if s.get("not") is not None:
        _nested(s["not"], False, level, f"{path}.not", found)
    if s.get("pattern") and (why := goregexp.check(s["pattern"])):
        detail = f"must be a valid regular expression, but isn't: {why}"
        found.append(invalid(f"{path}.pattern", s["pattern"], detail))


def _nested(s: Schema, skip_any_of: bool, level: str, path: str, found: list[FieldError]) -> None:
    _value_validation(s, skip_any_of, False, level, path, found)
    if isinstance(s.get("items"), dict):
        _nested(s["items"], False, level, f"{path}.items", found)
    properties = s.get("properties") or {}
    for key, sub in properties.items():
        _nested(sub, False, FIELD, f"{path}.properties[{key}]", found)
    if s.get("additionalProperties") is not None:
        found.append(forbidden(f"{path}.additionalProperties", "must be undefined to be structural"))
    for field, detail in FORBIDDEN_NESTED:
        if s.get(field) or (field == "default" and s.get(field) is not None):
            found.append(forbidden(f"{path}.{field}", detail))
    if "metadata" in properties:
        found.append(forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context"))


# -- completeness: what value validation names must be specified outside of it -----------------------------
# (Kubernetes looks at the value validation of the root only, and at all that is below that.)


def _validation_complete(v: Schema, s: Schema, vpath: str, spath: str, found: list[FieldError]) -> None:
    for junctor in ("allOf", "anyOf", "oneOf"):
        for i, sub in enumerate(v.get(junctor) or ()):
            _nested_complete(sub, s, f"{vpath}.{junctor}[{i}]", spath, found)
    if v.get("not") is not None:
        _nested_complete(v["not"], s, f"{vpath}.not", spath, found)


def _nested_complete(v: Schema, s: Schema | None, vpath: str, spath: str, found: list[FieldError]) -> None:
    if s is None:
        found.append(required(spath, f"because it is defined in {vpath}"))
        return
    _validation_complete(v, s, vpath, spath, found)
    if isinstance(v.get("items"), dict):
        items = s.get("items")
        _nested_complete(
            v["items"], items if isinstance(items, dict) else None, f"{vpath}.items", f"{spath}.items", found
        )
    for key, sub in (v.get("properties") or {}).items():
        properties = s.get("properties") or {}
        _nested_complete(
            sub, properties.get(key), f"{vpath}.properties[{key}]", f"{spath}.properties[{key}]", found
        )
