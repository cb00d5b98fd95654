"""JSON patch (RFC 6902) as the API server applies it.

Its library (evanphx/json-patch v4) differs from the RFC: `replace` also adds to a map, `test` takes an absent field
for null, negative indices count from the end, and a path need not begin with a slash if it has only one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

from knarr.meta import errors
from knarr.meta.gofmt import json_kind
from knarr.meta.strconv import atoi

OPERATIONS_MAX = 10_000
#: what all `copy` operations of a patch may copy together, as JSON
COPIED_BYTES_MAX = 3 * 1024 * 1024

Container = dict[str, Any] | list[Any]
Operation = dict[str, Any]
_TEXT_FIELDS = ("op", "from", "path")
_KNOWN_FIELDS = frozenset({*_TEXT_FIELDS, "value"})
#: one message for everything that does not fit the document; the server keeps the reason to itself
REFUSED = "the server rejected our request due to an error in our request"


class _Words(NamedTuple):
    """Who reads a patch names its types."""

    prefix: str
    patch: str
    operation: str


_STRICT = _Words("error decoding patch: ", "[]handlers.jsonPatchOp", "handlers.jsonPatchOp")
_LIBRARY = _Words("", "jsonpatch.Patch", "jsonpatch.Operation")


class Refused(Exception):
    """The patch does not fit the document; the text is the library's."""


class TestFailed(Refused):
    """A `test` operation found something else."""


MISSING, INVALID_INDEX = "missing value", "invalid index referenced"


def apply(doc: Any, patch: Any, validated: bool = True) -> Any:
    """The patched document; maps on the patch's way have their keys sorted, as in the server's messages.

    `validated`: fields are validated, so that operations are read as such before the library does it.
    StatusError: 400 for what is no patch, 413 for too many operations, 422 for one that does not fit.
    """
    operations = check(patch, validated)
    try:
        return patched(doc, operations)
    except Refused as reason:
        raise errors.StatusError(errors.failure(422, "Invalid", REFUSED, {})) from reason


def patched(doc: Any, operations: list[Operation]) -> Any:
    """As `apply`, of checked operations. Raises Refused."""
    document = _Document(doc)
    for operation in operations:
        kind = operation.get("op", "unknown")
        run = _OPERATIONS.get(kind) if isinstance(kind, str) else None
        if run is None:
            raise Refused(f"Unexpected kind: {kind}")
        run(document, operation)
    return document.finished()


def check(patch: Any, validated: bool = True) -> list[Operation]:
    """The operations of a decoded body."""
    if patch is None:
        return []
    of = _STRICT if validated else _LIBRARY
    if not isinstance(patch, list):
        raise _bad(of, patch, f"Go value of type {of.patch}")
    for operation in patch:
        if operation is None:
            continue
        if not isinstance(operation, dict):
            raise _bad(of, operation, f"Go value of type {of.operation}")
        for field in _TEXT_FIELDS if validated else ():
            value = operation.get(field)
            if value is not None and not isinstance(value, str):
                raise _bad(of, value, f"Go struct field jsonPatchOp.{field} of type string")
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
        for field in (operation if isinstance(operation, dict) else ())
        if field not in _KNOWN_FIELDS
    ]


def _bad(of: _Words, value: Any, into: str) -> errors.StatusError:
    return errors.bad_request(f"{of.prefix}json: cannot unmarshal {json_kind(value)} into {into}")


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

    def find(self, path: str) -> tuple[Container, str] | None:
        """The container that the path's last part is in, and that part; None where there is no such place."""
        _, slash, rest = path.partition("/")
        if not slash:
            return None
        *parts, key = rest.split("/")
        here = self.root
        for part in parts:
            part = _unescape(part)
            try:
                if _get(here, part) is None:
                    return None
            except Refused:
                return None
            here = self.own(here, part if isinstance(here, dict) else _index(here, part))
        return (here, _unescape(key)) if isinstance(here, dict | list) else None

    def finished(self) -> Any:
        for container in self._owned.values():
            if isinstance(container, dict):
                items = sorted(container.items())
                container.clear()
                container.update(items)
        return self.holder[""]


