"""Defaults inside a schema must themselves fit it."""

from __future__ import annotations

from typing import Any

from knarr.api.apiextensions.schema import embedded, listtypes, metadata
from knarr.api.apiextensions.schema.defaulting import copy
from knarr.api.apiextensions.schema.node import Node
from knarr.api.apiextensions.schema.prune import prune
from knarr.api.apiextensions.schema.result import field_errors
from knarr.api.apiextensions.schema.validate import Validator
from knarr.meta.fielderrors import FieldError, invalid

Schema = dict[str, Any]


def errors(schema: Schema, path: str) -> list[FieldError]:
    """What is wrong with the defaults anywhere below `schema`, the root of a resource."""
    found: list[FieldError] = []
    _walk(schema, path, False, True, found)
    return found


def _walk(schema: Schema, path: str, in_metadata: bool, root: bool, found: list[FieldError]) -> None:
    if schema.get("x-kubernetes-embedded-resource"):
        in_metadata, root = False, True
    if schema.get("default") is not None and not in_metadata:
        found += _default_errors(schema, f"{path}.default")
    if isinstance(schema.get("items"), dict):
        _walk(schema["items"], f"{path}.items", in_metadata, False, found)
    for key, sub in sorted((schema.get("properties") or {}).items()):
        inside = in_metadata or (root and key == "metadata")
        _walk(sub, f"{path}.properties[{key}]", inside, False, found)


def _default_errors(schema: Schema, path: str) -> list[FieldError]:
    default, node = schema["default"], Node(schema)
    found: list[FieldError] = []
    pruned = copy(default)
    prune(pruned, node, root=node.embedded)
    if pruned != default:
        found.append(invalid(path, default, "must not have unknown fields"))
    if node.embedded and isinstance(default, dict):
        try:
            metadata.coerce(copy(default), node)
        except ValueError as error:
            return [*found, invalid(f"{path}.metadata", default.get("metadata"), str(error))]
    wrong = embedded.errors(default, node, path)
    wrong = wrong or field_errors(Validator(schema).validate(default).findings, path)
    wrong = wrong or listtypes.errors(default, node, path)
    if not wrong and node.rules:
        from knarr.api.apiextensions.rules.validate import Rules

        wrong, _ = Rules(node, root=False).validate(default, default, path)
    return found + wrong
