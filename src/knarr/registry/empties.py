"""Empty lists and maps of a body: most are stored as nothing, but who sent one means, owns and is told of it."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api import schema
from knarr.registry.storage import Object


def empty_lists(body: bytes, obj: Object) -> list[tuple[str | int, ...]]:
    """Where a body has `[]` for a list that Go writes as null when it is absent. In `obj` they become `[]` again: who
    sent one owns it (managedFields), though it is stored as null."""
    if b"[]" not in body:
        return []
    found: list[tuple[str | int, ...]] = []
    _restore_empty(orjson.loads(body), obj, (), found)
    return found


def _restore_empty(
    raw: Any, obj: Any, path: tuple[str | int, ...], found: list[tuple[str | int, ...]]
) -> None:
    if isinstance(raw, dict) and isinstance(obj, dict):
        for key, value in raw.items():
            if value == [] and key in obj and obj[key] is None:
                obj[key] = []
                found.append((*path, key))
            elif value and key in obj:
                _restore_empty(value, obj[key], (*path, key), found)
    elif isinstance(raw, list) and isinstance(obj, list) and len(raw) == len(obj):
        for index, value in enumerate(raw):
            _restore_empty(value, obj[index], (*path, index), found)


def put_empty(paths: tuple[tuple[str, ...], ...], raw: Any, obj: Any) -> None:
    """Give the object the empty lists of a body at `paths` again: defaults fill in a list that is absent, not one that
    was sent empty."""
    for *parents, last in paths:
        sent, kept = raw, obj
        for part in parents:
            sent = sent.get(part) if isinstance(sent, dict) else None
            kept = kept.get(part) if isinstance(kept, dict) else None
        if isinstance(sent, dict) and isinstance(kept, dict) and sent.get(last) == []:
            kept[last] = []


def as_sent(definition: str, body: bytes, obj: Object) -> Object | None:
    """A copy of the object with the empty lists and maps that the body has and that are not stored: validation tells
    `{}` from nothing in a few messages. None where there are none."""
    if not body or (b"[]" not in body and b"{}" not in body):
        return None
    copy = orjson.loads(orjson.dumps(obj))
    return copy if _put_back(schema.load()[definition], orjson.loads(body), copy) else None


def _put_back(definition: schema.Definition, raw: Any, obj: Any) -> bool:
    if not isinstance(raw, dict) or not isinstance(obj, dict):
        return False
    found = False
    for field in definition.fields.values():
        value, type_ = raw.get(field.name), field.type
        if type_.kind in ("list", "map") and value in ([], {}) and not obj.get(field.name):
            obj[field.name] = value
            found = True
        elif not value or field.name not in obj:
            continue
        elif type_.kind == "object" and type_.name in schema.load():
            found |= _put_back(schema.load()[type_.name], value, obj[field.name])
        elif type_.kind == "list" and type_.item is not None and type_.item.kind == "object":
            inner = schema.load().get(type_.item.name)
            if inner is not None and len(value) == len(obj[field.name] or ()):
                for sent, kept in zip(value, obj[field.name], strict=True):
                    found |= _put_back(inner, sent, kept)
    return found


def nullify(obj: Object, paths: list[tuple[str | int, ...]]) -> None:
    """The reverse of `empty_lists`, once field management has seen the object."""
    for *parents, last in paths:
        here: Any = obj
        for part in parents:
            here = here[part]
        if here.get(last) == []:
            here[last] = None
