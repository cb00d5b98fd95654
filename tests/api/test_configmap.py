"""ConfigMap: defaults, rules, updates, table."""

import pytest

from .kindcases import CONFIG_KEY, Resource, without_metadata

CONFIGMAPS = Resource("configmaps")

#: what a client sends, what is stored
CREATED = [
    pytest.param({}, {}, id="configmap"),
    pytest.param(
        {"data": {"k": "v"}, "binaryData": {"bin": "AAEC"}, "immutable": True},
        {"immutable": True, "data": {"k": "v"}, "binaryData": {"bin": "AAEC"}},
        id="data",
    ),
    pytest.param({"data": {"a": None}}, {"data": {"a": ""}}, id="null value"),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(CONFIGMAPS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param({"data": {"a b": "c"}}, [f'data[a b]: Invalid value: "a b": {CONFIG_KEY}'], id="bad key"),
    pytest.param({"data": {"..": "c"}}, ["data[..]: Invalid value: \"..\": must not be '..'"], id="dot key"),
    pytest.param(
        {"data": {"a": "b"}, "binaryData": {"a": "AA=="}},
        ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
        id="duplicate binary",
    ),
    pytest.param(
        {"data": {"a": "x" * 1048577}}, ["[]: Too long: may not be more than 1048576 bytes"], id="too long"
    ),
    pytest.param(
        {"binaryData": {"a b": "AA=="}},
        [f'binaryData[a b]: Invalid value: "a b": {CONFIG_KEY}'],
        id="binary key",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert CONFIGMAPS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"immutable": True, "data": {"a": "b"}},
        {"immutable": True, "data": {"a": "c"}},
        ["data: Forbidden: field is immutable when `immutable` is set"],
        id="data",
    ),
    pytest.param(
        {"immutable": True, "data": {"a": "b"}},
        {"binaryData": {"z": "AA=="}},
        [
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
            "binaryData: Forbidden: field is immutable when `immutable` is set",
        ],
        id="all",
    ),
    pytest.param(
        {"immutable": True, "data": {"a": "b"}},
        {"immutable": True, "data": {"a": "b"}, "metadata": {"labels": {"a": "b"}}},
        [],
        id="nothing",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert CONFIGMAPS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AA=="}}, ["a", 3, "120m"], id="both"),
    pytest.param({}, ["a", 0, "120m"], id="none"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert CONFIGMAPS.row_of(body) == cells
