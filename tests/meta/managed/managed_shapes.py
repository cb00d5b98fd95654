"""A small type that has every way a field can be owned, and a model of it that the walkers must agree with."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from knarr.meta.managed.elements import key_element, value_element

#: the machine is shared: how long an example takes says nothing
steady = settings(deadline=None)

NUMBER, TEXT = {"type": "integer"}, {"type": "string"}
PORT = {
    "type": "object",
    "properties": {"port": NUMBER, "protocol": {**TEXT, "default": "TCP"}, "label": TEXT},
}
DEFINITIONS: dict[str, dict[str, Any]] = {
    "Thing": {
        "type": "object",
        "properties": {
            "apiVersion": TEXT,
            "kind": TEXT,
            "metadata": {"$ref": "#/definitions/Meta", "default": {}},
            "spec": {"$ref": "#/definitions/Spec", "default": {}},
            "status": {"$ref": "#/definitions/Status", "default": {}},
        },
    },
    "Meta": {
        "type": "object",
        "properties": {
            **dict.fromkeys(("name", "namespace", "uid", "resourceVersion", "creationTimestamp"), TEXT),
            **dict.fromkeys(("labels", "annotations"), {"type": "object", "additionalProperties": TEXT}),
            "finalizers": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
            "managedFields": {"type": "array", "items": {"type": "object"}},
        },
    },
    "Status": {"type": "object", "properties": {"phase": TEXT}},
    "Spec": {
        "type": "object",
        "required": ["boxes"],
        "properties": {
            "number": NUMBER,
            "flag": {"type": "boolean"},
            "text": TEXT,
            "struct": {"$ref": "#/definitions/Struct"},
            "whole": {"$ref": "#/definitions/Struct", "x-kubernetes-map-type": "atomic"},
            "map": {"type": "object", "additionalProperties": TEXT},
            "atomicMap": {
                "type": "object",
                "additionalProperties": TEXT,
                "x-kubernetes-map-type": "atomic",
            },
            "set": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
            "atomicList": {"type": "array", "items": TEXT},
            "ports": {
                "type": "array",
                "items": PORT,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
            },
            "boxes": {
                "type": "array",
                "items": {"$ref": "#/definitions/Box"},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        },
    },
    "Struct": {"type": "object", "properties": {"a": NUMBER, "b": TEXT}},
    "Box": {
        "type": "object",
        "properties": {"name": TEXT, "size": NUMBER, "inner": {"$ref": "#/definitions/Struct"}},
    },
}

# -- values ---------------------------------------------------------------------------------------------------

words = st.sampled_from(["a", "b", "c"])
numbers = st.integers(0, 3)


def struct(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Never empty: what empty containers mean is told by tables."""
    return st.fixed_dictionaries({}, optional=fields).filter(bool)


def keyed(items: st.SearchStrategy[Any], *keys: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, min_size=1, max_size=3, unique_by=lambda item: tuple(item.get(k) for k in keys))


structs = struct(a=numbers, b=words)
ports = st.fixed_dictionaries(
    {"port": numbers, "protocol": st.sampled_from(["TCP", "UDP"])}, optional={"label": words}
)
boxes = st.fixed_dictionaries({"name": words}, optional={"size": numbers, "inner": structs})
specs = struct(
    number=numbers,
    text=words,
    struct=structs,
    whole=structs,
    map=st.dictionaries(words, words, min_size=1),
    atomicMap=st.dictionaries(words, words, min_size=1),
    set=st.lists(words, min_size=1, unique=True),
    atomicList=st.lists(words, min_size=1),
    ports=keyed(ports, "port", "protocol"),
    boxes=keyed(boxes, "name"),
)


def thing(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "t", **metadata}}
    if spec is not None:
        out["spec"] = spec
    return out


# -- the model: a spec as path -> value, containers included -----------------------------------------------------

#: fields whose items are owned one by one
STRUCTS = {"struct", "inner", "map"}
KEYS = {"ports": ("port", "protocol"), "boxes": ("name",)}


def flatten(value: dict[str, Any], prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every path of a value with what is there; containers of owned items have ... instead of a value."""
    out: dict[tuple[str, ...], Any] = {}
    for name, item in value.items():
        path = (*prefix, f"f:{name}")
        if name in STRUCTS:
            out[path] = ...
            out |= flatten(item, path)
        elif name in KEYS:
            out[path] = ...
            for one in item:
                element = (*path, key_element([(key, one[key]) for key in KEYS[name]]))
                out[element] = ...
                out |= flatten(one, element)
        elif name == "set":
            out[path] = ...
            out |= {(*path, value_element(one)): one for one in item}
        else:
            out[path] = item
    return out
