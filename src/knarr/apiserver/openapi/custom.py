"""OpenAPI of custom resources: paths and schemas of every served version, made anew when a definition changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from knarr.api import schema
from knarr.apiserver.openapi import paths
from knarr.apiserver.openapi.schemas import V3
from knarr.apiserver.openapi.serve import OpenAPI
from knarr.registry.custom.views import Definition, schema_of

Object = dict[str, Any]
#: a kind whose words about apiVersion, kind and metadata are everybody's
MODEL = "io.k8s.api.core.v1.ConfigMap"
LIST_MODEL = "io.k8s.api.core.v1.ConfigMapList"
CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
SELECTABLE = "x-kubernetes-selectable-fields"
JUNCTORS = ("oneOf", "anyOf", "allOf", "not")


def publish(openapi: OpenAPI, definitions: Iterable[Definition]) -> None:
    """Put everything that is served into the documents."""
    openapi.custom.clear()
    for definition in definitions:
        for version in definition.served:
            key = (definition.group, version["name"])
            found = openapi.custom.setdefault(key, {"paths": {}, "schemas": {}})
            names = _names(definition, version)
            found["paths"].update(paths.items(names))
            found["schemas"].update(_schemas(definition, version, names))
    openapi.forget()


def definition_name(group: str, version: str, kind: str) -> str:
    """`com.example.v1.Robot`."""
    return ".".join([*reversed(group.split(".")), version, kind])


def identifier(text: str) -> str:
    """`crd-x.example.com` as part of an operation's id: CrdXExampleCom."""
    out, capital = [], True
    for char in text:
        if char.isalnum() or char == "_":
            out.append(char.upper() if capital else char)
            capital = False
        else:
            capital = True
    return "".join(out)


def _names(definition: Definition, version: Object) -> paths.Names:
    row = definition.row(version)
    name = definition_name(row.group, row.version, row.kind)
    list_kind = definition.names.get("listKind") or f"{row.kind}List"
    names = paths.Names(row, name, definition_name(row.group, row.version, list_kind), custom=True)
    group = identifier(row.group)
    names.id = group + identifier(row.version)
    names.tag = f"{group[:1].lower()}{group[1:]}_{row.version}"
    return names


def _schemas(definition: Definition, version: Object, names: paths.Names) -> Object:
    row = names.row
    list_kind = definition.names.get("listKind") or f"{row.kind}List"
    gvk = {"group": row.group, "version": row.version}
    words = schema.descriptions().get(MODEL, {}).get("properties", {})
    own = v3_schema(schema_of(version) or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    own["type"] = "object"
    known = own.get("properties") or {}
    reference = {"allOf": [{"$ref": f"{V3}{paths.META}ObjectMeta"}]}
    own["properties"] = {
        **known,
        "apiVersion": {**_described(words, "apiVersion"), "type": "string"},
        "kind": {**_described(words, "kind"), "type": "string"},
        "metadata": {**_described(words, "metadata"), **reference},
    }
    own["x-kubernetes-group-version-kind"] = [{**gvk, "kind": row.kind}]
    if fields := version.get("selectableFields"):
        own[SELECTABLE] = [{"fieldPath": field["jsonPath"].removeprefix(".")} for field in fields]
    list_words = schema.descriptions().get(LIST_MODEL, {}).get("properties", {})
    items = {
        "description": f"List of {row.name}. More info: {CONVENTIONS}",
        "type": "array",
        "items": {"allOf": [{"$ref": V3 + names.definition}]},
    }
    listed = {
        "description": f"{list_kind} is a list of {row.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {**_described(words, "apiVersion"), "type": "string"},
            "items": items,
            "kind": {**_described(words, "kind"), "type": "string"},
            "metadata": {
                **_described(list_words, "metadata"),
                "allOf": [{"$ref": f"{V3}{paths.META}ListMeta"}],
            },
        },
        "x-kubernetes-group-version-kind": [{**gvk, "kind": list_kind}],
    }
    return {names.definition: own, names.list_definition: listed}


def _described(words: Mapping[str, Object], field: str) -> Object:
    text = (words.get(field) or {}).get("description")
    return {"description": text} if text else {}


def v3_schema(schema_: Object) -> Object:
    """A schema as version 3 publishes it: as it is, in a copy."""
    out: Object = {}
    for key, value in schema_.items():
        if key == "properties":
            out[key] = {name: v3_schema(sub) for name, sub in sorted(value.items())}
        elif key in ("items", "additionalProperties", "not") and isinstance(value, dict):
            out[key] = v3_schema(value)
        elif key in JUNCTORS:
            out[key] = [v3_schema(sub) for sub in value]
        else:
            out[key] = value
    return out


def v2_schema(schema_: Object) -> Object:
    """What of a schema version 2 can say: no junctors, no nulls, nothing inside of what keeps unknown fields."""
    out = {key: value for key, value in schema_.items() if key not in (*JUNCTORS, "nullable", "default")}
    if schema_.get("nullable") or schema_.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
    if schema_.get("nullable") or schema_.get("x-kubernetes-preserve-unknown-fields"):
        out.pop("items", None)
        out.pop("properties", None)
    if isinstance(out.get("items"), dict) and "$ref" not in out["items"]:
        out["items"] = v2_schema(out["items"]) if "allOf" not in out["items"] else out["items"]
    if isinstance(out.get("additionalProperties"), dict):
        out["additionalProperties"] = v2_schema(out["additionalProperties"])
    if "properties" in out:
        out["properties"] = {
            name: sub if _is_reference(sub) else v2_schema(sub) for name, sub in out["properties"].items()
        }
    return out


def _is_reference(schema_: Object) -> bool:
    inner = schema_.get("allOf") or []
    return len(inner) == 1 and "$ref" in inner[0]
