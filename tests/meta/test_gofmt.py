"""Values as Go prints them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.meta import gofmt


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a", '"a"'),
        ("", '""'),
        ('a"b\\', r'"a\"b\\"'),
        ("a\nb\t\x07", r'"a\nb\t\a"'),
        ("\x01\x7f", r'"\x01\x7f"'),
        ("é漢<&>", '"é漢<&>"'),
        ("\u00a0\u2028", r'"\u00a0\u2028"'),
        ("\U000e0001", r'"\U000e0001"'),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    assert gofmt.quote(text) == quoted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        (1.0, "1"),
        (0.1, "0.1"),
        (123456.0, "123456"),
        (1e6, "1e+06"),
        (1234567.5, "1.2345675e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-2.5, "-2.5"),
        (1e100, "1e+100"),
        (float("inf"), "+Inf"),
        ("x", '"x"'),
        (["a", "b"], '["a","b"]'),
        ({"b": 1, "a": None}, '{"b":1,"a":null}'),
        ({"a": "<b> & c"}, r'{"a":"\u003cb\u003e \u0026 c"}'),
        ({"a": "\u2028"}, r'{"a":"\u2028"}'),
    ],
)
def test_values_in_field_errors(value: Any, text: str) -> None:
    assert gofmt.go_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"data": [1]}, "map[data:[1]]"),
        ({"b": None, "a": {"c": True, "d": "x y"}}, "map[a:map[c:true d:x y] b:<nil>]"),
        ([1, 1.5, "a", [], {}], "[1 1.5 a [] map[]]"),
    ],
)
def test_plain(value: Any, text: str) -> None:
    assert gofmt.go_plain(value) == text


def test_string_lists() -> None:
    assert gofmt.quote_list(["a", 'b"']) == r'[]string{"a", "b\""}'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_value(number: float) -> None:
    assert float(gofmt.go_float(number)) == number


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_json_means_the_same(value: Any) -> None:
    text = gofmt.go_json(value)
    assert orjson.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_kinds_of_json() -> None:
    kinds = [gofmt.json_kind(value) for value in (True, 1, 1.5, "a", [], {})]
    assert kinds == ["bool", "number", "number", "string", "array", "object"]
