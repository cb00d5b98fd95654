"""The operations of one resource, as OpenAPI v3 path items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from knarr.api import schema
from knarr.api.resources import Resource
from knarr.apiserver.openapi import parameters
from knarr.apiserver.openapi.schemas import V3
from knarr.registry.delete import RETURNS_OBJECT

Object = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
SERVED = ("application/json", "application/vnd.kubernetes.protobuf", "application/yaml")
STREAMED = (
    "application/json",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf;stream=watch",
    "application/yaml",
)
CUSTOM_SERVED = ("application/json", "application/yaml")
PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
PHRASES = {"200": "OK", "201": "Created", "202": "Accepted"}
CONNECTIONS = frozenset({"attach", "exec", "portforward", "proxy"})
CONNECT_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


class Names:
    """What a resource's definitions and operations are called."""

    def __init__(self, row: Resource, definition: str, list_definition: str, custom: bool = False) -> None:
        self.row, self.definition, self.list_definition, self.custom = (
            row,
            definition,
            list_definition,
            custom,
        )
        self.id = group_id(row.group) + row.version.capitalize()
        self.tag = tag(row.group, row.version)
        self.scope = "Namespaced" if row.namespaced else ""
        self.gvk = {"group": row.group, "version": row.version, "kind": row.kind}
        root = f"/apis/{row.group}/{row.version}" if row.group else f"/api/{row.version}"
        self.root = root
        self.collection = (
            f"{root}/namespaces/{{namespace}}/{row.name}" if row.namespaced else f"{root}/{row.name}"
        )

    @property
    def media_types(self) -> tuple[str, ...]:
        return CUSTOM_SERVED if self.custom else SERVED


def group_id(group: str) -> str:
    """`Apps`, `Core`, `RbacAuthorization` for rbac.authorization.k8s.io."""
    if not group:
        return "Core"
    return "".join(part[:1].upper() + part[1:] for part in re.split("[.-]", group.removesuffix(".k8s.io")))


def tag(group: str, version: str) -> str:
    name = group_id(group)
    return f"{name[:1].lower()}{name[1:]}_{version}"


def of_row(row: Resource) -> Iterator[tuple[str, Object]]:
    """(path, item) of a built-in resource."""
    names = Names(
        row,
        definition(row.group, row.version, row.kind),
        definition(row.group, row.version, row.kind + "List"),
    )
    yield from items(names)


def definition(group: str, version: str, kind: str) -> str:
    try:
        return schema.definition_of(group, version, kind)
    except KeyError:
        return ""


def items(names: Names) -> Iterator[tuple[str, Object]]:
    """(path, item) of everything below a resource; what all operations of a path have in common stands once."""
    for path, item in _items(names):
        yield path, _hoisted(item)


def _hoisted(item: Object) -> Object:
    operations = [value for key, value in item.items() if key != "parameters"]
    lists = [operation.get("parameters", []) for operation in operations]
    common = [p for p in lists[0] if all(p in others for others in lists)] if lists else []
    if not common:
        return item
    out: Object = {}
    for key, value in item.items():
        if key == "parameters":
            out[key] = _sorted([*value, *common])
            continue
        left = [p for p in value["parameters"] if p not in common]
        out[key] = {k: v for k, v in value.items() if k != "parameters"}
        if left:
            out[key]["parameters"] = left
    return out


def _items(names: Names) -> Iterator[tuple[str, Object]]:
    row = names.row
    if row.verbs:
        if row.namespaced and "list" in row.verbs:
            yield f"{names.root}/{row.name}", _all_namespaces(names)
        yield names.collection, _collection(names)
        if {"get", "update", "patch", "delete"} & set(row.verbs):
            yield f"{names.collection}/{{name}}", _single(names)
    for sub, (kind, of, verbs) in sorted(row.subresources.items()):
        yield f"{names.collection}/{{name}}/{sub}", _subresource(names, sub, kind, of, verbs)
        if sub == "proxy":
            yield (
                f"{names.collection}/{{name}}/proxy/{{path}}",
                _subresource(names, sub, kind, of, verbs, "WithPath"),
            )
    if "watch" in row.verbs and not names.custom:
        yield from _watches(names)


# -- path items ------------------------------------------------------------------------------------------


def _all_namespaces(names: Names) -> Object:
    row = names.row
    operation = _operation(
        names,
        f"list{names.id}{row.kind}ForAllNamespaces",
        f"list or watch objects of kind {row.kind}",
        "list",
    )
    operation["responses"] = _responses(names.list_definition, ("200",), _streamed(names))
    return {"get": operation, "parameters": _sorted([*parameters.LIST, parameters.PRETTY])}


