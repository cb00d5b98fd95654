"""Quantities: Kubernetes' canonical texts, and arithmetic against fractions."""

from __future__ import annotations

import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta import quantity
from knarr.meta.quantity import BINARY, DECIMAL, EXPONENT, FORMAT_ERROR, NUMBER_ERROR, SUFFIX_ERROR, Quantity


@pytest.mark.parametrize(
    ("text", "canonical", "form"),
    [
        ("0", "0", DECIMAL),
        ("1", "1", DECIMAL),
        ("500m", "500m", DECIMAL),
        ("0.5", "500m", DECIMAL),
        (".5", "500m", DECIMAL),
        ("1.", "1.", DECIMAL),  # kept as it was written, like Go
        ("1000m", "1", DECIMAL),
        ("1000", "1k", DECIMAL),
        ("1500", "1500", DECIMAL),
        ("1.5k", "1500", DECIMAL),
        ("100000", "100k", DECIMAL),
        ("5E", "5E", DECIMAL),
        ("0.1m", "100u", DECIMAL),
        ("1n", "1n", DECIMAL),
        ("-1.5", "-1500m", DECIMAL),
        ("-0", "0", DECIMAL),
        ("007", "007", DECIMAL),  # the quick look of Go's parser does not see the zeros
        ("+1", "+1", DECIMAL),
        ("1Ki", "1Ki", BINARY),
        ("1024Ki", "1Mi", BINARY),
        ("1024Mi", "1Gi", BINARY),
        ("1.5Gi", "1536Mi", BINARY),
        ("0.5Gi", "512Mi", BINARY),
        ("1000Ki", "1000Ki", BINARY),
        ("-1Gi", "-1Gi", BINARY),
        ("1.0001Ki", "1024102400u", BINARY),  # nothing is lost, so it is shown in decimal
        ("0.0001Ki", "102400u", DECIMAL),
        ("1e3", "1e3", EXPONENT),
        ("1E3", "1E3", EXPONENT),
        ("1e4", "10e3", EXPONENT),
        ("12e6", "12e6", EXPONENT),
        ("1e-9", "1e-9", EXPONENT),
        ("1e0", "1e0", EXPONENT),
    ],
)
def test_canonical(text: str, canonical: str, form: str) -> None:
    parsed = Quantity.parse(text)
    assert (parsed, parsed.format) == (canonical, form)
    assert isinstance(parsed, Quantity)


@pytest.mark.parametrize(
    ("number", "canonical"), [(1, "1"), (2000, "2k"), (1.5, "1500m"), (0.1, "100m"), (-3, "-3")]
)
def test_numbers_of_the_wire(number: float, canonical: str) -> None:
    assert Quantity.parse(number) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", FORMAT_ERROR),
        ("abc", FORMAT_ERROR),
        ("1 Gi", FORMAT_ERROR),
        ("1KiB", FORMAT_ERROR),
        ("1.2.3", FORMAT_ERROR),
        ("1,5", FORMAT_ERROR),
        ("one", FORMAT_ERROR),
        ("1\u0663", FORMAT_ERROR),
        (True, FORMAT_ERROR),
        ("1ee", SUFFIX_ERROR),
        ("1e", SUFFIX_ERROR),
        ("1MM", SUFFIX_ERROR),
        ("1gi"[:2] + "i", FORMAT_ERROR),
        ("--1", SUFFIX_ERROR),
        ("1e999999999999", SUFFIX_ERROR),
        ("9" * 2000, NUMBER_ERROR),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Quantity.parse(text)
    assert str(error.value) == message


def test_the_message_is_kubernetes_own() -> None:
    assert FORMAT_ERROR == (
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )


@pytest.mark.parametrize(
    ("text", "value", "milli"),
    [
        ("100m", 1, 100),
        ("1n", 1, 1),
        ("1.5", 2, 1500),
        ("-1.5", -2, -1500),
        ("1Ki", 1024, 1024000),
        ("2", 2, 2000),
        ("1500u", 1, 2),
    ],
)
def test_whole_units_are_rounded_away_from_zero(text: str, value: int, milli: int) -> None:
    assert (Quantity.parse(text).value, Quantity.parse(text).milli) == (value, milli)


def test_finer_than_nano_is_rounded_up() -> None:
    assert Quantity.parse("0.1n") == "1n"
    assert Quantity.parse("1e-40") == "1e-9"
    assert Quantity.parse("-0.1n") == "-1n"


def test_binary_amounts_are_capped() -> None:
    assert Quantity.parse("9223372036854775808Ei").value == 2**63 - 1


def test_the_format_is_that_of_the_first_that_is_not_zero() -> None:
    assert quantity.add("1Gi", "1G") == "2073741824"
    assert quantity.add("0", "1Gi").format == BINARY
    assert quantity.sub("2Gi", "1Gi") == "1Gi"
    assert quantity.sub("1", "250m") == "750m"
    assert quantity.from_milli(2500) == "2500m"
    assert quantity.zero() == "0" and quantity.zero().is_zero


def test_equal_values_compare_equal_whatever_the_format() -> None:
    assert quantity.compare("1Ki", "1024") == 0
    assert quantity.compare("1Ki", "1k") == 1
    assert quantity.compare("-1", "0") == -1
    assert quantity.maximum(Quantity("1"), Quantity("1100m")) == "1100m"
    assert quantity.minimum(Quantity("1"), Quantity("1100m")) == "1"


def test_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(Quantity("1536Mi")))
    assert type(again) is Quantity and again.nanos == Quantity("1536Mi").nanos


SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(1000),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "e3": Fraction(1000),
    "E2": Fraction(100),
    "e-3": Fraction(1, 1000),
}


@st.composite
def quantities(draw: st.DrawFn) -> tuple[str, Fraction]:
    """A text and the value it must have: rounded away from zero at the ninth decimal."""
    sign, digits = draw(st.sampled_from(["", "-", "+"])), draw(st.integers(0, 10**7))
    fraction = draw(st.one_of(st.just(""), st.integers(0, 10**6).map(str)))
    suffix = draw(st.sampled_from(sorted(SUFFIXES)))
    number = f"{digits}.{fraction}" if fraction else str(digits)
    exact = Fraction(number) * SUFFIXES[suffix] * 10**9
    rounded = -(-exact.numerator // exact.denominator)
    return f"{sign}{number}{suffix}", Fraction(-rounded if sign == "-" else rounded, 10**9)


@given(quantities())
def test_value_is_exact(case: tuple[str, Fraction]) -> None:
    text, value = case
    assert Quantity.parse(text).exact == value


@given(quantities())
def test_canonical_text_means_the_same_and_is_stable(case: tuple[str, Fraction]) -> None:
    text, value = case
    canonical = str(Quantity.parse(text))
    assert Quantity.parse(canonical).exact == value
    assert str(Quantity.parse(canonical)) == canonical


@given(quantities(), quantities())
def test_order_and_arithmetic_follow_the_values(a: tuple[str, Fraction], b: tuple[str, Fraction]) -> None:
    assert quantity.compare(a[0], b[0]) == (a[1] > b[1]) - (a[1] < b[1])
    assert quantity.add(a[0], b[0]).exact == a[1] + b[1]
    assert quantity.sub(a[0], b[0]).exact == a[1] - b[1]


@given(st.integers(-(10**30), 10**30), st.sampled_from([BINARY, DECIMAL, EXPONENT]))
def test_any_value_has_a_text_that_means_it(nanos: int, form: str) -> None:
    text = quantity.canonical(nanos, form)
    if form != BINARY or abs(nanos) <= (2**63 - 1) * 10**9:
        assert Quantity.parse(text).nanos == nanos
