"""Reading and writing the fields that a scale subresource is made of, with Kubernetes' words for wrong types."""

from __future__ import annotations

from typing import Any

from knarr.meta.gofmt import go_plain

Object = dict[str, Any]
GO_TYPES = {
    str: "string",
    bool: "bool",
    float: "float64",
    int: "int64",
    list: "[]interface {}",
    dict: "map[string]interface {}",
}


def parts_of(path: str) -> list[str]:
    """`.spec.replicas` as its field names."""
    return path.removeprefix(".").split(".")


def value(obj: Object, path: str) -> Any:
    """What is at the path, None where nothing is. Raises ValueError where the way leads through no object."""
    found: Any = obj
    walked = ""
    for part in parts_of(path):
        if found is None:
            return None
        if not isinstance(found, dict):
            raise ValueError(_wrong(walked, found, "map[string]interface{}"))
        found = found.get(part)
        walked += f".{part}"
    return found


def integer(obj: Object, path: str) -> int | None:
    found = value(obj, path)
    if found is None:
        return None
    if found.__class__ is not int:
        raise ValueError(_wrong(path, found, "int64"))
    return found


def text(obj: Object, path: str) -> str | None:
    found = value(obj, path)
    if found is None:
        return None
    if not isinstance(found, str):
        raise ValueError(_wrong(path, found, "string"))
    return found


def put(obj: Object, path: str, number: int) -> None:
    *parents, last = parts_of(path)
    for part in parents:
        below = obj.get(part)
        if not isinstance(below, dict):
            below = obj[part] = {}
        obj = below
    obj[last] = number


def _wrong(path: str, found: Any, wanted: str) -> str:
    kind = GO_TYPES.get(type(found), "interface {}")
    return f"{path} accessor error: {go_plain(found)} is of the type {kind}, expected {wanted}"