def _unescape(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _number(key: str) -> int:
    try:
        return atoi(key)
    except ValueError as error:
        raise Refused(str(error)) from None


def _bounded(index: int, size: int) -> int:
    """An index from the start, where negative ones count from the end."""
    if not -size <= index < size:
        raise Refused(f"Unable to access invalid index: {index}: {INVALID_INDEX}")
    return index % size


def _index(items: list[Any], key: str) -> int:
    """Where an existing element is."""
    return _bounded(_number(key), len(items))


def _get(container: Any, key: str) -> Any:
    """None also for a key that a map lacks."""
    if isinstance(container, dict):
        return container.get(key)
    if isinstance(container, list):
        return container[_index(container, key)]
    raise Refused(f"not a container at: {key}")


def _remove(container: Container, key: str) -> None:
    if isinstance(container, list):
        del container[_index(container, key)]
    elif key in container:
        del container[key]
    else:
        raise Refused(f"Unable to remove nonexistent key: {key}: {MISSING}")


def _insert(container: Container, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
        return
    if key == "-":
        container.append(value)
        return
    try:
        index = _number(key)
    except Refused as reason:
        raise Refused(f"value was not a proper array index: '{key}': {reason}") from None
    container.insert(_bounded(index, len(container) + 1), value)


def _path(operation: Operation, field: str = "path", without: str = "") -> str:
    """`without`: what the message ends in when there is none."""
    path = operation.get(field)
    if not isinstance(path, str):
        why = without or f"operation missing {field} field: {MISSING}"
        raise Refused(f"{operation.get('op')} operation failed to decode {field}: {why}")
    return path


def _find(document: _Document, path: str, missing: str) -> tuple[Container, str]:
    """`missing` says what cannot be done without the place."""
    found = document.find(path)
    if found is None:
        raise Refused(f"{missing}: {MISSING}")
    return found


@contextmanager
def _explained(words: str) -> Iterator[None]:
    try:
        yield
    except Refused as reason:
        raise Refused(f"{words}: {reason}") from None


def _run_add(document: _Document, operation: Operation) -> None:
    path = _path(operation, without=MISSING)
    container, key = _find(document, path, f'add operation does not apply: doc is missing path: "{path}"')
    with _explained(f"error in add for path: '{path}'"):
        _insert(container, key, operation.get("value"))


def _run_remove(document: _Document, operation: Operation) -> None:
    path = _path(operation, without=MISSING)
    container, key = _find(document, path, f'remove operation does not apply: doc is missing path: "{path}"')
    with _explained(f"error in remove for path: '{path}'"):
        _remove(container, key)


def _run_replace(document: _Document, operation: Operation) -> None:
    path, value = _path(operation), operation.get("value")
    if not path:
        # A scalar in the document's place is passed over in silence.
        if isinstance(value, dict | list):
            document.root = value
        return
    container, key = _find(document, path, f"replace operation does not apply: doc is missing path: {path}")
    if isinstance(container, dict):
        container[key] = value
        return
    try:
        index = _index(container, key)
    except Refused:
        raise Refused(f"replace operation does not apply: doc is missing key: {path}: {MISSING}") from None
    container[index] = value


def _run_move(document: _Document, operation: Operation) -> None:
    source = _path(operation, "from", f"operation, missing from field: {MISSING}")
    container, key = _find(
        document, source, f"move operation does not apply: doc is missing from path: {source}"
    )
    with _explained(f"error in move for path: '{key}'"):
        value = _get(container, key)
        _remove(container, key)
    path = _path(operation)
    container, key = _find(
        document, path, f"move operation does not apply: doc is missing destination path: {path}"
    )
    with _explained(f"error in move for path: '{path}'"):
        _insert(container, key, value)


def _run_copy(document: _Document, operation: Operation) -> None:
    source = _path(operation, "from", f"operation, missing from field: {MISSING}")
    container, key = _find(
        document, source, f"copy operation does not apply: doc is missing from path: {source}"
    )
    with _explained(f"error in copy for from: '{source}'"):
        text = orjson.dumps(_get(container, key))
    path = _path(operation, without=MISSING)
    container, key = _find(
        document, path, f"copy operation does not apply: doc is missing destination path: {path}"
    )
    document.copied_bytes += len(text)
    if document.copied_bytes > COPIED_BYTES_MAX:
        raise Refused(
            "Unable to complete the copy, the accumulated size increase of copy is"
            f" {document.copied_bytes}, exceeding the limit {COPIED_BYTES_MAX}"
        )
    with _explained("error while adding value during copy"):
        _insert(container, key, orjson.loads(text))


def _run_test(document: _Document, operation: Operation) -> None:
    path, wanted = _path(operation), operation.get("value")
    if path:
        container, key = _find(document, path, f"test operation does not apply: is missing path: {path}")
        with _explained(f"error in test for path: '{path}'"):
            found = _get(container, key)
    else:
        found = document.root
    if not same(found, wanted):
        raise TestFailed(f"testing value {path} failed: test failed")


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
