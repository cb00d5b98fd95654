"""How an object lies in the store, and how answers are made from stored bytes without decoding them.

Stored: JSON with kind, apiVersion and metadata first and without resourceVersion, which is the revision of the
write and is spliced in on the way out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

Object = dict[str, Any]
METADATA = b'"metadata":{'


def encode_stored(obj: Object, kind: str, api_version: str) -> bytes:
    """Bytes for the store; `obj` keeps its resourceVersion."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    stored = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
    for key, value in obj.items():
        if key not in stored:
            stored[key] = value
    # orjson hands out its whole buffer, up to three times the text; what is kept for long is copied to size.
    return memoryview(orjson.dumps(stored)).tobytes()


def decode_stored(value: bytes, revision: int) -> Object:
    """The object as a client sees it at `revision`."""
    obj = orjson.loads(value)
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def with_revision(value: bytes, revision: int) -> bytes:
    """Stored bytes plus resourceVersion: what GET answers."""
    at = value.index(METADATA) + len(METADATA)
    return b'%b"resourceVersion":"%d",%b' % (value[:at], revision, value[at:])


def list_header(
    kind: str, api_version: str, revision: int, continue_: str = "", remaining: int | None = None
) -> bytes:
    """Everything of a list before its items."""
    metadata: Object = {"resourceVersion": str(revision)}
    if continue_:
        metadata["continue"] = continue_
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    head = orjson.dumps({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    return head[:-1] + b',"items":['


def join_items(items: Iterable[tuple[bytes, int]], skip: int) -> list[bytes | memoryview]:
    """The pieces of a list's items, to be joined once: no body is copied before.

    `items` are (stored bytes, revision); `skip` is the length of `{"kind":...,"apiVersion":...,"metadata":{`, the same
    for every item of a built-in kind. Items of built-in lists carry no kind and apiVersion.
    """
    pieces: list[bytes | memoryview] = []
    opening = b'{"metadata":{"resourceVersion":"%d",'
    for value, revision in items:
        pieces.append(opening % revision)
        pieces.append(memoryview(value)[skip:])
        opening = b',{"metadata":{"resourceVersion":"%d",'
    return pieces


def item_skip(kind: str, api_version: str) -> int:
    """How many bytes of a stored object come before the first field of its metadata."""
    return len(orjson.dumps({"kind": kind, "apiVersion": api_version})) - 1 + 1 + len(METADATA)


def is_too_deep(error: Exception) -> bool:
    """Whether something was nested deeper than Python follows, or than orjson writes (254 levels)."""
    return isinstance(error, RecursionError) or str(error) == "Recursion limit reached"
