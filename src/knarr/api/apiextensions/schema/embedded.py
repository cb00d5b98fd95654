"""Whole resources inside custom resources: their apiVersion, kind and metadata are checked like real ones'."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.schema.node import Node
from knarr.meta import fielderrors, names, objectmeta
from knarr.meta.fielderrors import FieldError


def has_embedded(node: Node) -> bool:
    return node.embedded or any(has_embedded(child) for child in node.children())


def errors(value: Any, node: Node | None, path: str = "") -> list[FieldError]:
    """What is wrong with the resources embedded in `value`, in Kubernetes' words."""
    found: list[FieldError] = []
    if node is not None:
        _walk(value, node, path, found)
    return found


def _walk(value: Any, node: Node, path: str, found: list[FieldError]) -> None:
    if value.__class__ is dict:
        if node.embedded:
            found += resource_errors(value, path)
        for key in sorted(value):
            below = node.properties.get(key)
            if below is not None:
                _walk(value[key], below, f"{path}.{key}" if path else key, found)
            elif node.additional[1] is not None:
                _walk(value[key], node.additional[1], f"{path}[{key}]", found)
    elif value.__class__ is list and node.items is not None:
        for index, item in enumerate(value):
            _walk(item, node.items, f"{path}[{index}]", found)


def resource_errors(value: dict[str, Any], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    prefix = f"{path}." if path else ""
    for field in ("apiVersion", "kind"):
        if field not in value:
            found.append(fielderrors.required(f"{prefix}{field}"))
    if "apiVersion" in value:
        found += _api_version(value["apiVersion"], f"{prefix}apiVersion")
    if "kind" in value:
        found += _kind(value["kind"], f"{prefix}kind")
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        named = {**metadata, "name": metadata.get("name") or "fakename"}
        namespaced = bool(metadata.get("namespace"))
        found += objectmeta.validate(named, namespaced, names.path_segment_name, f"{prefix}metadata")
    return found


def _api_version(value: Any, path: str) -> list[FieldError]:
    if not isinstance(value, str):
        return [fielderrors.invalid(path, value, "must be a string")]
    if not value:
        return [fielderrors.required(path)]
    if value.count("/") > 1:
        return [fielderrors.invalid(path, value, f"unexpected GroupVersion string: {value}")]
    return []


def _kind(value: Any, path: str) -> list[FieldError]:
    if not isinstance(value, str):
        return [fielderrors.invalid(path, value, "must be a string")]
    if not value:
        return [fielderrors.required(path)]
    if messages := names.is_dns1035_label(value.lower()):
        detail = f"may have mixed case, but should otherwise match: {','.join(messages)}"
        return [fielderrors.invalid(path, value, detail)]
    return []
