"""What every node of a schema can do, and the nodes without children.

A schema is a graph of nodes, one per type, compiled once from its definition. A node walks values of its type:

    validate     findings, each with the path as messages show it
    added        the paths of a value that is new, its containers included
    compare      what differs between two values, as (added, removed, modified), each a tree or None
    fieldset     the paths that whoever applies this value wants to own
    merge        an applied value over a live one
    remove       a value without the paths of a set
    reconcile    a set of paths written under an older schema, under this one

`compare` is only asked about values that differ, except below a `loose` node, where Python's 1 == True must not hide
a difference.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from knarr.meta.managed.fieldset import Tree
from knarr.meta.managed.values import ABSENT, copy, go_plain, go_syntax, go_type

#: (added, removed, modified); None where there is nothing
Diff = tuple[Tree | None, Tree | None, Tree | None]
#: (container, key) of each null that `remove` left where a value was
Nulls = list[tuple[dict[str, Any], str]]


class ItemError(ValueError):
    """A list item without a key: the value cannot be walked."""


class Findings(list[tuple[str, str]]):
    """(path, message) of everything wrong with a value; paths grow on the way back up."""

    def prefix(self, start: int, path: str) -> None:
        """Puts `path` before the paths of all findings from `start` on."""
        for i in range(start, len(self)):
            self[i] = (path + self[i][0], self[i][1])

    def __str__(self) -> str:
        texts = [f"{path}: {message}" if path else message for path, message in self]
        return texts[0] if len(texts) == 1 else "\n  ".join(["errors:", *texts])


class Node:
    """A type. `atomic`: owned as a whole. `loose`: values of unlike JSON types may meet somewhere below."""

    __slots__ = ("atomic", "loose")
    #: Python types of the values that need no look at all: right for this node, and replaced as a whole
    plain: Container[type] = ()

    def __init__(self, atomic: bool) -> None:
        self.atomic = atomic
        self.loose = False

    def children(self) -> list[Node]:
        return []

    def validate(self, value: Any, findings: Findings) -> None:
        raise NotImplementedError

    def added(self, value: Any) -> Tree:
        raise NotImplementedError

    def compare(self, old: Any, new: Any) -> Diff | None:
        raise NotImplementedError

    def fieldset(self, value: Any) -> Tree | None:
        raise NotImplementedError

    def merge(self, old: Any, new: Any) -> Any:
        raise NotImplementedError

    def remove(self, value: Any, paths: Tree, nulls: Nulls) -> Any:
        raise NotImplementedError

    def reconcile(self, tree: Tree) -> Tree:
        raise NotImplementedError


MODIFIED: Diff = (None, None, {})


_PLAIN: dict[str, tuple[type, ...]] = {
    "string": (str, type(None)),
    "numeric": (int, float, type(None)),
    "boolean": (bool, type(None)),
    "": (str, int, float, bool, type(None)),
}


class Leaf(Node):
    """A scalar, or anything that is owned as a whole without a look inside.

    `expected` is 'string', 'numeric', 'boolean' or '' (anything).
    """

    __slots__ = ("expected", "free_form", "plain")

    def __init__(self, expected: str = "", free_form: bool = False) -> None:
        super().__init__(atomic=True)
        self.expected = expected
        self.plain = _PLAIN[expected]
        self.free_form = self.loose = free_form

    def validate(self, value: Any, findings: Findings) -> None:
        if value is None or not self.expected:
            return
        if self.expected == "string":
            if not isinstance(value, str):
                shown = f"&value.valueUnstructured{{Value:{go_syntax(value)}}}"
                findings.append(("", f"expected string, got {shown}"))
        elif self.expected == "numeric":
            if isinstance(value, bool) or not isinstance(value, int | float):
                findings.append(("", f"expected numeric (int or float), got {go_type(value)}"))
        elif not isinstance(value, bool):
            findings.append(("", f"expected boolean, got &{{{go_plain(value)}}}"))

    def added(self, value: Any) -> Tree:
        return {}

    def compare(self, old: Any, new: Any) -> Diff | None:
        return MODIFIED

    def fieldset(self, value: Any) -> Tree | None:
        return {}

    def merge(self, old: Any, new: Any) -> Any:
        return copy(old if new is ABSENT else new)

    def remove(self, value: Any, paths: Tree, nulls: Nulls) -> Any:
        return None if self.free_form and isinstance(value, dict | list) else value

    def reconcile(self, tree: Tree) -> Tree:
        return {} if self.free_form else tree


def mark_loose(root: Node) -> None:
    """Marks every node above a free-form one; the graph may have cycles."""
    parents: dict[int, list[Node]] = {}
    seen: dict[int, Node] = {}
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        for child in node.children():
            parents.setdefault(id(child), []).append(node)
            todo.append(child)
    todo = [node for node in seen.values() if node.loose]
    while todo:
        for parent in parents.get(id(todo.pop()), ()):
            if not parent.loose:
                parent.loose = True
                todo.append(parent)
