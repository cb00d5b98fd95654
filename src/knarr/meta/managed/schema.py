"""Schemas compiled into nodes, from OpenAPI definitions and from the schema of a CustomResourceDefinition.

What the walkers need of a schema is which lists and maps are owned as a whole, what identifies list items, the type
of scalars for messages, and, for built-in types, what an empty object of the Go type looks like on the wire: on
create the owner only gets what differs from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.meta.managed.lists import ListNode
from knarr.meta.managed.maps import Deduced, MapNode
from knarr.meta.managed.node import Leaf, Node, mark_loose

Definitions = Mapping[str, dict[str, Any]]
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
#: owned as a whole whatever their schema says
OPAQUE = ("io.k8s.apimachinery.pkg.api.resource.Quantity", META + "FieldsV1")
RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
#: structs that encode themselves: as null when zero
TIMES = (META + "Time", META + "MicroTime")
#: required, and yet left out of an empty object: the Go types say omitempty where OpenAPI only says required
OMITTED = {
    "io.k8s.api.networking.v1.IPAddressSpec": ("parentRef",),
    "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec": ("validationActions",),
}
#: the reverse: optional, and yet null in an empty object
WRITTEN = {"io.k8s.api.authentication.v1.TokenRequestSpec": ("boundObjectRef",)}
STRING, NUMERIC, BOOLEAN, ANY = Leaf("string"), Leaf("numeric"), Leaf("boolean"), Leaf()
FREE_FORM = Leaf(free_form=True)
DEDUCED = Deduced()
#: metadata of custom resources, whose schemas do not spell it out
OBJECT_META: dict[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(
            ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"), {"type": "string"}
        ),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), {"type": "integer"}),
        **dict.fromkeys(
            ("creationTimestamp", "deletionTimestamp"), {"type": "string", "format": "date-time"}
        ),
        **dict.fromkeys(
            ("labels", "annotations"), {"type": "object", "additionalProperties": {"type": "string"}}
        ),
        "finalizers": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "ownerReferences": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "items": {
                "type": "object",
                "x-kubernetes-map-type": "atomic",
                "properties": {
                    **dict.fromkeys(("apiVersion", "kind", "name"), {"type": "string"}),
                    "uid": {"type": "string", "default": ""},
                    **dict.fromkeys(("controller", "blockOwnerDeletion"), {"type": "boolean"}),
                },
            },
        },
        "managedFields": {"type": "array", "items": {"type": "object"}},
    },
}
TYPE_META: dict[str, Any] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}


class TypeSchema:
    """The compiled schema of one kind.

    `root` is the type of the object, `metadata` that of its metadata. `zero` is an empty object of a built-in type;
    `built_in` tells that values pass through a Go struct, in which a null is the same as no value. `reconciles`:
    the schema may have been another when stored entries were written, which built-in ones never were.
    """

    __slots__ = ("built_in", "metadata", "reconciles", "root", "zero")

    def __init__(self, root: MapNode, zero: dict[str, Any], built_in: bool) -> None:
        mark_loose(root)
        self.root = root
        self.zero = zero
        self.built_in = built_in
        self.reconciles = not built_in and root is not DEDUCED
        metadata = root.at("metadata")[1]
        self.metadata = metadata if isinstance(metadata, MapNode) else DEDUCED


#: a kind without a schema
UNTYPED = TypeSchema(DEDUCED, {}, built_in=False)

#: id of the definitions -> (they, so that the id stays theirs; compiled nodes; schemas)
_compiled: dict[int, tuple[Definitions, _Compiler, dict[str, TypeSchema]]] = {}


def schema_of(definitions: Definitions, name: str) -> TypeSchema:
    """The schema of the definition `name` (`io.k8s.api.core.v1.Pod`), compiled when first asked for.

    `definitions` are OpenAPI schemas by name, v2 or v3, with `default` as OpenAPI v3 publishes it: defaults fill in
    list keys that are left out, and with `required` tell which fields are written even when they are zero.
    Definitions must not change afterwards.
    """
    found = _compiled.get(id(definitions))
    if found is None:
        found = _compiled[id(definitions)] = (definitions, _Compiler(definitions), {})
    _, compiler, schemas = found
    if name not in schemas:
        root = compiler.named(name)
        if not isinstance(root, MapNode):
            raise TypeError(f"{name} is no type of an object")
        schemas[name] = TypeSchema(root, zero_of(definitions, name), built_in=True)
    return schemas[name]


def schema_of_crd(openapi_v3_schema: dict[str, Any] | None) -> TypeSchema:
    """The schema of a custom resource from its version's structural openAPIV3Schema; None knows nothing."""
    if not openapi_v3_schema:
        return UNTYPED
    compiler = _Compiler({})
    root = compiler.node(_with_object_fields(openapi_v3_schema), "")
    return TypeSchema(root, {}, built_in=False) if isinstance(root, MapNode) else UNTYPED


