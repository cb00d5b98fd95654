"""A structural schema compiled into nodes: what pruning, defaulting and list types need, one node per place."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


class Node:
    """One place of a structural schema. `schema` is the openAPIV3Schema of the place, in wire form."""

    __slots__ = (
        "additional",
        "closed",
        "default",
        "embedded",
        "has_default",
        "has_defaults_below",
        "int_or_string",
        "items",
        "list_keys",
        "list_type",
        "map_type",
        "nullable",
        "preserve",
        "properties",
        "rules",
        "schema",
        "type",
    )

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.type: str = schema.get("type", "")
        self.nullable: bool = schema.get("nullable", False)
        self.default = schema.get("default")
        self.has_default: bool = self.default is not None
        self.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
        self.int_or_string = bool(schema.get("x-kubernetes-int-or-string"))
        self.list_type: str = schema.get("x-kubernetes-list-type") or ""
        self.list_keys: list[str] = schema.get("x-kubernetes-list-map-keys") or []
        self.map_type: str = schema.get("x-kubernetes-map-type") or ""
        self.rules: list[dict[str, Any]] = schema.get("x-kubernetes-validations") or []
        self.properties = {name: Node(sub) for name, sub in (schema.get("properties") or {}).items()}
        items = schema.get("items")
        self.items = Node(items) if isinstance(items, dict) else None
        additional = schema.get("additionalProperties")
        #: (something is said of additional properties, the node of each or None)
        self.additional: tuple[bool, Node | None] = (
            additional is not None,
            Node(additional) if isinstance(additional, dict) else None,
        )
        #: keys that are not named are dropped
        self.closed = not self.preserve and not self.additional[0]
        self.has_defaults_below: bool = self.has_default or any(
            child.has_defaults_below for child in self.children()
        )

    def children(self) -> list[Node]:
        found = list(self.properties.values())
        if self.items is not None:
            found.append(self.items)
        if self.additional[1] is not None:
            found.append(self.additional[1])
        return found

    def child(self, key: str) -> Node | None:
        """The node of a key of an object here, None where the schema says nothing of it."""
        return self.properties.get(key) or self.additional[1]


def any_node(node: Node, wanted: Any) -> bool:
    """Whether `wanted(node)` holds anywhere."""
    return wanted(node) or any(any_node(child, wanted) for child in node.children())
