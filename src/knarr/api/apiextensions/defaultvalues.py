"""Defaults inside a schema must themselves fit it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from knarr.api.apiextensions.schema import embedded, metadata
from knarr.api.apiextensions.schema.defaulting import copy
from knarr.api.apiextensions.schema.node import META_FIELDS, Node, any_node
from knarr.api.apiextensions.schema.prune import prune
from knarr.api.apiextensions.schema.result import field_errors
from knarr.api.apiextensions.schema.validate import Validator
from knarr.meta.fielderrors import FieldError, aggregate, invalid

Schema = dict[str, Any]


class _Where(NamedTuple):
    """Where a schema stands: in which resource, inside the resource's metadata, and what a value of it belongs to."""

    resource: Schema
    in_meta: bool
    #: the whole resource around a value
    around: Callable[[Any], Any]

    def property(self, name: str, schema: Schema) -> _Where:
        in_meta = self.in_meta or (schema is self.resource and name in META_FIELDS)
        return _Where(self.resource, in_meta, lambda value: self.around({name: value}))

    def items(self) -> _Where:
        return self._replace(around=lambda value: self.around([value]))


def _resource(schema: Schema) -> _Where:
    return _Where(schema, False, lambda value: {**value, "apiVersion": "validation/v1", "kind": "Validation"})


def errors(schema: Schema, path: str) -> list[FieldError]:
    """What is wrong with the defaults anywhere below `schema`, the root of a resource."""
    found: list[FieldError] = []
    _walk(schema, path, _resource(schema), found)
    return found


def _walk(schema: Schema, path: str, where: _Where, found: list[FieldError]) -> None:
    if schema.get("x-kubernetes-embedded-resource"):
        where = _resource(schema)
    if schema.get("default") is not None:
        found += _default_errors(Node(schema), f"{path}.default", where, schema is where.resource)
    if isinstance(schema.get("items"), dict):
        _walk(schema["items"], f"{path}.items", where.items(), found)
    for key, sub in sorted((schema.get("properties") or {}).items()):
        _walk(sub, f"{path}.properties[{key}]", where.property(key, schema), found)


def _default_errors(node: Node, path: str, where: _Where, is_resource: bool) -> list[FieldError]:
    if where.in_meta:
        return _meta_errors(node.default, path, where) or _value_errors(node, path, is_resource)
    pruned = copy(node.default)
    prune(pruned, node, root=node.embedded)
    unknown = [invalid(path, node.default, "must not have unknown fields")] if pruned != node.default else []
    return unknown + (_embedded_errors(node, path) or _value_errors(node, path, is_resource))


def _meta_errors(default: Any, path: str, where: _Where) -> list[FieldError]:
    """A default inside apiVersion, kind or metadata must make a resource that has good ones."""
    obj, resource = where.around(copy(default)), Node(where.resource)
    resource.embedded = True
    try:
        metadata.coerce_embedded(obj, resource, "")
    except metadata.Malformed as error:
        return [invalid(path, default, f"must result in valid metadata: {error}")]
    wrong = embedded.errors(obj, resource)
    return [invalid(path, default, f"must result in valid metadata: {aggregate(wrong)}")] if wrong else []


def _embedded_errors(node: Node, path: str) -> list[FieldError]:
    try:
        metadata.coerce_embedded(copy(node.default), node, path)
    except metadata.Malformed as error:
        return [error.error]
    return embedded.errors(node.default, node, path)


def _value_errors(node: Node, path: str, resource: bool) -> list[FieldError]:
    default = node.default
    if wrong := field_errors(Validator(node.schema).validate(default).findings, path):
        return wrong
    if not any_node(node, lambda place: bool(place.rules)):
        return []
    from knarr.api.apiextensions.rules.validate import Rules

    rules = Rules(node, root=resource)
    # Once as if it had been there before, once as if it was new: transition rules see both.
    return rules.validate(default, default, path)[0] or rules.validate(default, None, path)[0]
