"""What differs between two whole objects, as far as anyone may own it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from knarr.meta.managed import fieldset
from knarr.meta.managed.fieldset import Tree
from knarr.meta.managed.schema import TypeSchema

#: metadata that nobody owns: identity, and what only the server writes
UNOWNED_METADATA = frozenset(
    (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    )
)
#: the same as a set of paths, to be taken out of what an applied configuration wants to own
UNOWNED = fieldset.field_paths(
    [("apiVersion",), ("kind",), ("metadata",), *(("metadata", name) for name in sorted(UNOWNED_METADATA))]
)


class Difference:
    """Sets of paths. `written` is what the new object says differently, `changed` also what it no longer says."""

    __slots__ = ("added", "changed", "modified", "removed", "written")

    def __init__(self, added: Tree, removed: Tree, modified: Tree) -> None:
        self.added = added
        self.removed = removed
        self.modified = modified
        self.written = fieldset.union(modified, added)
        self.changed = fieldset.union(self.written, removed)


NOTHING = Difference({}, {}, {})


class Scope:
    """Which fields one endpoint writes: all, but for those it resets, or only some.

    `resets` are paths that the endpoint does not write; `only` are patterns (`*` stands for any element) of all it
    may write, none meaning no such limit.
    """

    def __init__(self, resets: Iterable[Iterable[str]], only: Iterable[Iterable[str]]) -> None:
        reset = [tuple(path) for path in resets]
        # whole fields of the object are not even looked at
        self.skip = frozenset(
            ("apiVersion", "kind", "metadata", *(path[0] for path in reset if len(path) == 1))
        )
        self.skips_metadata = ("metadata",) in reset
        self.resets = fieldset.field_paths(reset)
        self.deep = fieldset.field_paths(path for path in reset if len(path) > 1)
        self.only = fieldset.from_paths(
            [element if element == "*" else f"f:{element}" for element in path] for path in only
        )

    def narrow(self, tree: Tree) -> Tree:
        """The part of a set that this endpoint writes."""
        if tree and self.resets:
            tree = fieldset.without(tree, self.resets)
        return fieldset.only(tree, self.only) if self.only else tree

    def compare(self, schema: TypeSchema, old: dict[str, Any], new: dict[str, Any]) -> Difference:
        """Raises ItemError for a list item without its key."""
        found = schema.root.compare_fields(old, new, self.skip)
        about = None
        if not self.skips_metadata:
            about = schema.metadata.compare_fields(
                old.get("metadata") or {}, new.get("metadata") or {}, UNOWNED_METADATA
            )
        if found is None and about is None:
            return NOTHING
        trees = []
        for part, meta_part in zip(found or (None,) * 3, about or (None,) * 3, strict=True):
            tree = dict(part) if part else {}
            if meta_part:
                tree["f:metadata"] = meta_part
            if tree and self.deep:
                tree = fieldset.without(tree, self.deep)
            trees.append(fieldset.only(tree, self.only) if tree and self.only else tree)
        return Difference(*trees)
