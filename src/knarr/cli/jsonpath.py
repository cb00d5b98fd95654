"""Kubernetes' JSONPath templates: text with {expressions}, {range}…{end}, filters, slices, unions and `..`.

{.items[*].metadata.name}   {range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\\n"}{end}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from knarr.cli.say import Failure

Step = Callable[[list[Any]], list[Any]]

_FIELD = re.compile(r"(?:[^\s.\[\]{}'\"()?@,:$\\]|\\.)+")
_FILTER = re.compile(r"\[\?\(\s*(.+?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?\)\]")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def render(template: str, root: Any) -> str:
    """A template's text. Raises Failure where it is malformed."""
    pieces = _split(template)
    text, rest = _render(pieces, [root], root)
    if rest:
        raise Failure(f"jsonpath: {{end}} without {{range}} in {template}")
    return text


def find(expression: str, root: Any) -> list[Any]:
    """Every value that an expression (with or without braces) leads to."""
    expression = expression.strip()
    if expression.startswith("{") and expression.endswith("}"):
        expression = expression[1:-1].strip()
    if not expression.startswith((".", "[", "$", "@")):
        expression = f".{expression}"
    return _walk(expression, [root], root)


def _split(template: str) -> list[tuple[str, str]]:
    """("text", …) and ("code", …) in order; braces inside quotes belong to the quotes."""
    pieces: list[tuple[str, str]] = []
    position = 0
    while position < len(template):
        start = template.find("{", position)
        if start < 0:
            start = len(template)
        if start > position:
            pieces.append(("text", template[position:start]))
        if start == len(template):
            break
        end, quote = start + 1, ""
        while end < len(template) and (quote or template[end] != "}"):
            if template[end] == "\\":
                end += 1
            elif quote:
                quote = "" if template[end] == quote else quote
            elif template[end] in "\"'":
                quote = template[end]
            end += 1
        if end >= len(template):
            raise Failure(f"jsonpath: unclosed {{ in {template}")
        pieces.append(("code", template[start + 1 : end].strip()))
        position = end + 1
    return pieces


def _render(
    pieces: Sequence[tuple[str, str]], current: list[Any], root: Any
) -> tuple[str, Sequence[tuple[str, str]]]:
    """The text up to the matching {end}, and the pieces from there on."""
    written = ""
    while pieces:
        (kind, text), pieces = pieces[0], pieces[1:]
        if kind == "text":
            written += text
        elif text == "end":
            return written, [("code", "end"), *pieces]
        elif text.startswith("range"):
            rest: Sequence[tuple[str, str]] = _after_end(pieces)
            for value in _walk(text[5:].strip(), current, root):
                written += _render(pieces, [value], root)[0]
            pieces = rest
        elif text[:1] in "\"'":
            written += _unquote(text)
        else:
            written += " ".join(_shown(value) for value in _walk(text, current, root))
    return written, []


def _after_end(pieces: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    depth = 1
    for number, (kind, text) in enumerate(pieces):
        if kind == "code" and text.startswith("range"):
            depth += 1
        elif kind == "code" and text == "end":
            depth -= 1
            if depth == 0:
                return pieces[number + 1 :]
    raise Failure("jsonpath: {range} without {end}")


def _walk(expression: str, current: list[Any], root: Any) -> list[Any]:
    values, rest = list(current), expression
    if rest.startswith("$"):
        values, rest = [root], rest[1:]
    elif rest.startswith("@"):
        rest = rest[1:]
    while rest:
        if rest.startswith(".."):
            values = [inner for value in values for inner in _everything(value)]
            rest = rest[2:] if not rest.startswith("..[") else rest[2:]
            if rest and rest[0] not in "[.":
                rest = f".{rest}"
        elif rest.startswith("["):
            values, rest = _subscript(values, rest, root)
        elif rest.startswith(".*") or rest == "*":
            values = [inner for value in values for inner in _children(value)]
            rest = rest[2:]
        elif rest.startswith("."):
            if rest == ".":
                break
            matched = _FIELD.match(rest, 1)
            if matched is None:
                if rest[1] == "[":
                    rest = rest[1:]
                    continue
                raise Failure(f"jsonpath: cannot read {expression!r} from {rest!r} on")
            name = re.sub(r"\\(.)", r"\1", matched.group())
            values = [v[name] for v in values if isinstance(v, dict) and name in v]
            rest = rest[matched.end() :]
        else:
            raise Failure(f"jsonpath: cannot read {expression!r} from {rest!r} on")
    return values


def _subscript(values: list[Any], rest: str, root: Any) -> tuple[list[Any], str]:
    if matched := _FILTER.match(rest):
        left, operator, right = matched.groups()
        chosen = [
            item for value in values for item in _children(value) if _holds(left, operator, right, item, root)
        ]
        return chosen, rest[matched.end() :]
    end = _closing(rest)
    inner, rest = rest[1:end].strip(), rest[end + 1 :]
    if inner == "*":
        return [item for value in values for item in _children(value)], rest
    if inner[:1] in "'\"":
        names = [_unquote(part.strip()) for part in re.findall(r"'[^']*'|\"[^\"]*\"", inner)]
        return [v[name] for v in values for name in names if isinstance(v, dict) and name in v], rest
    lists = [value for value in values if isinstance(value, list)]
    try:
        if ":" in inner:
            bounds = [int(part) if part else None for part in inner.split(":")]
            return [item for value in lists for item in value[slice(*bounds)]], rest
        indices = [int(part) for part in inner.split(",")]
    except ValueError:
        raise Failure(f"jsonpath: [{inner}] is no index") from None
    return [v[i] for v in lists for i in indices if -len(v) <= i < len(v)], rest


def _closing(rest: str) -> int:
    quote = ""
    for number, letter in enumerate(rest):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "]":
            return number
    raise Failure(f"jsonpath: unclosed [ in {rest!r}")


def _holds(left: str, operator: str | None, right: str | None, item: Any, root: Any) -> bool:
    found = _operand(left, item, root)
    if operator is None or right is None:
        return bool(found)
    wanted = _operand(right, item, root)
    if not found or not wanted:
        return False
    try:
        return _COMPARE[operator](found[0], wanted[0])
    except TypeError:
        return False


def _operand(text: str, item: Any, root: Any) -> list[Any]:
    if text[:1] in "\"'":
        return [_unquote(text)]
    if text.startswith(("@", "$", ".")):
        return _walk(text, [item], root)
    try:
        return [json.loads(text)]
    except ValueError:
        raise Failure(f"jsonpath: cannot read {text!r} in a filter") from None


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _everything(value: Any) -> Iterable[Any]:
    yield value
    for child in _children(value):
        yield from _everything(child)


def _unquote(text: str) -> str:
    inner = text[1:-1] if len(text) > 1 and text[-1] == text[0] else text[1:]
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), inner)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