def _with_object_fields(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {**schema.get("properties", {}), **TYPE_META, "metadata": OBJECT_META}
    return {**schema, "type": "object", "properties": properties}


class _Compiler:
    """Turns schemas into nodes; named definitions once each, so that they may refer to themselves."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.nodes: dict[tuple[str, bool | None], Node] = {}

    def named(self, name: str, atomic: bool | None = None) -> Node:
        """The node of a definition; `atomic` is set where a field overrides what the definition says."""
        if name == RAW_EXTENSION:
            return FREE_FORM
        if name in OPAQUE:
            return ANY
        key = (name, atomic)
        if key not in self.nodes:
            schema = self.definitions[name]
            node = self._blank(schema)
            self.nodes[key] = node
            self._fill(node, schema, preserve=False)
            if atomic is not None:
                node.atomic = atomic
        return self.nodes[key]

    def node(self, schema: dict[str, Any], preserve: bool | str) -> Node:
        """The node of a schema in place. `preserve`: unknown fields above are kept, so those here are too."""
        reference = reference_of(schema)
        if reference:
            return self.named(reference, MAP_TYPES.get(schema.get("x-kubernetes-map-type", "")))
        if schema.get("x-kubernetes-embedded-resource"):
            schema = _with_object_fields(schema)
        node = self._blank(schema)
        self._fill(node, schema, bool(preserve))
        return node

    def _blank(self, schema: dict[str, Any]) -> Node:
        kind = schema.get("type", "")
        if kind == "object" or (not kind and schema.get("properties")):
            return MapNode(schema.get("x-kubernetes-map-type") == "atomic")
        if kind == "array":
            return ListNode(*list_type_of(schema))
        return SCALARS.get(kind, scalar_string(schema)) if kind else DEDUCED

    def _fill(self, node: Node, schema: dict[str, Any], preserve: bool) -> None:
        if isinstance(node, ListNode):
            node.item = self.node(schema.get("items") or {}, preserve)
            node.defaults = self._key_defaults(node, schema)
        elif isinstance(node, MapNode) and node is not DEDUCED:
            preserve = preserve or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
            for name, field in (schema.get("properties") or {}).items():
                node.add_field(name, self.node(field, preserve))
            node.element = self._element(schema, preserve)

    def _element(self, schema: dict[str, Any], preserve: bool) -> Node | None:
        additional = schema.get("additionalProperties")
        if isinstance(additional, dict):
            return self.node(additional, preserve)
        if additional is not None:
            return DEDUCED if additional else None
        unknown_allowed = preserve or not schema.get("properties")
        return DEDUCED if unknown_allowed else None

    def _key_defaults(self, node: ListNode, schema: dict[str, Any]) -> dict[str, Any]:
        item = schema.get("items") or {}
        reference = reference_of(item)
        properties = (self.definitions[reference] if reference else item).get("properties") or {}
        return {key: properties[key]["default"] for key in node.keys if "default" in properties.get(key, {})}


SCALARS: dict[str, Node] = {"integer": NUMERIC, "number": NUMERIC, "boolean": BOOLEAN}
MAP_TYPES = {"atomic": True, "granular": False}


def scalar_string(schema: dict[str, Any]) -> Node:
    """Texts with a format may be something else on the wire, such as numbers-or-texts."""
    return STRING if schema.get("format", "") in ("", "byte") else ANY


def reference_of(schema: dict[str, Any]) -> str:
    """The definition a schema refers to; OpenAPI v3 wraps the reference of a field with facts of its own in allOf."""
    reference = schema.get("$ref", "")
    if not reference and len(schema.get("allOf", ())) == 1:
        reference = schema["allOf"][0].get("$ref", "")
    return reference.rpartition("/")[2]


def list_type_of(schema: dict[str, Any]) -> tuple[bool, list[str]]:
    """(owned as a whole, keys)."""
    kind = schema.get("x-kubernetes-list-type")
    if kind is not None:
        keys = schema.get("x-kubernetes-list-map-keys", []) if kind == "map" else []
        return kind not in ("set", "map"), keys
    if schema.get("x-kubernetes-patch-strategy") in ("merge", "merge,retainKeys"):
        key = schema.get("x-kubernetes-patch-merge-key")
        return False, [key] if key else []
    return True, []


def zero_of(definitions: Definitions, name: str) -> dict[str, Any]:
    """What an empty object of a definition's Go type is on the wire, as far as its fields are always written."""
    schema = definitions[name]
    required, omitted = schema.get("required", ()), OMITTED.get(name, ())
    out: dict[str, Any] = {}
    for field, facts in (schema.get("properties") or {}).items():
        default = facts.get("default")
        reference = reference_of(facts)
        if reference in TIMES:
            # a time is one value, so null and none make no difference to who owns it
            out[field] = None
        elif reference and default == {}:
            out[field] = zero_of(definitions, reference)
        elif default is not None and not default and not reference:
            out[field] = default
        elif field in WRITTEN.get(name, ()) or field in required and default is None and field not in omitted:
            out[field] = None
    return out


def zero_beside(zero: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """An empty object to compare a new one with: nulls of structs that are always there were there, too.

    A field that is null on the wire is one that is always written, which OpenAPI does not tell of optional ones.
    """
    nulls = {key: None for key, item in value.items() if item is None} if None in value.values() else {}
    out = {**nulls, **zero} if nulls else zero
    for key, below in zero.items():
        item = value.get(key)
        if item.__class__ is dict and below.__class__ is dict:
            fuller = zero_beside(below, item)
            if fuller is not below:
                out = {**out, key: fuller}
    return out