def _collection(names: Names) -> Object:
    row, item = names.row, {}
    if "list" in row.verbs:
        operation = _operation(
            names,
            f"list{names.id}{names.scope}{row.kind}",
            f"list or watch objects of kind {row.kind}",
            "list",
        )
        operation["parameters"] = parameters.LIST
        operation["responses"] = _responses(names.list_definition, ("200",), _streamed(names))
        item["get"] = operation
    if "create" in row.verbs:
        operation = _operation(
            names, f"create{names.id}{names.scope}{row.kind}", f"create {_article(row.kind)}", "post"
        )
        operation["parameters"] = parameters.WRITE
        operation["requestBody"] = _body(names.definition)
        operation["responses"] = _responses(names.definition, ("200", "201", "202"), names.media_types)
        item["post"] = operation
    if "deletecollection" in row.verbs:
        operation = _operation(
            names,
            f"delete{names.id}Collection{names.scope}{row.kind}",
            f"delete collection of {row.kind}",
            "deletecollection",
        )
        operation["parameters"] = _sorted([*parameters.LIST_OF_COLLECTION_DELETE, *parameters.DELETE])
        operation["requestBody"] = _body(META + "DeleteOptions", required=False)
        operation["responses"] = _responses(META + "Status", ("200",), names.media_types)
        item["delete"] = operation
    return {**item, "parameters": _path_parameters(names, named=False)}


def _single(names: Names) -> Object:
    row, item = names.row, {}
    if "get" in row.verbs:
        item["get"] = _read(
            names,
            f"read{names.id}{names.scope}{row.kind}",
            f"read the specified {row.kind}",
            names.definition,
            names.gvk,
        )
    if "update" in row.verbs:
        item["put"] = _replace(
            names,
            f"replace{names.id}{names.scope}{row.kind}",
            f"replace the specified {row.kind}",
            names.definition,
            names.gvk,
        )
    if "delete" in row.verbs:
        operation = _operation(
            names, f"delete{names.id}{names.scope}{row.kind}", f"delete {_article(row.kind)}", "delete"
        )
        operation["parameters"] = parameters.DELETE
        operation["requestBody"] = _body(META + "DeleteOptions", required=False)
        answer = names.definition if (row.group, row.name) in RETURNS_OBJECT else META + "Status"
        operation["responses"] = _responses(answer, ("200", "202"), names.media_types)
        item["delete"] = operation
    if "patch" in row.verbs:
        item["patch"] = _patch(
            names,
            f"patch{names.id}{names.scope}{row.kind}",
            f"partially update the specified {row.kind}",
            names.definition,
            names.gvk,
        )
    return {**item, "parameters": _path_parameters(names, named=True)}


def _subresource(
    names: Names, sub: str, kind: str, of: str, verbs: tuple[str, ...], suffix: str = ""
) -> Object:
    row = names.row
    group, _, version = of.rpartition("/") if of else (row.group, "", row.version)
    gvk = {"group": group, "version": version, "kind": kind}
    target = names.definition if names.custom and not of else definition(group, version, kind)
    base = f"{names.id}{names.scope}{row.kind}{sub[:1].upper()}{sub[1:]}"
    item: Object = {}
    extra: list[Object] = []
    if sub in CONNECTIONS:
        methods = CONNECT_METHODS if sub == "proxy" else ("get", "post")
        for method in methods:
            name = f"connect{names.id}{method.capitalize()}{names.scope}{row.kind}{sub.capitalize()}{suffix}"
            operation = _operation(
                names, name, f"connect {method.upper()} requests to {sub} of {row.kind}", "connect", gvk
            )
            operation["responses"] = {
                "200": {"description": "OK", "content": {"*/*": {"schema": {"type": "string"}}}},
                "401": _UNAUTHORIZED,
            }
            item[method] = operation
        extra = parameters.connect(parameters.CONNECT[sub])
    elif sub == "log":
        operation = _operation(names, f"read{base}", f"read log of the specified {row.kind}", "get", gvk)
        text = {"schema": {"type": "string"}}
        operation["responses"] = {
            "200": {"description": "OK", "content": dict.fromkeys(("text/plain", *SERVED), text)},
            "401": _UNAUTHORIZED,
        }
        item["get"] = operation
        extra = parameters.connect(parameters.CONNECT["log"])
    else:
        words = f"{sub} of the specified {row.kind}"
        if "get" in verbs:
            item["get"] = _read(names, f"read{base}", f"read {words}", target, gvk)
        if "update" in verbs:
            item["put"] = _replace(names, f"replace{base}", f"replace {words}", target, gvk)
        if "patch" in verbs:
            item["patch"] = _patch(names, f"patch{base}", f"partially update {words}", target, gvk)
        if "create" in verbs:
            operation = _operation(
                names, f"create{base}", f"create {sub} of {_article(row.kind)}", "post", gvk
            )
            operation["requestBody"] = _body(target)
            operation["responses"] = _responses(target, ("200", "201", "202"), names.media_types)
            item["post"] = operation
            extra = parameters.WRITE
    path = [parameters._path("path", "path to the resource")] if suffix else []
    fixed = _path_parameters(names, named=True)
    if sub in CONNECTIONS:
        fixed.remove(parameters.PRETTY)
    item["parameters"] = _sorted([*fixed, *extra, *path])
    return item


