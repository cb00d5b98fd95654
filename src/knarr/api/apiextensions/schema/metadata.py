"""The metadata of custom resources, and of resources embedded in them, passes through ObjectMeta's type."""

from __future__ import annotations

from typing import Any

from knarr.api import schema
from knarr.api.apiextensions.schema.node import Node
from knarr.api.decoding import DecodeError, Walker
from knarr.meta import fielderrors
from knarr.meta.fielderrors import FieldError

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
TEXTS = frozenset({"name", "namespace", "generateName", "resourceVersion", "uid", "selfLink"})


class Malformed(ValueError):
    """Metadata of an embedded resource that has the wrong shape."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(str(error))
        self.error = error


def coerce(obj: dict[str, Any], node: Node | None, lenient: bool = False) -> list[str]:
    """Normalise metadata everywhere in place; the paths of its unknown fields.

    Raises ValueError for values of a wrong type, unless `lenient` (stored objects), which drops them.
    """
    unknown: list[str] = []
    _metadata(obj, "metadata", unknown, lenient)
    if node is not None:
        _below(obj, node, "", unknown, lenient)
    return unknown


def coerce_embedded(value: Any, node: Node, path: str) -> None:
    """Normalise the metadata of `value`, where `node` is embedded, and of all below. Raises Malformed."""
    _walk(value, node, path, [], False)


def _walk(value: Any, node: Node, path: str, unknown: list[str], lenient: bool) -> None:
    if node.embedded and value.__class__ is dict:
        _embedded(value, path, unknown, lenient)
    _below(value, node, path, unknown, lenient)


def _below(value: Any, node: Node, path: str, unknown: list[str], lenient: bool) -> None:
    if value.__class__ is dict:
        for key, item in value.items():
            below = node.child(key)
            if below is not None and item.__class__ in (dict, list):
                _walk(item, below, f"{path}.{key}" if path else key, unknown, lenient)
    elif value.__class__ is list and node.items is not None:
        for index, item in enumerate(value):
            _walk(item, node.items, f"{path}[{index}]", unknown, lenient)


def _embedded(value: dict[str, Any], path: str, unknown: list[str], lenient: bool) -> None:
    prefix = f"{path}." if path else ""
    for field in ("apiVersion", "kind"):
        if field in value and not isinstance(value[field], str):
            if not lenient:
                raise Malformed(fielderrors.invalid(prefix + field, value[field], "must be a string"))
            del value[field]
    try:
        _metadata(value, f"{prefix}metadata", unknown, lenient)
    except ValueError as error:
        raise Malformed(fielderrors.invalid(f"{prefix}metadata", value["metadata"], str(error))) from None


def _metadata(value: dict[str, Any], path: str, unknown: list[str], lenient: bool) -> None:
    metadata = value.get("metadata")
    if metadata is None:
        value.pop("metadata", None)
        return
    if _is_plain(metadata):
        return
    walker = Walker()
    try:
        # Decoded apart from the object, so that errors name fields as if ObjectMeta were all there is.
        value["metadata"] = walker.decode(schema.load()[OBJECT_META], metadata)
    except DecodeError as error:
        if not lenient:
            raise ValueError(str(error)) from None
        value["metadata"] = _without_wrong(metadata)
    prefix = "unknown field "
    unknown += [
        f"{path}.{text.removeprefix(prefix)[1:-1]}" for text in walker.errors if text.startswith(prefix)
    ]


def _without_wrong(metadata: Any) -> dict[str, Any]:
    """The fields of stored metadata that decode."""
    kept: dict[str, Any] = {}
    for key, item in metadata.items() if isinstance(metadata, dict) else ():
        try:
            kept.update(Walker(strict=False).decode(schema.load()[OBJECT_META], {key: item}))
        except DecodeError:
            continue
    return kept


def _is_plain(metadata: Any) -> bool:
    """Whether nothing has to be done: names, and labels and annotations of texts."""
    if metadata.__class__ is not dict:
        return False
    for key, item in metadata.items():
        if key in TEXTS:
            if item.__class__ is not str or not item:
                return False
        elif key in ("labels", "annotations"):
            if item.__class__ is not dict or not item:
                return False
            if not all(text.__class__ is str for text in item.values()):
                return False
        else:
            return False
    return True
