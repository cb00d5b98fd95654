"""Sets of field paths, held as the FieldsV1 object they are written as.

A set is a tree of dicts whose keys are path elements in their canonical spelling: `f:name` a field, `k:{"name":"a"}`
an item of a list with keys, `v:"x"` an item of a set, `i:0` an index. An empty dict is a path that belongs to the set
and has nothing below it; the key `.` marks a path that belongs to the set and has more below it. So decoding and
encoding cost nothing, and each operation is a walk over two dicts. No function here changes its arguments; results
share what did not change, and `difference` gives its first argument back when nothing was taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from knarr.meta.managed.elements import canonical_element, rank

Tree = dict[str, Any]
SELF = "."


def leaf_or(tree: Tree) -> Tree:
    """A lone `.` says the same as an empty dict, which is the canonical form."""
    return {} if len(tree) == 1 and SELF in tree else tree


def is_member(node: Tree) -> bool:
    return not node or SELF in node


def with_self(node: Tree | None) -> Tree:
    """The node, itself a member too."""
    if not node:
        return {}
    return node if SELF in node else {SELF: {}, **node}


def union(a: Tree, b: Tree) -> Tree:
    if not a:
        return b
    if not b:
        return a
    out = dict(a)
    for key, theirs in b.items():
        mine = out.get(key)
        out[key] = theirs if mine is None else _union_nodes(mine, theirs)
    return out


def _union_nodes(a: Tree, b: Tree) -> Tree:
    if not a:
        return with_self(b)
    if not b:
        return with_self(a)
    return union(a, b)


def difference(a: Tree, b: Tree) -> Tree:
    """The paths of `a` that are not in `b`; exact paths, what lies below them stays."""
    out: Tree | None = None
    for key, theirs in b.items():
        mine = a.get(key)
        if mine is None:
            continue
        rest = _difference_nodes(mine, theirs)
        if rest is mine:
            continue
        if out is None:
            out = dict(a)
        if rest is None:
            del out[key]
        else:
            out[key] = rest
    return a if out is None else out


def _difference_nodes(mine: Tree, theirs: Tree) -> Tree | None:
    """None when nothing is left, `mine` itself when nothing was taken."""
    if not mine:
        return None if is_member(theirs) else mine
    if not theirs:
        if SELF not in mine:
            return mine
        rest = {key: node for key, node in mine.items() if key != SELF}
        return rest or None
    rest = difference(mine, theirs)
    return mine if rest is mine else leaf_or(rest) if rest else None


def intersection(a: Tree, b: Tree) -> Tree:
    out = {}
    for key, mine in a.items():
        theirs = b.get(key)
        if theirs is None:
            continue
        if not mine:
            if is_member(theirs):
                out[key] = mine
        elif not theirs:
            if SELF in mine:
                out[key] = theirs
        else:
            both = intersection(mine, theirs)
            if both:
                out[key] = leaf_or(both)
    return out


def without(tree: Tree, paths: Tree) -> Tree:
    """`tree` without the members of `paths` and all that lies below them (the recursive difference)."""
    out: Tree | None = None
    for key, path in paths.items():
        mine = tree.get(key)
        if mine is None:
            continue
        if is_member(path):
            rest = None
        elif not mine:
            continue
        else:
            rest = without(mine, path)
            if rest is mine:
                continue
        if out is None:
            out = dict(tree)
        if rest:
            out[key] = leaf_or(rest)
        else:
            del out[key]
    return tree if out is None else out


def only(tree: Tree, pattern: Tree) -> Tree:
    """The part of `tree` at or below `pattern`'s members; the element `*` stands for any."""
    out = {}
    for key, node in tree.items():
        wanted = pattern.get(key, pattern.get("*"))
        if wanted is None:
            continue
        part = node if not wanted else only(node, wanted)
        if part or (not wanted and not node):
            out[key] = part
    return out


def includes(tree: Tree, path: Iterable[str]) -> bool:
    node = tree
    for element in path:
        found = node.get(element)
        if found is None:
            return False
        node = found
    return is_member(node)


def from_paths(paths: Iterable[Iterable[str]]) -> Tree:
    """A set of the given paths of canonical elements."""
    out: Tree = {}
    for path in paths:
        one: Tree = {}
        for element in reversed(tuple(path)):
            one = {element: one}
        out = union(out, one)
    return out


def field_paths(paths: Iterable[Iterable[str]]) -> Tree:
    """A set of paths given as plain field names."""
    return from_paths([[f"f:{name}" for name in path] for path in paths])


def paths(tree: Tree, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All members in canonical order, a path before what lies below it."""
    for key in sort_keys(tree):
        node = tree[key]
        if key == SELF:
            continue
        path = (*prefix, key)
        if is_member(node):
            yield path
        if node:
            yield from paths(node, path)


# -- order and spelling --------------------------------------------------------------------------------------


def ordered(tree: Tree) -> Tree:
    """The same set with its keys in the order Kubernetes writes them."""
    if len(tree) < 2:
        for key, node in tree.items():
            return {key: ordered(node)} if node else tree
        return tree
    return {key: ordered(node) if (node := tree[key]) else node for key in sort_keys(tree)}


def sort_keys(tree: Tree) -> list[str]:
    """`.` first, then fields, keys, values, indexes."""
    keys = sorted(tree)
    if keys and keys[-1][0] > "f":
        keys.sort(key=rank)
    return keys


def decode(fields: Any) -> Tree:
    """FieldsV1 as a client sent it, in canonical form; ValueError when it is not FieldsV1."""
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 must be an object")
    return ordered(_decode_children(fields))


def _decode_children(fields: Any) -> Tree:
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 must hold objects")
    named = ((canonical_element(key), node) for key, node in fields.items() if key != SELF)
    return {element: _decode_node(node) for element, node in named if element}


def _decode_node(fields: Any) -> Tree:
    children = _decode_children(fields)
    return {SELF: {}, **children} if children and SELF in fields else children
