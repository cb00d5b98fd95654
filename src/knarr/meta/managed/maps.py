"""Structs and maps: fields by name, and an element type for other keys."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from knarr.meta.managed.fieldset import Tree, is_member, with_self
from knarr.meta.managed.node import MODIFIED, Diff, Findings, Leaf, Node, Nulls
from knarr.meta.managed.values import ABSENT, copy, go_plain, same

#: what keys have that the schema does not know, which only happens to values nobody validated
UNKNOWN = Leaf()


class MapNode(Node):
    """`fields`: name -> (path element, type). `element`: the type of other keys, None when there must be none."""

    __slots__ = ("element", "fields")

    def __init__(self, atomic: bool = False) -> None:
        super().__init__(atomic)
        self.fields: dict[str, tuple[str, Node]] = {}
        self.element: Node | None = None

    def add_field(self, name: str, node: Node) -> None:
        self.fields[name] = (f"f:{name}", node)

    def children(self) -> list[Node]:
        nodes = [node for _, node in self.fields.values()]
        return [*nodes, self.element] if self.element else nodes

    def at(self, key: str) -> tuple[str, Node]:
        return self.fields.get(key) or (f"f:{key}", self.element or UNKNOWN)

    def validate(self, value: Any, findings: Findings) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            findings.append(("", f"expected map, got &{{{go_plain(value)}}}"))
            return
        for key, item in value.items():
            field = self.fields.get(key)
            node = field[1] if field else self.element
            if node is None:
                findings.append((f".{key}", "field not declared in schema"))
                return
            if node.__class__ is Leaf and item.__class__ in node.plain:
                continue
            before = len(findings)
            node.validate(item, findings)
            if len(findings) > before:
                findings.prefix(before, f".{key}")

    def added(self, value: Any) -> Tree:
        if self.atomic or not value or value.__class__ is not dict:
            return {}
        out: Tree = {".": {}}
        fields, element = self.fields, self.element or UNKNOWN
        for key, item in value.items():
            field = fields.get(key)
            if field is None:
                out[f"f:{key}"] = element.added(item)
            else:
                out[field[0]] = field[1].added(item)
        return out

    def compare(self, old: Any, new: Any) -> Diff | None:
        if self.atomic or not (old or new):
            return MODIFIED
        return self.compare_fields(old if isinstance(old, dict) else {}, new if isinstance(new, dict) else {})

    def compare_fields(
        self, old: dict[str, Any], new: dict[str, Any], skip: Container[str] = ()
    ) -> Diff | None:
        """The difference of two maps, but for the fields in `skip`."""
        added: Tree = {}
        removed: Tree = {}
        modified: Tree = {}
        fields = self.fields
        for key, now in new.items():
            before = old.get(key, ABSENT)
            if before is now or key in skip:
                continue
            element, node = fields.get(key) or self.at(key)
            if before is ABSENT:
                added[element] = node.added(now)
                continue
            if before == now and not (node.loose and not same(before, now)):
                continue
            diff = node.compare(before, now)
            if diff is None:
                continue
            if diff[0] is not None:
                added[element] = diff[0]
            if diff[1] is not None:
                removed[element] = diff[1]
            if diff[2] is not None:
                modified[element] = diff[2]
        for key in old:
            if key not in new and key not in skip:
                element, node = self.at(key)
                removed[element] = node.added(old[key])
        if added or removed or modified:
            return added or None, removed or None, modified or None
        return None

    def fieldset(self, value: Any) -> Tree | None:
        if self.atomic:
            return {}
        if not value or not isinstance(value, dict):
            return None
        out: Tree = {}
        for key, item in value.items():
            element, node = self.fields.get(key) or self.at(key)
            if node.__class__ is Leaf:
                out[element] = {}
                continue
            paths = node.fieldset(item)
            if item is None or item == {} or key not in self.fields:
                out[element] = with_self(paths)
            elif paths is not None:
                out[element] = paths
        return out or None

    def merge(self, old: Any, new: Any) -> Any:
        if new is ABSENT:
            return copy(old)
        if old is ABSENT or self.atomic or not (old or new):
            return copy(new)
        old = old if isinstance(old, dict) else {}
        new = new if isinstance(new, dict) else {}
        out = {}
        for key, before in old.items():
            now = new.get(key, ABSENT)
            if now is ABSENT:
                out[key] = copy(before)
                continue
            node = (self.fields.get(key) or self.at(key))[1]
            out[key] = now if now.__class__ in node.plain else node.merge(before, now)
        for key, now in new.items():
            if key not in old:
                out[key] = copy(now)
        return out

    def remove(self, value: Any, paths: Tree, nulls: Nulls) -> Any:
        if self.atomic or not isinstance(value, dict):
            return None
        out = {}
        for key, item in value.items():
            element, node = self.fields.get(key) or self.at(key)
            below = paths.get(element)
            if below is None:
                out[key] = item
            elif not is_member(below):
                out[key] = node.remove(item, below, nulls)
                if out[key] is None and item is not None:
                    nulls.append((out, key))
        return out or None

    def reconcile(self, tree: Tree) -> Tree:
        if self.atomic and tree:
            return {}
        out: Tree | None = None
        for element, paths in tree.items():
            node = self._node_at(element)
            if node is None:
                continue
            now = node.reconcile(paths)
            if now is not paths:
                out = dict(tree) if out is None else out
                out[element] = now
        return tree if out is None else out

    def _node_at(self, element: str) -> Node | None:
        if element == ".":
            return None
        field = self.fields.get(element[2:]) if element[0] == "f" else None
        return field[1] if field else self.element


class Deduced(MapNode):
    """Free-form data whose shape decides: maps are owned key by key, all else as a whole."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.element = self
        self.loose = True

    def validate(self, value: Any, findings: Findings) -> None:
        return

    def compare(self, old: Any, new: Any) -> Diff | None:
        if same(old, new):
            return None
        before = old if isinstance(old, dict) else {}
        now = new if isinstance(new, dict) else {}
        if not (before or now):
            return MODIFIED
        diff = self.compare_fields(before, now)
        # null takes either shape; any other change of shape is one of the field itself, too
        changed_shape = old is not None and new is not None and isinstance(old, dict) != isinstance(new, dict)
        if not changed_shape:
            return diff
        added, removed, _ = diff or (None, None, None)
        return added, removed, {}

    def fieldset(self, value: Any) -> Tree | None:
        return super().fieldset(value) if isinstance(value, dict) or value is None else {}

    def merge(self, old: Any, new: Any) -> Any:
        if isinstance(new, dict) or (new is None and isinstance(old, dict)):
            return super().merge(old, new)
        return copy(old if new is ABSENT else new)

    def remove(self, value: Any, paths: Tree, nulls: Nulls) -> Any:
        if isinstance(value, list):
            return None
        return super().remove(value, paths, nulls) if isinstance(value, dict) else value

    def reconcile(self, tree: Tree) -> Tree:
        return tree
