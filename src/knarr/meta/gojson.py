"""Go's words for JSON and YAML that cannot be read; only failing bodies come here."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import orjson

from knarr.meta.gofmt import quote

#: how much of a body a message shows: 30 bytes, as text or as hexadecimal
EXCERPT_BYTES = 30
TYPE_META = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)
LITERALS = {b"t": b"true", b"f": b"false", b"n": b"null"}
GO_NAMES = {list: "array", str: "string", int: "number", float: "number", bool: "bool"}
WHITESPACE = b" \t\r\n"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
#: an escape in a string: a pair of surrogates, one alone (the group), any other
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def excerpt(body: bytes) -> str:
    """The beginning of a body as `runtime.NewNotRegistered...`'s messages show it."""
    if not body:
        return "<empty>"
    head = body[:EXCERPT_BYTES]
    text = text_of(head) if head[:1] == b"{" else head.hex()
    return text + (" ..." if len(body) > EXCERPT_BYTES else "")


def _replaced(fault: UnicodeError) -> tuple[str, int]:
    assert isinstance(fault, UnicodeDecodeError)
    return "\ufffd" * (fault.end - fault.start), fault.end


codecs.register_error("knarr.go", _replaced)


def text_of(data: bytes) -> str:
    """The text that Go writes for bytes: one replacement character for every byte that is no part of UTF-8."""
    return data.decode(errors="knarr.go")


def sound(body: bytes) -> bytes:
    """A body as Go reads it: in strings, bytes that are no UTF-8 and halves of surrogates stand for U+FFFD."""
    if body.isascii() and not _SURROGATE.search(body):
        return body
    try:
        body.decode()
        broken = _SURROGATE.search(body) is not None
    except UnicodeDecodeError:
        broken = True
    if not broken:
        return body
    mended = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], text_of(body).encode())
    try:
        orjson.loads(mended)
    except orjson.JSONDecodeError:
        return body  # what is wrong with it is told of the bytes that came
    return mended


def type_meta_error(body: bytes) -> str:
    """What is wrong with reading apiVersion and kind from a body that is valid JSON; "" when nothing is."""
    value = orjson.loads(body)
    if value is None:
        return ""
    if not isinstance(value, dict):
        return f"json: cannot unmarshal {GO_NAMES[type(value)]} into Go value of type {TYPE_META}"
    for name in ("apiVersion", "kind"):
        item = value.get(name)
        if item is not None and not isinstance(item, str):
            return f"json: cannot unmarshal {GO_NAMES.get(type(item), 'object')} into Go struct field .{name} of type string"
    return ""


def syntax_error(body: bytes) -> str:
    """encoding/json's message for the first byte that cannot be."""
    return _Scanner(body).run()


def read(text: str, kind: type, go_type: str) -> tuple[Any, str]:
    """What a text says in JSON, or what is wrong with it."""
    try:
        value = json.loads(text)
    except ValueError:
        return None, syntax_error(text.encode())
    if value is None or isinstance(value, kind):
        return value, ""
    found = GO_NAMES.get(type(value), "object")
    return None, f"json: cannot unmarshal {found} into Go value of type {go_type}"


class _Scanner:
    """A JSON scanner that stops at the first fault and names it as Go's does."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def run(self) -> str:
        try:
            self.value()
            self.space()
            if self.at < len(self.body):
                self.fail("after top-level value")
        except _Fault as fault:
            return str(fault)
        except RecursionError:
            return "exceeded max depth"
        return "invalid character in JSON"

    def fail(self, context: str) -> None:
        if self.at >= len(self.body):
            raise _Fault("unexpected end of JSON input")
        raise _Fault(f"invalid character {quote_char(self.body[self.at])} {context}")

    def space(self) -> None:
        while self.at < len(self.body) and self.body[self.at] in WHITESPACE:
            self.at += 1

    def peek(self) -> bytes:
        return self.body[self.at : self.at + 1]

    def value(self) -> None:
        self.space()
        c = self.peek()
        if c == b"{":
            self.members()
        elif c == b"[":
            self.items()
        elif c == b'"':
            self.string()
        elif c in LITERALS:
            self.literal(LITERALS[c])
        elif c and c in b"-0123456789":
            self.number()
        else:
            self.fail("looking for beginning of value")

    def members(self) -> None:
        self.at += 1
        self.space()
        if self.peek() == b"}":
            self.at += 1
            return
        while True:
            self.space()
            if self.peek() != b'"':
                self.fail("looking for beginning of object key string")
            self.string()
            self.space()
            if self.peek() != b":":
                self.fail("after object key")
            self.at += 1
            self.value()
            self.space()
            if self.peek() == b"}":
                self.at += 1
                return
            if self.peek() != b",":
                self.fail("after object key:value pair")
            self.at += 1

    def items(self) -> None:
        self.at += 1
        self.space()
        if self.peek() == b"]":
            self.at += 1
            return
        while True:
            self.value()
            self.space()
            if self.peek() == b"]":
                self.at += 1
                return
            if self.peek() != b",":
                self.fail("after array element")
            self.at += 1

    def string(self) -> None:
        self.at += 1
        while True:
            c = self.peek()
            if not c:
                self.fail("")
            if c == b'"':
                self.at += 1
                return
            if c < b" ":
                self.fail("in string literal")
            if c == b"\\":
                self.at += 1
                if self.peek() == b"u":
                    for _ in range(4):
                        self.at += 1
                        if self.peek() not in set(map(bytes, zip(b"0123456789abcdefABCDEF", strict=False))):
                            self.fail("in \\u hexadecimal character escape")
                elif not self.peek() or self.peek() not in b'"\\/bfnrt':
                    self.fail("in string escape code")
            self.at += 1

    def literal(self, word: bytes) -> None:
        for index in range(len(word)):
            if self.peek() != word[index : index + 1]:
                self.fail(f"in literal {word.decode()} (expecting {quote_char(word[index])})")
            self.at += 1

    def number(self) -> None:
        if self.peek() == b"-":
            self.at += 1
            if not self.peek().isdigit():
                self.fail("in numeric literal")
        if self.peek() == b"0":
            self.at += 1
        else:
            self.digits()
        if self.peek() == b".":
            self.at += 1
            if not self.peek().isdigit():
                self.fail("after decimal point in numeric literal")
            self.digits()
        if self.peek() in (b"e", b"E"):
            self.at += 1
            if self.peek() in (b"+", b"-"):
                self.at += 1
            if not self.peek().isdigit():
                self.fail("in exponent of numeric literal")
            self.digits()

    def digits(self) -> None:
        while self.peek().isdigit():
            self.at += 1


class _Fault(Exception):
    pass


def quote_char(byte: int) -> str:
    """A byte as Go quotes a character: `'a'`, `'\\''`, `'"'`."""
    if byte == 0x27:
        return "'\\''"
    if byte == 0x22:
        return "'\"'"
    return f"'{quote(chr(byte))[1:-1]}'"


def whole_numbers(value: Any) -> None:
    """2.0 becomes 2, as Go writes it."""
    pairs = value.items() if value.__class__ is dict else enumerate(value)
    for key, item in pairs:
        kind = item.__class__
        if kind is float:
            if item.is_integer() and abs(item) < 1 << 63:
                value[key] = int(item)
        elif kind is dict or kind is list:
            whole_numbers(item)
