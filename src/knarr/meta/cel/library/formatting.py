"""string.format(): cel-go's second version of it, which writes fractions as people do in America."""

from __future__ import annotations

import math
from typing import Any

from knarr.meta.cel.library.standard import string_of_double, text_of, type_of
from knarr.meta.cel.library.times import show_duration, show_timestamp
from knarr.meta.cel.values import CelError, Duration, Timestamp, UInt
from knarr.meta.gofmt import quote

PRECISION = 6
#: texts that stand for numbers
NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
NARROW_SPACE = "\u202f"


def format_(text: str, args: list[Any]) -> str:
    out: list[str] = []
    at = used = 0
    while at < len(text):
        if text[at] != "%":
            out.append(text[at])
            at += 1
        elif text[at + 1 : at + 2] == "%":
            out.append("%")
            at += 2
        else:
            if used >= len(args):
                raise CelError(f"index {used} out of range")
            at, precision = _precision(text, at + 1)
            out.append(_clause(text[at], args[used], precision))
            used += 1
            at += 1
    return "".join(out)


def _precision(text: str, at: int) -> tuple[int, int]:
    """(where the verb stands, the precision before it)."""
    if at >= len(text):
        raise CelError("unexpected end of string")
    if text[at] != ".":
        return at, PRECISION
    end = at + 1
    while end < len(text) and text[end] in "0123456789":
        end += 1
    if end >= len(text):
        raise _unparsed("error while parsing precision: could not find end of precision specifier")
    if end == at + 1:
        why = 'error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax'
        raise _unparsed(f"error while parsing precision: {why}")
    return end, int(text[at + 1 : end])


def _clause(verb: str, value: Any, precision: int) -> str:
    number = value.__class__ in (int, UInt)
    match verb:
        case "s":
            return show(value)
        case "d":
            if not number:
                raise _wrong("decimal clause can only be used on integers", value)
            return str(int(value))
        case "f":
            return _fixed(_double(value, "fixed-point clause can only be used on doubles"), precision)
        case "e":
            return _scientific(_double(value, "scientific clause can only be used on doubles"), precision)
        case "b":
            if value.__class__ is bool:
                return "1" if value else "0"
            if not number:
                raise _wrong("only integers and bools can be formatted as binary", value)
            return f"{int(value):b}"
        case "x" | "X":
            if number:
                return f"{int(value):{verb}}"
            data = value.encode() if isinstance(value, str) else value
            if not isinstance(data, bytes):
                raise _wrong("only integers, byte buffers, and strings can be formatted as hex", value)
            return data.hex() if verb == "x" else data.hex().upper()
        case "o":
            if not number:
                raise _wrong("octal clause can only be used on integers", value)
            return f"{int(value):o}"
    raise _unparsed(f'unrecognized formatting clause "{verb}"')


def _double(value: Any, rule: str) -> float:
    if value.__class__ is float or value.__class__ is str and value in NO_NUMBERS:
        return float(value)
    raise _wrong(rule, value)


def _fixed(value: float, precision: int) -> str:
    return _unusual(value) or f"{value:,.{precision}f}"


def _scientific(value: float, precision: int) -> str:
    if unusual := _unusual(value):
        return unusual
    digits, _, exponent = f"{value:.{precision}e}".partition("e")
    power = exponent.removeprefix("+").translate(SUPERSCRIPT)
    return f"{digits}{NARROW_SPACE}×{NARROW_SPACE}10{power}"


def _unusual(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return ""


def _unparsed(why: str) -> CelError:
    return CelError(f"could not parse formatting clause: {why}")


def _wrong(why: str, value: Any) -> CelError:
    return CelError(f"error during formatting: {why}, was given {type_of(value)}")


def show(value: Any) -> str:
    """A value as %s prints it."""
    kind = value.__class__
    if kind is str:
        return value
    if value is None:
        return "null"
    if kind is bytes:
        return value.decode("utf-8", "replace")
    if kind is float:
        return string_of_double(value)
    if kind is Timestamp:
        return show_timestamp(value)
    if kind is Duration:
        return show_duration(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_inside, value))}]"
    if kind is dict:
        pairs = sorted((_inside(key), _inside(item)) for key, item in value.items())
        return f"{{{', '.join(f'{key}:{item}' for key, item in pairs)}}}"
    return text_of(value)


def _inside(value: Any) -> str:
    """A value inside a list or map: written as an expression would."""
    kind = value.__class__
    if kind is str:
        return quote(value)
    if kind is bytes:
        return f"b{quote(show(value))}"
    if kind is float:
        text = f"{value:.{PRECISION}f}"
        return text if math.isfinite(value) else quote({"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}[text])
    if kind is Timestamp:
        return f"timestamp({quote(show(value))})"
    if kind is Duration:
        return f"duration({quote(show(value))})"
    return show(value)
