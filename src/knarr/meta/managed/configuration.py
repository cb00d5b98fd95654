"""A configuration merged into an object for nobody: what mutating admission policies do with apply configurations."""

from __future__ import annotations

from typing import Any

from knarr.meta.managed.lists import ListNode
from knarr.meta.managed.maps import MapNode
from knarr.meta.managed.node import Findings, ItemError, Node
from knarr.meta.managed.schema import TypeSchema

Value = dict[str, Any]


def merge(schema: TypeSchema, live: Value, config: Value) -> Value:
    """`live` with the fields of `config` set; ownership (managedFields) is neither asked nor noted.

    Raises ValueError with Kubernetes' words for a configuration that does not fit the schema, and for one that
    would replace something that is owned as a whole: whoever means to set one field of it would lose the others.
    """
    root = schema.root
    findings = Findings()
    root.validate(config, findings)
    if findings:
        raise ValueError(f"failed to convert patch object to typed object: {findings}")
    if wholes := _wholes(root, config, ""):
        shown = ", ".join(wholes)
        raise ValueError(
            f"invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {shown}"
        )
    try:
        return root.merge(live, config)
    except ItemError as error:
        raise ValueError(f"failed to merge patch: {error}") from None


def _wholes(node: Node, value: Any, path: str) -> list[str]:
    """The paths at which a value would be replaced as a whole."""
    if isinstance(value, dict) and isinstance(node, MapNode):
        found = [path] if node.atomic else []
        for key, item in value.items():
            if key in node.fields:
                found += _wholes(node.fields[key][1], item, f"{path}.{key}")
        return found
    if isinstance(value, list) and isinstance(node, ListNode):
        found = [path] if node.atomic else []
        for index, item in enumerate(value):
            found += _wholes(node.item, item, f"{path}[{index}]")
        return found
    return []
