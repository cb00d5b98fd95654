"""string.format(): cel-go's second version of it, which writes fractions as people do in America."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from knarr.meta.cel.library.standard import string_of_double, text_of, type_of
from knarr.meta.cel.library.times import show_duration, show_timestamp
from knarr.meta.cel.syntax import Expr, ListExpr, MapExpr
from knarr.meta.cel.types import NAMES
from knarr.meta.cel.types import show as show_type
from knarr.meta.cel.values import CelError, Duration, Timestamp, UInt
from knarr.meta.gofmt import quote

PRECISION = 6
#: texts that stand for numbers
NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
NARROW_SPACE = "\u202f"
TEXTS = frozenset(
    (
        "list",
        "map",
        "int",
        "uint",
        "double",
        "bool",
        "string",
        "timestamp",
        "bytes",
        "duration",
        "type",
        "null",
    )
)
_WHOLE, _FRACTION = frozenset(("int", "uint")), frozenset(("double", "string"))
_HEX = "only integers, byte buffers, and strings can be formatted as hex"
#: what each clause takes, and how it says so
TAKES: dict[str, tuple[frozenset[str], str]] = {
    "s": (
        TEXTS,
        "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, "
        "and timestamps",
    ),
    "d": (_WHOLE, "decimal clause can only be used on integers"),
    "f": (_FRACTION, "fixed-point clause can only be used on doubles"),
    "e": (_FRACTION, "scientific clause can only be used on doubles"),
    "b": (_WHOLE | {"bool"}, "only integers and bools can be formatted as binary"),
    "x": (_WHOLE | {"string", "bytes"}, _HEX),
    "X": (_WHOLE | {"string", "bytes"}, _HEX),
    "o": (_WHOLE, "octal clause can only be used on integers"),
}


def format_(text: str, args: list[Any]) -> str:
    return _interpolate(text, len(args), lambda at, verb, precision: _clause(verb, args[at], precision))


def static_fault(text: str, args: list[Expr]) -> tuple[Expr | None, str] | None:
    """What is wrong with a format and its arguments, by their types: the argument, if it is one's fault, and words."""
    used = 0

    def check(at: int, verb: str, precision: int) -> str:
        nonlocal used
        used = at + 1
        if verb not in TAKES:
            raise _unparsed(f'unrecognized formatting clause "{verb}"')
        kinds, rule = TAKES[verb]
        if wrong := _of_other_kind(args[at], kinds):
            raise _Misfit(wrong, rule)
        return ""

    try:
        _interpolate(text, len(args), check, static=True)
    except _Misfit as misfit:
        return misfit.arg, str(misfit)
    except CelError as error:
        return None, str(error)
    if len(args) > used:
        return None, f"too many arguments supplied to string.format (expected {used}, got {len(args)})"
    return None


class _Misfit(CelError):
    def __init__(self, arg: Expr, rule: str) -> None:
        kind = arg.type[0]
        name = show_type(arg.type) if kind in ("object", "opaque") else NAMES.get(kind, kind)
        super().__init__(f"error during formatting: {rule}, was given {name.partition('(')[0]}")
        self.arg = arg


def _of_other_kind(arg: Expr, kinds: frozenset[str]) -> Expr | None:
    """The argument, or what is in it, that is of none of the kinds."""
    if arg.type[0] not in kinds and arg.type[0] != "dyn":
        return arg
    inside: list[Any] = []
    if kinds is TEXTS and isinstance(arg, ListExpr):
        inside = arg.elements
    elif kinds is TEXTS and isinstance(arg, MapExpr) and not arg.name:
        inside = [part for key, value, _ in arg.entries for part in (key, value)]
    return next((wrong for part in inside if (wrong := _of_other_kind(part, kinds))), None)


def _interpolate(text: str, count: int, clause: Callable[[int, str, int], str], static: bool = False) -> str:
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
            missing = CelError(f"index {used} out of range")
            if used >= count and not static:
                raise missing
            if at + 1 >= len(text):
                raise CelError("unexpected end of string")
            if used >= count:
                raise missing
            at, precision = _precision(text, at + 1)
            out.append(clause(used, text[at], precision))
            used += 1
            at += 1
    return "".join(out)


def _precision(text: str, at: int) -> tuple[int, int]:
    """(where the verb stands, the precision before it)."""
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
                raise _wrong(verb, value)
            return str(int(value))
        case "f":
            return _fixed(_double(verb, value), precision)
        case "e":
            return _scientific(_double(verb, value), precision)
        case "b":
            if value.__class__ is bool:
                return "1" if value else "0"
            if not number:
                raise _wrong(verb, value)
            return f"{int(value):b}"
        case "x" | "X":
            if number:
                return f"{int(value):{verb}}"
            data = value.encode() if isinstance(value, str) else value
            if not isinstance(data, bytes):
                raise _wrong(verb, value)
            return data.hex() if verb == "x" else data.hex().upper()
        case "o":
            if not number:
                raise _wrong(verb, value)
            return f"{int(value):o}"
    raise _unparsed(f'unrecognized formatting clause "{verb}"')


def _double(verb: str, value: Any) -> float:
    if value.__class__ is float or value.__class__ is str and value in NO_NUMBERS:
        return float(value)
    raise _wrong(verb, value)


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


def _wrong(verb: str, value: Any) -> CelError:
    return CelError(f"error during formatting: {TAKES[verb][1]}, was given {type_of(value)}")


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
