"""Lists whose items are owned one by one (sets, and maps by keys), and lists owned as a whole."""

from __future__ import annotations

from typing import Any

from knarr.meta.managed.elements import describe_element, json_text, key_element, value_element
from knarr.meta.managed.fieldset import Tree, is_member, with_self
from knarr.meta.managed.node import MODIFIED, Diff, Findings, ItemError, Node, Nulls
from knarr.meta.managed.values import ABSENT, copy, go_plain, same


class ListNode(Node):
    """`keys` name what identifies an item, sorted; without keys the items are scalars that identify themselves.

    `defaults` holds what a key is taken to be when the item leaves it out.
    """

    __slots__ = ("_only", "defaults", "item", "keys")

    def __init__(self, atomic: bool, keys: list[str]) -> None:
        super().__init__(atomic)
        self.keys = sorted(keys)
        self._only = self.keys[0] if len(self.keys) == 1 else ""
        self.defaults: dict[str, Any] = {}
        self.item: Node = None  # type: ignore[assignment]  # set when the item's type is compiled

    def children(self) -> list[Node]:
        return [self.item]

    # -- items ------------------------------------------------------------------------------------------------

    def element_of(self, item: Any) -> str:
        """The path element of an item; ItemError when it has none."""
        if not self.keys:
            return _set_element(item)
        if item.__class__ is dict:
            if self._only and (value := item.get(self._only, ABSENT)) is not ABSENT:
                return f'k:{{"{self._only}":{json_text(value)}}}'
            return key_element([(key, self._key(item, key)) for key in self.keys])
        if item is None:
            raise ItemError("associative list with keys may not have a null element")
        raise ItemError("associative list with keys may not have non-map elements")

    def _key(self, item: dict[str, Any], key: str) -> Any:
        value = item.get(key, ABSENT)
        if value is ABSENT:
            value = self.defaults.get(key)
            if value is None:
                raise ItemError(
                    f'associative list with keys has an element that omits key field "{key}" '
                    "(and doesn't have default value)"
                )
        return value

    def elements(self, items: Any) -> list[str]:
        return [self.element_of(item) for item in items] if isinstance(items, list) else []

    # -- walks ------------------------------------------------------------------------------------------------

    def validate(self, value: Any, findings: Findings) -> None:
        if value is None:
            return
        if not isinstance(value, list):
            findings.append(("", f"expected list, got &{{{go_plain(value)}}}"))
            return
        seen = set()
        for i, item in enumerate(value):
            element = f"i:{i}"
            if not self.atomic:
                try:
                    element = self.element_of(item)
                except ItemError as e:
                    findings.append(("", f"element {i}: {e}"))
                    return
                if element in seen:
                    findings.append(("", f"duplicate entries for key {describe_element(element)}"))
                seen.add(element)
            before = len(findings)
            self.item.validate(item, findings)
            if len(findings) > before:
                findings.prefix(before, describe_element(element))

    def added(self, value: Any) -> Tree:
        if self.atomic or not value:
            return {}
        out: Tree = {".": {}}
        added = self.item.added
        elements = self.elements(value)
        for element, item in zip(elements, value, strict=False):
            # an item that is there twice is only known by its key
            out[element] = {} if element in out else added(item)
        return out

    def compare(self, old: Any, new: Any) -> Diff | None:
        if self.atomic or not (old or new):
            return MODIFIED
        before, now = self._grouped(old), self._grouped(new)
        diff: tuple[Tree, Tree, Tree] = {}, {}, {}
        for element in before | now:
            self._compare_items(element, before.get(element, ()), now.get(element, ()), diff)
        if any(diff):
            return diff[0] or None, diff[1] or None, diff[2] or None
        return None

    def _grouped(self, items: Any) -> dict[str, list[Any]]:
        groups: dict[str, list[Any]] = {}
        for element, item in zip(self.elements(items), items or (), strict=False):
            groups.setdefault(element, []).append(item)
        return groups

    def _compare_items(self, element: str, old: Any, new: Any, diff: tuple[Tree, Tree, Tree]) -> None:
        """Items that are there twice are compared as a whole, and known by their key alone."""
        added, removed, modified = diff
        if len(old) > 1 and len(new) > 1:
            if not same(old, new):
                modified[element] = {}
        elif len(old) > 1:
            removed[element] = {}
            if new:
                added[element] = self.item.added(new[0])
        elif len(new) > 1:
            added[element] = {}
            if old:
                removed[element] = self.item.added(old[0])
        elif not old:
            added[element] = self.item.added(new[0])
        elif not new:
            removed[element] = self.item.added(old[0])
        elif not same(old[0], new[0]) if self.item.loose else old[0] != new[0]:
            for tree, part in zip(diff, self.item.compare(old[0], new[0]) or (), strict=False):
                if part is not None:
                    tree[element] = part

    def fieldset(self, value: Any) -> Tree | None:
        if self.atomic:
            return {}
        if not value:
            return None
        out: Tree = {}
        for element, items in self._grouped(value).items():
            out[element] = {} if len(items) > 1 else with_self(self.item.fieldset(items[0]))
        return out

    def merge(self, old: Any, new: Any) -> Any:
        if new is ABSENT:
            return copy(old)
        if old is ABSENT or self.atomic or not (old or new):
            return copy(new)
        return self._merge_items(old or [], new or [])

    def _merge_items(self, old: list[Any], new: list[Any]) -> list[Any]:
        """The live items and the applied ones, in an order that keeps both orders where they do not contradict.

        Applied items keep their order among each other; live ones that nobody applies stay where they stood.
        Items that are there twice are replaced by the applied one, not merged with it.
        """
        left, right = self.elements(old), self.elements(new)
        lefts: dict[str, Any] = {}
        for element, item in zip(left, old, strict=True):
            lefts[element] = None if element in lefts else item
        rights = dict(zip(right, new, strict=True))
        shared = [element for element in right if element in lefts]
        out: list[Any] = []
        merged: set[str] = set()
        i = j = next_shared = 0

        def take(element: str) -> None:
            merged.add(element)
            before = lefts.get(element, ABSENT)
            out.append(self.item.merge(before, rights[element]))

        while i < len(left) or j < len(right):
            if i < len(left) and j < len(right):
                if left[i] == right[j]:
                    take(left[i])
                    i, j, next_shared = i + 1, j + 1, next_shared + 1
                    continue
                if left[i] in rights and next_shared < len(shared) and shared[next_shared] != left[i]:
                    i += 1  # its turn comes where the applied order has it
                    continue
            if i < len(left):
                if left[i] not in rights:
                    out.append(copy(old[i]))
                    i += 1
                    continue
                if left[i] in merged:
                    i += 1
            if j < len(right):
                take(right[j])
                if next_shared < len(shared) and shared[next_shared] == right[j]:
                    next_shared += 1
                j += 1
        return out

    def remove(self, value: Any, paths: Tree, nulls: Nulls) -> Any:
        if self.atomic or not isinstance(value, list):
            return None
        out = []
        for element, item in zip(self.elements(value), value, strict=True):
            below = paths.get(element)
            if below is None:
                out.append(item)
            elif not is_member(below):
                out.append(self.item.remove(item, below, nulls))
        return out or None

    def reconcile(self, tree: Tree) -> Tree:
        if self.atomic:
            return {} if tree else tree
        out: Tree | None = None
        for element, paths in tree.items():
            if element == ".":
                continue
            now = self.item.reconcile(paths)
            if now is not paths:
                out = dict(tree) if out is None else out
                out[element] = now
        return tree if out is None else out


def _set_element(item: Any) -> str:
    if isinstance(item, dict):
        raise ItemError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise ItemError("not supported: associative list with lists as elements")
    if item is None:
        raise ItemError("associative list without keys has an element that's an explicit null")
    return value_element(item)
