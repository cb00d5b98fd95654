"""From source to syntax tree. The grammar is Google's: cel-expr-python parses, its serialised tree is decoded here.

The few macros that the library does not know (cel.bind, comprehensions of two variables) are expanded here too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

from knarr.meta.cel.macros import MacroError, expand
from knarr.meta.cel.syntax import (
    ACCUMULATOR,
    Call,
    Comprehension,
    Const,
    Expr,
    Ident,
    ListExpr,
    MapExpr,
    Select,
    located,
)
from knarr.meta.cel.values import Duration, Timestamp, UInt

#: what cel-expr-python says beside the real error
_NOISE = "ERROR: <input>:4294967295:"
#: How deep cel-expr-python goes; cel-go gives up at 250, and says it so.
_TOO_DEEP = "ERROR: <input>:-1:0: expression recursion limit exceeded: 32"
#: what it says otherwise than cel-go
_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"'\\u003F'", "'?'"),
        (r"has\(\) argument must be a field selection", "invalid argument to has() macro"),
        (
            r"(?:all|exists|exists_one)\(\) variable name must be a simple identifier",
            "argument must be a simple name",
        ),
        (r"(?:map|filter)\(\) variable name must be a simple identifier", "argument is not an identifier"),
        (r"\w+\(\) variable name cannot be __result__", "iteration variable overwrites accumulator variable"),
        (r"invalid hex (u?int) literal", r"invalid \1 literal"),
    )
)
#: text literals, in which a backtick is nothing special
_LITERAL = re.compile(
    r"""[rR]?[bB]?[rR]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"|//[^\n]*|(?P<escaped>`[^`]*`)",
    re.DOTALL,
)


class ParseError(ValueError):
    """The text is cel-go's, with the line and a mark below the place."""


@cache
def _environment() -> Any:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional

    return cel.NewEnv(extensions=[ext_optional.ExtOptional()])


def parse(source: str) -> Expr:
    """Raises ParseError."""
    try:
        serialized = _environment().compile(source, disable_check=True).serialize()
    except RuntimeError as error:
        raise ParseError(_cleaned(str(error))) from None
    if escaped := [found.start() for found in _LITERAL.finditer(source) if found["escaped"]]:
        raise ParseError("\n".join(located(source, offset, "unsupported syntax: '`'") for offset in escaped))
    try:
        return _Decoder(serialized).root()
    except MacroError as error:
        raise ParseError(located(source, error.offset, str(error))) from None


def _cleaned(text: str) -> str:
    text = text.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    lines = [line for line in text.split("\n") if not line.startswith(_NOISE)]
    if text.startswith("CANCELLED: ") or lines in ([], [""]):
        return _TOO_DEEP
    return "\n".join(line if line.startswith(" | ") else _in_go_s_words(line) for line in lines)


def _in_go_s_words(line: str) -> str:
    for pattern, words in _WORDS:
        line = pattern.sub(words, line)
    return line


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of a protobuf message: varints as int, the rest as bytes."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif wire == 2:
            size, at = _varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size
        elif wire == 1:
            yield key >> 3, data[at : at + 8]
            at += 8
        else:
            yield key >> 3, data[at : at + 4]
            at += 4


def _varint(data: bytes, at: int) -> tuple[int, int]:
    shift = value = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


class _Decoder:
    def __init__(self, serialized: bytes) -> None:
        parsed = dict(fields(serialized))[2]
        parts = dict(fields(parsed))
        self._expr = parts[2]
        self._positions: dict[int, int] = {}
        for number, value in fields(parts.get(3, b"")):
            if number == 4:
                entry = dict(fields(value))
                self._positions[entry.get(1, 0)] = _signed(entry.get(2, 0))
        self._next = max(self._positions, default=0) + 1

    def root(self) -> Expr:
        return self.expr(self._expr)

    def new_id(self) -> int:
        self._next += 1
        return self._next

    def expr(self, data: bytes) -> Expr:
        id_, kind, body = 0, 0, b""
        for number, value in fields(data):
            if number == 2:
                id_ = value
            else:
                kind, body = number, value
        offset = self._positions.get(id_, 0)
        return getattr(self, f"_kind{kind}")(id_, offset, body)

    def _kind3(self, id_: int, offset: int, body: bytes) -> Expr:
        number, value = next(fields(body), (1, 0))
        return Const(id_, offset, _constant(number, value))

    def _kind4(self, id_: int, offset: int, body: bytes) -> Expr:
        name = dict(fields(body)).get(1, b"").decode()
        return Ident(id_, offset, ACCUMULATOR if name == "__result__" else name)

    def _kind5(self, id_: int, offset: int, body: bytes) -> Expr:
        parts = dict(fields(body))
        return Select(id_, offset, self.expr(parts[1]), parts[2].decode(), bool(parts.get(3)))

    def _kind6(self, id_: int, offset: int, body: bytes) -> Expr:
        target, function, args = None, "", []
        for number, value in fields(body):
            if number == 1:
                target = self.expr(value)
            elif number == 2:
                function = value.decode()
            else:
                args.append(self.expr(value))
        return expand(self, Call(id_, offset, function, target, args))

    def _kind7(self, id_: int, offset: int, body: bytes) -> Expr:
        elements: list[Expr] = []
        optional: set[int] = set()
        for number, value in fields(body):
            if number == 1:
                elements.append(self.expr(value))
            elif isinstance(value, int):
                optional.add(value)
            else:
                at = 0
                while at < len(value):
                    index, at = _varint(value, at)
                    optional.add(index)
        return ListExpr(id_, offset, elements, frozenset(optional))

    def _kind8(self, id_: int, offset: int, body: bytes) -> Expr:
        name, entries = "", []
        for number, value in fields(body):
            if number == 1:
                name = value.decode()
            else:
                entry = dict(fields(value))
                key = self.expr(entry[3]) if 3 in entry else entry.get(2, b"").decode()
                entries.append((key, self.expr(entry[4]), bool(entry.get(5))))
        return MapExpr(id_, offset, name, entries)

    def _kind9(self, id_: int, offset: int, body: bytes) -> Expr:
        parts = dict(fields(body))

        def name(number: int) -> str:
            text = parts.get(number, b"").decode()
            return ACCUMULATOR if text == "__result__" else text

        return Comprehension(
            id_,
            offset,
            name(1),
            name(8),
            self.expr(parts[2]),
            name(3),
            self.expr(parts[4]),
            self.expr(parts[5]),
            self.expr(parts[6]),
            self.expr(parts[7]),
        )


def _constant(number: int, value: Any) -> Any:
    match number:
        case 2:
            return bool(value)
        case 3:
            return _signed(value)
        case 4:
            return UInt(value)
        case 5:
            return struct.unpack("<d", value)[0]
        case 6:
            return value.decode()
        case 7:
            return value
        case 8:
            return Duration(_nanos(value))
        case 9:
            return Timestamp(_nanos(value))
    return None


def _nanos(value: bytes) -> int:
    parts = dict(fields(value))
    return _signed(parts.get(1, 0)) * 1_000_000_000 + _signed(parts.get(2, 0))
