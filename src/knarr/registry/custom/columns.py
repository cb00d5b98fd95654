"""Tables of custom resources: their additionalPrinterColumns, or name and age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from knarr.api.kind import AGE, NAME, Column
from knarr.meta import times
from knarr.meta.gofmt import go_json, go_plain
from knarr.registry.custom import jsonpath

Object = dict[str, Any]
AGE_DATE = AGE._replace(type="date")
DEFAULT = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
INVALID = "<invalid>"


class Cells:
    """Rows of one version's table."""

    def __init__(self, definitions: Sequence[Object]) -> None:
        wanted = definitions or (DEFAULT,)
        shown = [_column(d) for d in definitions] or [AGE_DATE]
        self.columns = (NAME, *shown)
        self._finders = [(d["type"], _finder(d["jsonPath"])) for d in wanted]

    def __call__(self, obj: Object, now: float) -> list[Any]:
        cells: list[Any] = [obj["metadata"]["name"]]
        for kind, find in self._finders:
            cells.append(_cell(kind, find, obj, now))
        return cells


def _column(d: Object) -> Column:
    words = d.get("description") or f"Custom resource definition column (in JSONPath format): {d['jsonPath']}"
    return Column(d["name"], d["type"], d.get("format", ""), words, d.get("priority", 0))


def _finder(path: str) -> Any:
    try:
        return jsonpath.compile(path)
    except ValueError:
        return None


def _cell(kind: str, find: Any, obj: Object, now: float) -> Any:
    if find is None:
        return None
    try:
        found = find(obj)
    except jsonpath.NotFound:
        return None
    if not found:
        return None
    value = found[0]
    if kind == "string":
        return _text(value)
    return _typed(kind, value, now)


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return go_json(value, sort=True)
    return "<no value>" if value is None else go_plain(value)


def _typed(kind: str, value: Any, now: float) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer":
        return int(value) if number else None
    if kind == "number":
        return value if number else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "date" and isinstance(value, str):
        if value in ("", "null"):
            return times.age(None, now)
        try:
            times.parse(value)
        except ValueError:
            return INVALID
        return times.age(value, now)
    return None
