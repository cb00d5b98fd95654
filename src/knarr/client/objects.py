"""What every object has, be it a Struct or a plain dict: its key, its owner, its kind."""

from __future__ import annotations

from typing import Any, NamedTuple


class Key(NamedTuple):
    """An object's place within its resource; `namespace` is "" for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def parse_key(text: str) -> Key:
    """From "namespace/name" or "name"."""
    namespace, _, name = text.rpartition("/")
    return Key(namespace, name)


def key_of(obj: Any) -> Key:
    if type(obj) is dict:
        meta = obj["metadata"]
        return Key(meta.get("namespace") or "", meta["name"])
    meta = obj.metadata
    return Key(meta.namespace or "", meta.name or "")


def meta_of(obj: Any, field: str) -> Any:
    """A field of metadata by its wire name; None where it is missing."""
    if type(obj) is dict:
        return obj.get("metadata", {}).get(field)
    return getattr(obj.metadata, field)


def gvk_of(obj: Any) -> tuple[str, str]:
    """(apiVersion, kind)."""
    if type(obj) is dict:
        return obj.get("apiVersion", ""), obj.get("kind", "")
    return obj.apiVersion, obj.kind


def controller_of(obj: Any) -> Any:
    """The owner reference with controller: true, or None. A dict's references are dicts."""
    for ref in meta_of(obj, "ownerReferences") or ():
        if ref.get("controller") if type(ref) is dict else ref.controller:
            return ref
    return None


def controlled_by(obj: Any, owner: Any) -> bool:
    """True where the controller reference holds the owner's uid."""
    ref = controller_of(obj)
    return ref is not None and (ref["uid"] if type(ref) is dict else ref.uid) == meta_of(owner, "uid")


def controller_ref(owner: Any) -> dict[str, Any]:
    """The owner reference by which `owner` manages what it creates, in wire form."""
    api_version, kind = gvk_of(owner)
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": meta_of(owner, "name"),
        "uid": meta_of(owner, "uid"),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def object_reference(obj: Any) -> dict[str, Any]:
    """A core/v1 ObjectReference in wire form; empty parts are left out."""
    api_version, kind = gvk_of(obj)
    parts = {
        "apiVersion": api_version,
        "kind": kind,
        "namespace": meta_of(obj, "namespace"),
        "name": meta_of(obj, "name"),
        "uid": meta_of(obj, "uid"),
        "resourceVersion": meta_of(obj, "resourceVersion"),
    }
    return {key: value for key, value in parts.items() if value}
