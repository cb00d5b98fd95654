"""Kubernetes' quantity()."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from knarr.meta import quantity as quantities
from knarr.meta.cel.functions import overload
from knarr.meta.cel.values import CelError


class QuantityValue:
    """A quantity; equal ones may be written differently."""

    cel_type = "kubernetes.Quantity"
    __slots__ = ("number", "text")

    def __init__(self, text: str) -> None:
        self.text = quantities.parse(text)
        self.number = Fraction(self.text.exact)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QuantityValue) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


def parse(text: str) -> QuantityValue:
    try:
        return QuantityValue(text)
    except ValueError as error:
        raise CelError(str(error)) from None


def is_quantity(text: str) -> bool:
    try:
        quantities.parse(text)
    except ValueError:
        return False
    return True


def as_integer(value: QuantityValue) -> int:
    if not is_integer(value):
        raise CelError("cannot convert value to integer")
    return int(value.number)


def is_integer(value: QuantityValue) -> bool:
    return value.number.denominator == 1 and -(1 << 63) <= value.number < 1 << 63


def add(a: QuantityValue, b: Any) -> QuantityValue:
    return QuantityValue(quantities.add(a.text, _text(b)))


def sub(a: QuantityValue, b: Any) -> QuantityValue:
    return QuantityValue(quantities.sub(a.text, _text(b)))


def _text(value: Any) -> str:
    return value.text if isinstance(value, QuantityValue) else str(value)


def compare(a: QuantityValue, b: QuantityValue) -> int:
    return (a.number > b.number) - (a.number < b.number)


Q = "kubernetes.Quantity"
OVERLOADS = (
    overload(f"string_to_quantity: quantity(string) -> {Q}", parse),
    overload("is_quantity_string: isQuantity(string) -> bool", is_quantity),
    overload(f"quantity_sign: {Q}::sign() -> int", lambda q: (q.number > 0) - (q.number < 0)),
    overload(f"quantity_is_greater_than: {Q}::isGreaterThan({Q}) -> bool", lambda a, b: a.number > b.number),
    overload(f"quantity_is_less_than: {Q}::isLessThan({Q}) -> bool", lambda a, b: a.number < b.number),
    overload(f"quantity_compare_to: {Q}::compareTo({Q}) -> int", compare),
    overload(f"quantity_get_float: {Q}::asApproximateFloat() -> double", lambda q: float(q.number)),
    overload(f"quantity_get_int: {Q}::asInteger() -> int", as_integer),
    overload(f"quantity_is_integer: {Q}::isInteger() -> bool", is_integer),
    overload(f"quantity_add: {Q}::add({Q}) -> {Q}", add),
    overload(f"quantity_add_int: {Q}::add(int) -> {Q}", add),
    overload(f"quantity_sub: {Q}::sub({Q}) -> {Q}", sub),
    overload(f"quantity_sub_int: {Q}::sub(int) -> {Q}", sub),
)
