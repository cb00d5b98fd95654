"""Query and path parameters of operations, as OpenAPI v3."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def _query(name: str, type_: str, description: str) -> Object:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": type_, "uniqueItems": True},
    }


def _path(name: str, description: str) -> Object:
    return {
        "name": name,
        "in": "path",
        "description": description,
        "required": True,
        "schema": {"type": "string", "uniqueItems": True},
    }


NAMESPACE = _path("namespace", "the namespace of the object")
PRETTY = _query("pretty", "string", "'true' indents the output")
LIST = [
    _query(
        "allowWatchBookmarks",
        "boolean",
        "a watch may get events of type BOOKMARK that only carry a resource version",
    ),
    _query("continue", "string", "the token of the page before; all other parameters stay as they were"),
    _query("fieldSelector", "string", "only objects whose fields have these values"),
    _query("labelSelector", "string", "only objects whose labels fit"),
    _query("limit", "integer", "at most so many objects; the answer's `continue` leads to the rest"),
    _query("resourceVersion", "string", "which state to answer with; see resourceVersionMatch"),
    _query("resourceVersionMatch", "string", "Exact or NotOlderThan: how resourceVersion is meant"),
    _query(
        "sendInitialEvents", "boolean", "begin a watch with the present state as events, ended by a bookmark"
    ),
    _query("shardSelector", "string", "only one shard of the objects"),
    _query("timeoutSeconds", "integer", "end a list or watch after so many seconds"),
    _query("watch", "boolean", "stream changes instead of listing"),
]
DRY_RUN = _query("dryRun", "string", "All: do everything but store the result")
MANAGER = _query("fieldManager", "string", "who makes this change: at most 128 printable characters")
APPLY_MANAGER = {**MANAGER, "description": "who makes this change; required for apply"}
VALIDATION = _query(
    "fieldValidation", "string", "Ignore, Warn or Strict: what to do about unknown and duplicate fields"
)
FORCE = _query("force", "boolean", "apply only: take over fields that others own")
WRITE = [DRY_RUN, MANAGER, VALIDATION]
PATCH = [DRY_RUN, APPLY_MANAGER, VALIDATION, FORCE]
DELETE = [
    DRY_RUN,
    _query("gracePeriodSeconds", "integer", "seconds until the object is removed; 0 removes it at once"),
    _query(
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "delete an object that cannot be read any more",
    ),
    _query("orphanDependents", "boolean", "deprecated: use propagationPolicy"),
    _query(
        "propagationPolicy",
        "string",
        "Orphan, Background or Foreground: what becomes of the object's dependents",
    ),
]
LIST_OF_COLLECTION_DELETE = [p for p in LIST if p["name"] not in ("allowWatchBookmarks", "watch")]


def name_of(kind: str) -> Object:
    return _path("name", f"name of the {kind}")


def connect(names: tuple[tuple[str, str], ...]) -> list[Object]:
    return [_query(name, type_, name) for name, type_ in names]


#: query parameters of subresources that are connections
CONNECT: dict[str, tuple[tuple[str, str], ...]] = {
    "attach": (
        ("container", "string"),
        ("stderr", "boolean"),
        ("stdin", "boolean"),
        ("stdout", "boolean"),
        ("tty", "boolean"),
    ),
    "exec": (
        ("command", "string"),
        ("container", "string"),
        ("stderr", "boolean"),
        ("stdin", "boolean"),
        ("stdout", "boolean"),
        ("tty", "boolean"),
    ),
    "portforward": (("ports", "integer"),),
    "proxy": (("path", "string"),),
    "log": (
        ("container", "string"),
        ("follow", "boolean"),
        ("insecureSkipTLSVerifyBackend", "boolean"),
        ("limitBytes", "integer"),
        ("previous", "boolean"),
        ("sinceSeconds", "integer"),
        ("stream", "string"),
        ("tailLines", "integer"),
        ("timestamps", "boolean"),
    ),
}
