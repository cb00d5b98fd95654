"""VolumeAttributesClass of storage.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

VOLUMEATTRIBUTESCLASSES = Resource("volumeattributesclasses", "storage.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"driverName": "d.example.com", "parameters": {"a": "b"}},
        {"driverName": "d.example.com", "parameters": {"a": "b"}},
        id="volumeattributesclass",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(VOLUMEATTRIBUTESCLASSES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {},
        [
            "driverName: Required value",
            "parameters: Required value: must contain at least one key/value pair",
        ],
        id="vac no driver",
    ),
    pytest.param(
        {"driverName": "a.b"},
        ["parameters: Required value: must contain at least one key/value pair"],
        id="vac no parameters",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert VOLUMEATTRIBUTESCLASSES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"driverName": "d", "parameters": {"a": "b"}},
        {"driverName": "e", "parameters": {"a": "c"}},
        [
            "driverName: Forbidden: updates to driverName are forbidden.",
            "parameters: Forbidden: updates to parameters are forbidden.",
        ],
        id="both",
    ),
    pytest.param(
        {"driverName": "d", "parameters": {"a": "b"}},
        {"driverName": "d", "parameters": {}},
        [
            "parameters: Required value: must contain at least one key/value pair",
            "parameters: Forbidden: updates to parameters are forbidden.",
        ],
        id="none left",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert VOLUMEATTRIBUTESCLASSES.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({"driverName": "d", "parameters": {"a": "b"}}, ["a", "d", "120m"], id="row"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert VOLUMEATTRIBUTESCLASSES.row_of(body) == cells
