"""Whole documents: one v3 document per group and version, and the one of v2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.api.resources import Resource
from knarr.apiserver.openapi import paths, schemas, top

Object = dict[str, Any]
BEARER = {
    "type": "apiKey",
    "description": "Bearer Token authentication",
    "name": "authorization",
    "in": "header",
}
INFO = {"title": "Kubernetes", "version": "1.36"}


def v3(group: str, version: str, rows: Iterable[Resource], extra: Object | None = None) -> Object:
    """Paths and components of one group and version; `extra` are path items of custom resources with their schemas."""
    root = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    found: Object = {root: _resources(group, version)}
    for row in rows:
        found.update(paths.of_row(row))
    components = {name: schemas.v3_schema(name) for name in schemas.closure(schemas.references(found))}
    for name in (paths.META + "DeleteOptions", paths.META + "WatchEvent"):
        if name in components:
            components[name] = _of_group(components[name], group, version)
    if extra:
        found.update(extra["paths"])
        names = schemas.closure([*schemas.references(extra["paths"]), *schemas.references(extra["schemas"])])
        components = {name: schemas.v3_schema(name) for name in names} | components | extra["schemas"]
    return {
        "openapi": "3.0.0",
        "info": INFO,
        "paths": dict(sorted(found.items())),
        "components": {"schemas": components, "securitySchemes": {"BearerToken": BEARER}},
    }


def v3_top(name: str) -> Object:
    """The document of a path above any group's version."""
    path, item = top.item_of(name)
    found = schemas.closure(schemas.references(item))
    components: Object = {"schemas": {name: schemas.v3_schema(name) for name in found}} if found else {}
    return {
        "openapi": "3.0.0",
        "info": INFO,
        "paths": {path: item},
        "components": {**components, "securitySchemes": {"BearerToken": BEARER}},
    }


def _of_group(component: Object, group: str, version: str) -> Object:
    """Meta kinds belong to every group; a group's document names that one and the core."""
    key = "x-kubernetes-group-version-kind"
    ours = (("", "v1"), (group, version))
    return {**component, key: [g for g in component.get(key, ()) if (g["group"], g["version"]) in ours]}


def _resources(group: str, version: str) -> Object:
    name = paths.group_id(group) + version.capitalize()
    responses = paths._responses(paths.META + "APIResourceList", ("200",), paths.SERVED)
    return {
        "get": {
            "tags": [paths.tag(group, version)],
            "description": "get available resources",
            "operationId": f"get{name}APIResources",
            "responses": responses,
        }
    }


def v2(rows: Iterable[Resource], extras: Iterable[Object]) -> Object:
    """Everything in one Swagger document."""
    from knarr.apiserver.openapi import custom

    found: Object = {}
    rows, read_only = list(rows), []
    for name in top.names({row.group for row in rows}):
        path, item = top.item_of(name)
        found[path] = item
        read_only.append(path)
    for group, version in dict.fromkeys((row.group, row.version) for row in rows):
        path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
        found[path] = _resources(group, version)
        read_only.append(path)
    for row in rows:
        found.update(paths.of_row(row))
    definitions = {name: schemas.v2_schema(name) for name in schemas.closure(schemas.references(found))}
    for extra in extras:
        found.update(extra["paths"])
        definitions.update({name: _as_v2(custom.v2_schema(s)) for name, s in extra["schemas"].items()})
    items = {path: _v2_item(item) for path, item in sorted(found.items())}
    for path in read_only:
        # Discovery's routes say that they read what they write; those of texts say nothing.
        operation = items[path]["get"]
        if "application/yaml" in operation["produces"] or path == "/version/":
            operation["consumes"] = operation["produces"]
        else:
            del operation["consumes"]
    return {
        "swagger": "2.0",
        "info": INFO,
        "paths": items,
        "definitions": definitions,
        "securityDefinitions": {"BearerToken": BEARER},
        "security": [{"BearerToken": []}],
    }


def _v2_item(item: Object) -> Object:
    return {
        key: [_v2_parameter(p) for p in value] if key == "parameters" else _v2_operation(value)
        for key, value in item.items()
    }


def _v2_parameter(parameter: Object) -> Object:
    flat = {k: v for k, v in parameter.items() if k != "schema"}
    return {**parameter["schema"], **flat}


def _v2_operation(operation: Object) -> Object:
    out = {k: v for k, v in operation.items() if k not in ("requestBody", "responses", "parameters")}
    found = [_v2_parameter(p) for p in operation.get("parameters", ())]
    body = operation.get("requestBody")
    out["consumes"] = _in_v2_order(body["content"]) if body else ["*/*"]
    if body:
        schema = next(iter(body["content"].values()))["schema"]
        entry = {"name": "body", "in": "body", "schema": _as_v2(schema)}
        found.insert(0, {**entry, "required": True} if body.get("required") else entry)
    if found:
        out["parameters"] = found
    out["schemes"] = ["https"]
    responses: Object = {}
    for code, response in operation["responses"].items():
        responses[code] = {"description": response["description"]}
        if content := response.get("content"):
            responses[code]["schema"] = _as_v2(next(iter(content.values()))["schema"])
            out["produces"] = _in_v2_order(content)
    return {**out, "responses": responses}


#: how v2 lists media types; v3 has them in alphabetical order
V2_MEDIA_TYPES = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


def _in_v2_order(media_types: Iterable[str]) -> list[str]:
    return sorted(media_types, key=lambda m: V2_MEDIA_TYPES.index(m) if m in V2_MEDIA_TYPES else -1)


def _as_v2(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) >= {"allOf"} and len(value["allOf"]) == 1:
            rest = {k: v for k, v in value.items() if k not in ("allOf", "default")}
            return {**_as_v2(rest), **_as_v2(value["allOf"][0])}
        return {
            k: v.replace(schemas.V3, schemas.V2) if k == "$ref" and isinstance(v, str) else _as_v2(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_as_v2(item) for item in value]
    return value
