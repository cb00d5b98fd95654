"""JSON patch (RFC 6902) as the API server applies it.

Its library (evanphx/json-patch v4) differs from the RFC: `replace` also adds to a map, `test` takes an absent field
for null, negative indices count from the end, and a path need not begin with a slash if it has only one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from knarr.meta import errors
from knarr.meta.gofmt import json_kind

OPERATIONS_MAX = 10_000
#: what all `copy` operations of a patch may copy together, as JSON
COPIED_BYTES_MAX = 3 * 1024 * 1024

Container = dict[str, Any] | list[Any]
Operation = dict[str, Any]
_INDEX = re.compile("[+-]?[0-9]{1,18}").fullmatch
_TEXT_FIELDS = ("op", "from", "path")
_KNOWN_FIELDS = frozenset({*_TEXT_FIELDS, "value"})
#: one message for everything that does not fit the document; the server keeps the reason to itself
REFUSED = "the server rejected our request due to an error in our request"


class _Refused(Exception):
    """The patch does not fit the document."""


def apply(doc: Any, patch: Any) -> Any:
    """The patched document; maps on the patch's way have their keys sorted, as in the server's messages.

    StatusError: 400 for what is no patch, 413 for too many operations, 422 for one that does not fit.
    """
    operations = check(patch)
    document = _Document(doc)
    try:
        for operation in operations:
            kind = operation.get("op")
            run = _OPERATIONS.get(kind) if isinstance(kind, str) else None
            if run is None:
                raise _Refused(f"Unexpected kind: {kind}")
            run(document, operation)
    except _Refused as reason:
        raise errors.StatusError(errors.failure(422, "Invalid", REFUSED, {})) from reason
    return document.finished()


def check(patch: Any) -> list[Operation]:
    """The operations of a decoded body."""
    if patch is None:
        return []
    if not isinstance(patch, list):
        raise _bad(f"json: cannot unmarshal {json_kind(patch)} into Go value of type []handlers.jsonPatchOp")
    for operation in patch:
        if operation is None:
            continue
        if not isinstance(operation, dict):
            raise _bad(
                f"json: cannot unmarshal {json_kind(operation)} into Go value of type handlers.jsonPatchOp"
            )
        for field in _TEXT_FIELDS:
            value = operation.get(field)
            if value is not None and not isinstance(value, str):
                where = f"Go struct field jsonPatchOp.{field} of type string"
                raise _bad(f"json: cannot unmarshal {json_kind(value)} into {where}")
    if len(patch) > OPERATIONS_MAX:
        raise errors.too_large(
            "Request entity is too large: "
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(patch)}"
        )
    return [operation or {} for operation in patch]


def unknown_fields(patch: list[Operation]) -> list[str]:
    """What strict field validation says of fields that no operation has."""
    return [
        f'json patch unknown field "[{index}].{field}"'
        for index, operation in enumerate(patch)
        for field in operation or ()
        if field not in _KNOWN_FIELDS
    ]


def _bad(why: str) -> errors.StatusError:
    return errors.bad_request(f"error decoding patch: {why}")


class _Document:
    """A document whose containers are copied when an operation first passes through them."""

    def __init__(self, doc: Any) -> None:
        self.holder = {"": doc}
        self.copied_bytes = 0
        #: kept so that no id is used twice
        self._owned: dict[int, Container] = {}

    @property
    def root(self) -> Any:
        return self.own(self.holder, "")

    @root.setter
    def root(self, value: Any) -> None:
        self.holder[""] = value

    def own(self, parent: Any, key: Any) -> Any:
        """The child, made ours."""
        child = parent[key]
        if isinstance(child, dict | list) and id(child) not in self._owned:
            child = parent[key] = child.copy()
            self._owned[id(child)] = child
        return child

    def find(self, path: str) -> tuple[Container, str]:
        """The container that the path's last part is in, and that part."""
        _, slash, rest = path.partition("/")
        if not slash:
            raise _Refused(f"missing path: {path}")
        *parts, key = rest.split("/")
        here = self.root
        for part in parts:
            part = _unescape(part)
            if _get(here, part) is None:
                raise _Refused(f"missing path: {path}")
            here = self.own(here, part if isinstance(here, dict) else _index(here, part))
        if not isinstance(here, dict | list):
            raise _Refused(f"missing path: {path}")
        return here, _unescape(key)

    def finished(self) -> Any:
        for container in self._owned.values():
            if isinstance(container, dict):
                items = sorted(container.items())
                container.clear()
                container.update(items)
        return self.holder[""]