def _watches(names: Names) -> Iterator[tuple[str, Object]]:
    """The deprecated /watch/ paths."""
    row = names.row
    shapes = [("collection", "List", False), ("single", "", True)]
    every = _sorted([*parameters.LIST, parameters.PRETTY])
    if row.namespaced:
        operation = _watch(names, f"watch{names.id}{row.kind}ListForAllNamespaces", "watchlist")
        yield f"{names.root}/watch/{row.name}", {"get": operation, "parameters": every}
    watched = names.collection.replace(names.root, names.root + "/watch", 1)
    for _, suffix, named in shapes:
        operation = _watch(
            names, f"watch{names.id}{names.scope}{row.kind}{suffix}", "watch" if named else "watchlist"
        )
        path = f"{watched}/{{name}}" if named else watched
        fixed = [p for p in _path_parameters(names, named) if p["name"] != "pretty"]
        yield path, {"get": operation, "parameters": _sorted([*every, *fixed])}


def _watch(names: Names, operation_id: str, action: str) -> Object:
    kind = names.row.kind
    words = (
        f"watch changes to an object of kind {kind}"
        if action == "watch"
        else f"watch individual changes to a list of {kind}"
    )
    operation = _operation(
        names,
        operation_id,
        f"{words}. deprecated: use the 'watch' parameter with a list operation instead",
        action,
    )
    operation["responses"] = _responses(META + "WatchEvent", ("200",), STREAMED)
    return operation


# -- operations ------------------------------------------------------------------------------------------

_UNAUTHORIZED = {"description": "Unauthorized"}


def _operation(
    names: Names, operation_id: str, description: str, action: str, gvk: Object | None = None
) -> Object:
    return {
        "tags": [names.tag],
        "description": description,
        "operationId": operation_id,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk or names.gvk,
    }


def _read(names: Names, operation_id: str, description: str, target: str, gvk: Object) -> Object:
    operation = _operation(names, operation_id, description, "get", gvk)
    operation["responses"] = _responses(target, ("200",), names.media_types)
    return operation


def _replace(names: Names, operation_id: str, description: str, target: str, gvk: Object) -> Object:
    operation = _operation(names, operation_id, description, "put", gvk)
    operation["parameters"] = parameters.WRITE
    operation["requestBody"] = _body(target)
    operation["responses"] = _responses(target, ("200", "201"), names.media_types)
    return operation


def _patch(names: Names, operation_id: str, description: str, target: str, gvk: Object) -> Object:
    operation = _operation(names, operation_id, description, "patch", gvk)
    operation["parameters"] = parameters.PATCH
    reference = {"schema": {"$ref": f"{V3}{META}Patch"}}
    types = [t for t in PATCH_TYPES if not (names.custom and "strategic" in t)]
    operation["requestBody"] = {"content": dict.fromkeys(types, reference), "required": True}
    operation["responses"] = _responses(
        target, ("200",) if names.custom else ("200", "201"), names.media_types
    )
    return operation


def _body(target: str, required: bool = True) -> Object:
    body: Object = {"content": {"*/*": {"schema": {"$ref": V3 + target}}}}
    if required:
        body["required"] = True
    return body


def _responses(target: str, codes: tuple[str, ...], media_types: tuple[str, ...]) -> Object:
    content = {media_type: {"schema": {"$ref": V3 + target}} for media_type in media_types}
    answers: Object = {code: {"description": PHRASES[code], "content": content} for code in codes}
    return {**answers, "401": _UNAUTHORIZED}


def _streamed(names: Names) -> tuple[str, ...]:
    return CUSTOM_SERVED if names.custom else STREAMED


def _path_parameters(names: Names, named: bool) -> list[Object]:
    found = [parameters.name_of(names.row.kind)] if named else []
    if names.row.namespaced:
        found.append(parameters.NAMESPACE)
    return [*found, parameters.PRETTY]


def _sorted(found: list[Object]) -> list[Object]:
    return sorted(found, key=lambda parameter: (parameter["name"], parameter["in"]))


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"
