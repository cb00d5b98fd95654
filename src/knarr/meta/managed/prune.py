"""What an applier no longer says goes, unless someone else owns it.

An item goes when its applier said it last time, does not say it now, and no other entry claims it.
"""

from __future__ import annotations

from typing import Any

from knarr.meta.managed import fieldset
from knarr.meta.managed.entries import Entry
from knarr.meta.managed.fieldset import Tree, with_self
from knarr.meta.managed.lists import ListNode
from knarr.meta.managed.maps import MapNode
from knarr.meta.managed.node import Node, Nulls
from knarr.meta.managed.ownership import Versions
from knarr.meta.managed.schema import TypeSchema

Value = dict[str, Any]


def prune(versions: Versions, merged: Value, last: Entry | None, owners: list[Entry]) -> tuple[Value, Nulls]:
    """`merged` without what went, and where nulls were left in it.

    `last` is the applier's entry before, `owners` all entries now, the applier's new one included.
    """
    if last is None or not last["fieldsV1"] or _says_all_of(owners, last):
        return merged, []
    version, said = last["apiVersion"], last["fieldsV1"]
    here = versions.at(merged, version)
    if here is None:
        return merged, []
    schema, whole = here
    pruned = remove(schema, whole, named_fields(schema.root, said), [])
    pruned = _add_back_owned(versions, whole, pruned, version, owners)
    back = versions.at(pruned, version)
    if back is None:
        return merged, []
    gone = fieldset.difference(named_set(schema, whole), named_set(schema, back[1]))
    nulls: Nulls = []
    result = remove(schema, whole, fieldset.intersection(gone, named_fields(schema.root, said)), nulls)
    final = versions.at(result, versions.api_version)
    return (final[1], nulls if final[1] is result else []) if final else (merged, [])


def _says_all_of(owners: list[Entry], last: Entry) -> bool:
    """The applier's new set, first among the owners, holds its last one: nothing to take away."""
    new = owners[0]
    return new["apiVersion"] == last["apiVersion"] and not fieldset.difference(
        last["fieldsV1"], new["fieldsV1"]
    )


def _add_back_owned(
    versions: Versions, whole: Value, pruned: Value, version: str, owners: list[Entry]
) -> Value:
    """Brings back what any owner claims, the version that was pruned first: others may not convert without it."""
    owned: dict[str, Tree] = {}
    for entry in owners:
        owned[entry["apiVersion"]] = fieldset.union(owned.get(entry["apiVersion"], {}), entry["fieldsV1"])
    for at in sorted(owned, key=lambda v: (v != version, v)):
        before, after = versions.at(whole, at), versions.at(pruned, at)
        if before is None or after is None:
            continue
        schema, whole = before
        kept = fieldset.union(named_set(schema, after[1]), named_fields(schema.root, owned[at]))
        pruned = remove(schema, whole, fieldset.difference(named_set(schema, whole), kept), [])
    return pruned


def remove(schema: TypeSchema, value: Value, paths: Tree, nulls: Nulls) -> Value:
    return schema.root.remove(value, paths, nulls) or {} if paths else value


def named_set(schema: TypeSchema, value: Value) -> Tree:
    return named_fields(schema.root, schema.root.fieldset(value) or {})


def named_fields(node: Node | None, tree: Tree) -> Tree:
    """The set with each struct field that has something below it a member, too, so that emptied structs go."""
    if node is None:
        return tree
    out: Tree = {}
    for element, below in tree.items():
        if not below:
            out[element] = below
            continue
        below = named_fields(_step(node, element), below)
        named = isinstance(node, MapNode) and element[0] == "f" and element[2:] in node.fields
        out[element] = with_self(below) if named else below
    return out


def _step(node: Node, element: str) -> Node | None:
    if isinstance(node, ListNode):
        return node.item if element[0] == "k" else None
    return node.at(element[2:])[1] if isinstance(node, MapNode) and element[0] == "f" else None
