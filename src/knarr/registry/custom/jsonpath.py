"""kubectl's JSONPath, as printer columns use it: fields, indices, slices, wildcards, unions, filters, recursion."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

Step = Callable[[list[Any]], list[Any]]
_FIELD = re.compile(r"(?:\\.|[^.\[\]{}\\])+")
_SLICE = re.compile(r"(-?\d*)(?::(-?\d*))?(?::(-?\d*))?")
_FILTER = re.compile(r"\s*(.+?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?", re.DOTALL)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


class NotFound(Exception):
    """The path asks for an item of something that is no list, or for one that a list has not."""


def compile(path: str) -> Callable[[Any], list[Any]]:
    """A function from an object to the values at `path` (`.spec.list[*].name`). Raises ValueError."""
    steps = _Parser(path).steps()

    def find(obj: Any) -> list[Any]:
        values = [obj]
        for step in steps:
            values = step(values)
        return values

    return find


class _Parser:
    def __init__(self, path: str) -> None:
        self.path, self.at = path, 0

    def steps(self) -> list[Step]:
        found: list[Step] = []
        while self.at < len(self.path):
            rest = self.path[self.at :]
            if rest.startswith(".."):
                self.at += 1 if rest[2:3] != "[" else 2
                found.append(_descend)
            elif rest[0] == ".":
                self.at += 1
                if self.at < len(self.path) and self.path[self.at] not in ".[":
                    found.append(self._name())
            elif rest[0] == "[":
                found.append(self._bracket())
            elif rest[0] in "$@" and self.at == 0:
                self.at += 1
            else:
                found.append(self._name())
        return found

    def _name(self) -> Step:
        found = _FIELD.match(self.path, self.at)
        if found is None:
            raise ValueError(f"unrecognized character in action: {self.path[self.at]}")
        self.at = found.end()
        name = re.sub(r"\\(.)", r"\1", found[0])
        return _wildcard if name == "*" else _field(name)

    def _bracket(self) -> Step:
        inside, end = self._inside(self.at)
        self.at = end
        if inside.startswith("?(") and inside.endswith(")"):
            return _filter(inside[2:-1])
        parts = _split(inside)
        steps = [_selector(part.strip()) for part in parts]
        return steps[0] if len(steps) == 1 else _union(steps)

    def _inside(self, at: int) -> tuple[str, int]:
        depth, quote, start = 0, "", at
        while at < len(self.path):
            char = self.path[at]
            if quote:
                if char == "\\":
                    at += 1
                elif char == quote:
                    quote = ""
            elif char in "'\"":
                quote = char
            elif char in "[(":
                depth += 1
            elif char in "])":
                depth -= 1
                if depth == 0:
                    return self.path[start + 1 : at], at + 1
            at += 1
        raise ValueError("unterminated array")


def _split(inside: str) -> list[str]:
    return re.findall(r"(?:'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"|[^,'\"])+", inside) or [inside]


def _selector(part: str) -> Step:
    if part == "*":
        return _wildcard
    if part[:1] in ("'", '"') and part[-1:] == part[:1] and len(part) > 1:
        return _field(re.sub(r"\\(.)", r"\1", part[1:-1]))
    found = _SLICE.fullmatch(part)
    if found is None or not part:
        raise ValueError(f"invalid array index {part}")
    if ":" not in part:
        return _index(int(part))
    low, high, step = (int(text) if text else None for text in found.groups())
    return _slice(low, high, step)


def _field(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _wildcard(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if isinstance(value, list):
            found += value
        elif isinstance(value, dict):
            found += [value[key] for key in sorted(value)]
    return found


def _index(at: int) -> Step:
    def step(values: list[Any]) -> list[Any]:
        found = []
        for value in values:
            if not isinstance(value, list):
                raise NotFound(at)
            if not -len(value) <= at < len(value):
                raise NotFound(at)
            found.append(value[at])
        return found

    return step


def _slice(low: int | None, high: int | None, step_: int | None) -> Step:
    def step(values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                raise NotFound(low)
            found += value[low:high:step_]
        return found

    return step


def _union(steps: list[Step]) -> Step:
    return lambda values: [item for step in steps for item in step(values)]


def _descend(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found.append(value)
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        found += _descend([item for item in below if isinstance(item, dict | list)])
    return found


def _filter(text: str) -> Step:
    matched = _FILTER.fullmatch(text)
    if matched is None:
        raise ValueError("unrecognized filter")
    left = _operand(matched[1])
    compare, right = (OPERATORS[matched[2]], _operand(matched[3])) if matched[2] else (None, None)

    def passes(item: Any) -> bool:
        try:
            mine = left(item)
            if compare is None or right is None:
                return bool(mine)
            theirs = right(item)
            return bool(mine) and bool(theirs) and compare(mine[0], theirs[0])
        except (NotFound, TypeError):
            return False

    def step(values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                raise NotFound(text)
            found += [item for item in value if passes(item)]
        return found

    return step


def _operand(text: str) -> Callable[[Any], list[Any]]:
    if text.startswith("@"):
        return compile(text)
    if text[:1] in ("'", '"'):
        literal: Any = re.sub(r"\\(.)", r"\1", text[1:-1])
    elif text in ("true", "false"):
        literal = text == "true"
    else:
        try:
            literal = int(text)
        except ValueError:
            literal = float(text)
    return lambda item: [literal]