def _unescape(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _index(items: list[Any], key: str) -> int:
    """Where an existing element is."""
    if not _INDEX(key):
        raise _Refused(f"bad index: {key}")
    index = int(key)
    if not -len(items) <= index < len(items):
        raise _Refused(f"index out of bounds: {key}")
    return index % len(items)


def _get(container: Any, key: str) -> Any:
    """None also for a key that a map lacks."""
    if isinstance(container, dict):
        return container.get(key)
    if isinstance(container, list):
        return container[_index(container, key)]
    raise _Refused(f"not a container at: {key}")


def _remove(container: Container, key: str) -> None:
    if isinstance(container, list):
        del container[_index(container, key)]
    elif key in container:
        del container[key]
    else:
        raise _Refused(f"nonexistent key: {key}")


def _insert(container: Container, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
        return
    if key == "-":
        container.append(value)
        return
    if not _INDEX(key):
        raise _Refused(f"bad index: {key}")
    index, size = int(key), len(container) + 1
    if not -size <= index < size:
        raise _Refused(f"index out of bounds: {key}")
    container.insert(index % size, value)


def _path(operation: Operation, field: str = "path") -> str:
    path = operation.get(field)
    if path is None:
        raise _Refused(f"operation missing {field} field")
    return path


def _run_add(document: _Document, operation: Operation) -> None:
    container, key = document.find(_path(operation))
    _insert(container, key, operation.get("value"))


def _run_remove(document: _Document, operation: Operation) -> None:
    container, key = document.find(_path(operation))
    _remove(container, key)


def _run_replace(document: _Document, operation: Operation) -> None:
    path, value = _path(operation), operation.get("value")
    if not path:
        # A scalar in the document's place is passed over in silence.
        if isinstance(value, dict | list):
            document.root = value
        return
    container, key = document.find(path)
    if isinstance(container, list):
        container[_index(container, key)] = value
    else:
        container[key] = value


def _run_move(document: _Document, operation: Operation) -> None:
    container, key = document.find(_path(operation, "from"))
    value = _get(container, key)
    _remove(container, key)
    container, key = document.find(_path(operation))
    _insert(container, key, value)


def _run_copy(document: _Document, operation: Operation) -> None:
    container, key = document.find(_path(operation, "from"))
    text = orjson.dumps(_get(container, key))
    document.copied_bytes += len(text)
    if document.copied_bytes > COPIED_BYTES_MAX:
        raise _Refused(f"copied {document.copied_bytes} bytes, more than {COPIED_BYTES_MAX}")
    container, key = document.find(_path(operation))
    _insert(container, key, orjson.loads(text))


def _run_test(document: _Document, operation: Operation) -> None:
    path, wanted = _path(operation), operation.get("value")
    if path:
        container, key = document.find(path)
        found = _get(container, key)
    else:
        found = document.root
    if not same(found, wanted):
        raise _Refused(f"testing value {path} failed")


_OPERATIONS: dict[str, Callable[[_Document, Operation], None]] = {
    "add": _run_add,
    "remove": _run_remove,
    "replace": _run_replace,
    "move": _run_move,
    "copy": _run_copy,
    "test": _run_test,
}


def same(a: Any, b: Any) -> bool:
    """Equality of JSON: true is not 1, and 1 is not 1.0."""
    if type(a) is not type(b):
        return isinstance(a, str) and isinstance(b, str) and a == b
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
