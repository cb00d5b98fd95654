"""A store of objects by key with named indices: what informers fill and everybody reads.

Everything happens on the event loop between two awaits, so readers need no lock; they must not change what they
read (objects are shared with all other readers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from knarr.client.objects import Key, controller_of, meta_of

#: the values under which an object is found; quick and pure
IndexFunc = Callable[[Any], Iterable[str]]


class Indexer:
    """Objects by `Key` (any (namespace, name) tuple finds them), by namespace and by named index."""

    def __init__(self, indexers: Mapping[str, IndexFunc] | None = None) -> None:
        self._items: dict[tuple[str, str], Any] = {}
        self._namespaces: dict[str, dict[tuple[str, str], Any]] = {}
        self._functions: dict[str, IndexFunc] = {}
        self._indices: dict[str, dict[str, dict[tuple[str, str], Any]]] = {}
        for name, function in (indexers or {}).items():
            self.add_index(name, function)

    def add_index(self, name: str, function: IndexFunc) -> None:
        """Index present and future objects; the same function twice is fine, another one is a ValueError."""
        if name in self._functions:
            if self._functions[name] is not function:
                raise ValueError(f"index {name!r} exists with another function")
            return
        self._functions[name] = function
        index = self._indices[name] = {}
        for key, obj in self._items.items():
            _enter(index, function(obj), key, obj)

    # -- reading -----------------------------------------------------------------------------------------

    def get(self, key: tuple[str, str]) -> Any | None:
        return self._items.get(key)

    def list(self, namespace: str = "") -> list[Any]:
        """All of a namespace, or of the cluster, in the order of their arrival."""
        if namespace:
            return list(self._namespaces.get(namespace, {}).values())
        return list(self._items.values())

    def keys(self) -> Iterable[tuple[str, str]]:
        return self._items.keys()

    def by_index(self, name: str, value: str) -> list[Any]:
        """The objects that index `name` puts under `value`. Raises KeyError for an unknown index."""
        return list(self._indices[name].get(value, {}).values())

    def index_keys(self, name: str, value: str) -> list[tuple[str, str]]:
        return list(self._indices[name].get(value, {}))

    def index_values(self, name: str) -> list[str]:
        """The values in use."""
        return list(self._indices[name])

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    # -- writing: for the informer -------------------------------------------------------------------------

    def put(self, key: tuple[str, str], obj: Any) -> Any | None:
        """Add or replace; returns what was there."""
        old = self._items.get(key)
        self._items[key] = obj
        if (namespace := self._namespaces.get(key[0])) is None:
            namespace = self._namespaces[key[0]] = {}
        namespace[key] = obj
        for name, function in self._functions.items():
            index = self._indices[name]
            values = function(obj)
            if old is not None:
                values = tuple(values)
                _leave(index, (v for v in function(old) if v not in values), key)
            _enter(index, values, key, obj)
        return old

    def delete(self, key: tuple[str, str]) -> Any | None:
        """Remove; returns what was there."""
        old = self._items.pop(key, None)
        if old is None:
            return None
        namespace = self._namespaces[key[0]]
        del namespace[key]
        if not namespace:
            del self._namespaces[key[0]]
        for name, function in self._functions.items():
            _leave(self._indices[name], function(old), key)
        return old

    def replace(self, objects: Mapping[tuple[str, str], Any]) -> None:
        """Hold exactly these."""
        for key in [key for key in self._items if key not in objects]:
            self.delete(key)
        for key, obj in objects.items():
            self.put(key, obj)


def _enter(
    index: dict[str, dict[tuple[str, str], Any]], values: Iterable[str], key: tuple[str, str], obj: Any
) -> None:
    for value in values:
        if (bucket := index.get(value)) is None:
            bucket = index[value] = {}
        bucket[key] = obj


def _leave(index: dict[str, dict[tuple[str, str], Any]], values: Iterable[str], key: tuple[str, str]) -> None:
    for value in values:
        bucket = index.get(value)
        if bucket is not None and bucket.pop(key, None) is not None and not bucket:
            del index[value]


# -- indices that many controllers share ---------------------------------------------------------------------

#: by the uid of the controlling owner; orphans stand under `orphans(namespace)`
BY_CONTROLLER = "controller"
#: pods by spec.nodeName; "" for those without a node
BY_NODE = "spec.nodeName"
BY_UID = "metadata.uid"


def orphans(namespace: str) -> str:
    """The value of BY_CONTROLLER for objects without a controller."""
    return f"orphans/{namespace}"


def controller_index(obj: Any) -> tuple[str, ...]:
    ref = controller_of(obj)
    if ref is None:
        return (orphans(meta_of(obj, "namespace") or ""),)
    return (ref["uid"] if type(ref) is dict else ref.uid,)


def node_index(pod: Any) -> tuple[str, ...]:
    return (pod.spec.nodeName or "",)


def uid_index(obj: Any) -> tuple[str, ...]:
    return (meta_of(obj, "uid") or "",)


def owned_or_orphaned(indexer: Indexer, owner: Any) -> list[Any]:
    """What `owner` controls, and the orphans of its namespace: the candidates of `claim`.

    `indexer` needs the index BY_CONTROLLER (`controller_index`).
    """
    namespace = meta_of(owner, "namespace") or ""
    return indexer.by_index(BY_CONTROLLER, meta_of(owner, "uid")) + indexer.by_index(
        BY_CONTROLLER, orphans(namespace)
    )


__all__ = [
    "BY_CONTROLLER",
    "BY_NODE",
    "BY_UID",
    "IndexFunc",
    "Indexer",
    "Key",
    "controller_index",
    "node_index",
    "orphans",
    "owned_or_orphaned",
    "uid_index",
]
