"""Numbers in texts as Go's strconv reads them, and its words for those that are none."""

from __future__ import annotations

import re

from knarr.meta.gofmt import quote

_INTEGER, _DIGITS = re.compile(r"[+-]?[0-9]+"), re.compile(r"[0-9]+")
#: longer texts are out of any range; Python would take its time over them
_DIGITS_MAX = 64


def parse_int64(text: str, function: str = "ParseInt") -> int:
    """strconv.ParseInt of base 10. Raises ValueError with its words."""
    return _number(text, _INTEGER, -(1 << 63), 1 << 63, function)


def atoi(text: str) -> int:
    """strconv.Atoi: the same under another name. Raises ValueError with its words."""
    return parse_int64(text, "Atoi")


def parse_uint(text: str, bits: int = 64) -> int:
    """strconv.ParseUint of base 10. Raises ValueError with its words."""
    return _number(text, _DIGITS, 0, 1 << bits, "ParseUint")


def _number(text: str, form: re.Pattern[str], least: int, end: int, function: str) -> int:
    if not form.fullmatch(text):
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    number = int(text) if len(text) <= _DIGITS_MAX else end
    if not least <= number < end:
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return number
