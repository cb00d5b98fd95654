"""Amounts of resources: `500m`, `1536Mi`, `1e3` (apimachinery's resource.Quantity).

A quantity is a text in its canonical form that also knows its value. The value is kept as a whole number of
nano units, the finest grain Kubernetes has; anything finer is rounded away from zero when it is parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fractions import Fraction

BINARY: Final = "BinarySI"
DECIMAL: Final = "DecimalSI"
EXPONENT: Final = "DecimalExponent"

FORMAT_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NUMBER_ERROR = "unable to parse numeric part of quantity"
SUFFIX_ERROR = "unable to parse quantity's suffix"

NANO = 10**9
_BINARY_MAX = (2**63 - 1) * NANO
_INT64 = range(-(2**63), 2**63)
_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_NAMES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
#: Go would compute with such a number until memory ends; nothing real comes near it
_EXPONENT_MAX = 1000
_DIGITS_MAX = 1000
#: Go's scanner takes a lone sign or dot for a zero, and so does this
_SPLIT = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)").fullmatch
_EXPONENT = re.compile("[eE]([-+]?[0-9]+)").fullmatch


class Quantity(str):
    """The canonical text; `nanos` is the value in units of 10**-9, `format` one of Kubernetes' three."""

    __slots__ = ("format", "nanos")
    nanos: int
    format: str  # type: ignore[assignment]  # Kubernetes' name; nobody formats with a quantity

    def __new__(cls, text: str | int | float = "0") -> Quantity:
        return cls.parse(text)

    @staticmethod
    def parse(text: str | int | float) -> Quantity:
        """Reads what the wire may hold. ValueError has Kubernetes' message."""
        if type(text) is Quantity:
            return text
        if isinstance(text, str):
            return _parse(text.strip())
        if isinstance(text, bool):
            raise ValueError(FORMAT_ERROR)
        return _parse(repr(text))

    @property
    def value(self) -> int:
        """In whole units, rounded away from zero."""
        return _round_away(self.nanos, NANO)

    @property
    def milli(self) -> int:
        """In thousandths, rounded away from zero."""
        return _round_away(self.nanos, 10**6)

    @property
    def exact(self) -> Fraction:
        from fractions import Fraction

        return Fraction(self.nanos, NANO)

    @property
    def is_zero(self) -> bool:
        return not self.nanos

    @property
    def sign(self) -> int:
        """-1, 0 or 1."""
        return (self.nanos > 0) - (self.nanos < 0)

    def scaled(self, exponent: int) -> int:
        """In units of 10**exponent, rounded away from zero."""
        return (
            _round_away(self.nanos, 10 ** (exponent + 9))
            if exponent >= -9
            else self.nanos * 10 ** (-9 - exponent)
        )

    def add(self, other: str | int | float) -> Quantity:
        other = Quantity.parse(other)
        return _make(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def sub(self, other: str | int | float) -> Quantity:
        other = Quantity.parse(other)
        return _make(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def mul(self, factor: int) -> Quantity:
        return _make(self.nanos * factor, self.format)

    def compare(self, other: str | int | float) -> int:
        """-1, 0 or 1: by value, whatever the format."""
        other = Quantity.parse(other)
        return (self.nanos > other.nanos) - (self.nanos < other.nanos)

    def __reduce__(self) -> tuple[type[Quantity], tuple[str]]:
        return Quantity, (str(self),)


def _round_away(number: int, unit: int) -> int:
    return -(-number // unit) if number >= 0 else number // unit


def _new(text: str, nanos: int, form: str) -> Quantity:
    quantity = str.__new__(Quantity, text)
    quantity.nanos = nanos
    quantity.format = form
    return quantity


@lru_cache(maxsize=65536)
def _make(nanos: int, form: str) -> Quantity:
    return _new(canonical(nanos, form), nanos, form)


def canonical(nanos: int, form: str) -> str:
    """The text with the largest suffix that needs no fraction."""
    if not nanos:
        return "0"
    # Small or fractional amounts are written in decimal, so that nothing is lost.
    if form == BINARY and (nanos >= 1024 * NANO or nanos <= -1024 * NANO) and not nanos % NANO:
        amount, power = nanos // NANO, 0
        while power < 6 and not amount % 1024:
            amount //= 1024
            power += 1
        return f"{amount}{_BINARY_NAMES[power]}"
    amount, exponent = nanos, -9
    while not amount % 1000:
        amount //= 1000
        exponent += 3
    if form == EXPONENT or exponent > 18:
        return f"{amount}e{exponent}" if exponent else str(amount)
    return f"{amount}{_DECIMAL_NAMES[exponent]}"


def _suffix(suffix: str) -> tuple[str, int]:
    """The format and the exponent (of 2 for the binary format, of 10 for the others)."""
    if (exponent := _DECIMAL_SUFFIXES.get(suffix)) is not None:
        return DECIMAL, exponent
    if (exponent := _BINARY_SUFFIXES.get(suffix)) is not None:
        return BINARY, exponent
    match = _EXPONENT(suffix)
    if not match or len(match[1]) > 12 or int(match[1]) > _EXPONENT_MAX:
        raise ValueError(SUFFIX_ERROR)
    return EXPONENT, max(int(match[1]), -_EXPONENT_MAX)


@lru_cache(maxsize=65536)
def _parse(text: str) -> Quantity:
    match = _SPLIT(text) if text and text.isascii() else None
    if not match:
        raise ValueError(FORMAT_ERROR)
    sign, whole, fraction, suffix = match[1], match[2] or "0", match[3] or "", match[4]
    form, exponent = _suffix(suffix)
    digits = whole + fraction
    if len(digits) > _DIGITS_MAX:
        raise ValueError(NUMBER_ERROR)
    number = int(digits)
    if form == BINARY:
        nanos = _round_away((number << exponent) * NANO, 10 ** len(fraction))
        verbatim = not fraction and _is_canonical_binary(number, exponent, len(whole))
        if not verbatim:
            nanos = min(nanos, _BINARY_MAX)
            if 0 < nanos < NANO:
                form = DECIMAL
    else:
        scale = exponent - len(fraction)
        nanos = number * 10 ** (scale + 9) if scale >= -9 else _round_away(number, 10 ** (-9 - scale))
        verbatim = len(digits) <= 18 and scale >= -9 and _is_canonical_decimal(digits, scale)
    if sign == "-":
        nanos = -nanos
    # Kubernetes keeps the text of a number that its quick look finds canonical, even `+1` and `1.234`.
    return _new(text if verbatim else canonical(nanos, form), nanos, form)


def _is_canonical_binary(number: int, exponent: int, digits: int) -> bool:
    quick = 15 - digits - int(exponent * 3 / 10) - 1 >= 0 and number << exponent in _INT64
    return quick and bool(number & 7)


def _is_canonical_decimal(digits: str, scale: int) -> bool:
    return scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


# functions for callers that hold plain texts


def parse(text: str | int | float) -> Quantity:
    return Quantity.parse(text)


def add(a: str | int | float, b: str | int | float) -> Quantity:
    """The sum in the format of the first that is not zero."""
    return Quantity.parse(a).add(b)


def sub(a: str | int | float, b: str | int | float) -> Quantity:
    return Quantity.parse(a).sub(b)


def compare(a: str | int | float, b: str | int | float) -> int:
    """-1, 0 or 1 by value."""
    return Quantity.parse(a).compare(b)


def equal(a: str | int | float, b: str | int | float) -> bool:
    return Quantity.parse(a).nanos == Quantity.parse(b).nanos


def maximum(a: Quantity, b: Quantity) -> Quantity:
    """The larger one; the first where they are equal."""
    return b if b.nanos > a.nanos else a


def minimum(a: Quantity, b: Quantity) -> Quantity:
    return b if b.nanos < a.nanos else a


def zero(form: str = DECIMAL) -> Quantity:
    return _make(0, form)


def from_milli(milli: int, form: str = DECIMAL) -> Quantity:
    return _make(milli * 10**6, form)
