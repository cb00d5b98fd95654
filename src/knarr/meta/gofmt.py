"""Values as Go prints them in messages: %q, %v, %+v and the JSON of encoding/json."""

from __future__ import annotations

from typing import Any

import orjson

_NAMED = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
#: what Go's JSON escapes so that it can stand inside HTML and JavaScript
_HTML = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_LINES = (("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029"))


class Plain(str):
    """A value that prints itself (Go's Stringer): field errors show it without quotes."""

    __slots__ = ()


def quote(text: str) -> str:
    """Go's %q: what cannot be printed is escaped, other languages' letters are not."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_quoted, text))}"'


def _quoted(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    if letter in _NAMED:
        return _NAMED[letter]
    number = ord(letter)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def quote_list(texts: list[str] | tuple[str, ...]) -> str:
    """Go's %#v of a []string: `[]string{"a", "b"}`."""
    return f"[]string{{{', '.join(map(quote, texts))}}}"


def go_json(value: Any, sort: bool = False) -> str:
    """JSON as encoding/json writes it, `<`, `>` and `&` escaped; keys stay in their order, or in a map's (`sort`)."""
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort else None)
    for plain, escaped in _HTML:
        if plain in data:
            data = data.replace(plain, escaped)
    if b"\xe2\x80" in data:
        for plain, escaped in _LINES:
            data = data.replace(plain, escaped)
    return data.decode()


def go_float(number: float) -> str:
    """Go's %v of a float64: the shortest digits, an exponent from a million on and below 0.0001."""
    if number != number or number in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[repr(number)]
    if not number:
        return "-0" if repr(number)[0] == "-" else "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    if point - 1 < -4 or point - 1 >= 6:
        power = point - 1
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def go_value(value: Any) -> str:
    """A value inside a field error: strings quoted, null as `null`, structs and lists as JSON."""
    if isinstance(value, str):
        return value if type(value) is Plain else quote(value)
    if value is None:
        return "null"
    if isinstance(value, float):
        return go_float(value)
    return go_json(value)


def go_plain(value: Any) -> str:
    """Go's %v of decoded JSON: `map[a:1 b:[x y]]`, texts unquoted, `<nil>` for null."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_plain(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(go_plain, value))}]"
    return str(value)


def json_kind(value: Any) -> str:
    """What encoding/json calls the type of a decoded value in `cannot unmarshal ...`."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"
