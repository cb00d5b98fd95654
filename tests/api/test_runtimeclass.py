"""RuntimeClass of node.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import LABEL, Resource, without_metadata

RUNTIMECLASSES = Resource("runtimeclasses", "node.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param({"handler": "h"}, {"handler": "h"}, id="runtimeclass"),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(RUNTIMECLASSES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"handler": "Bad_Handler"}, [f'handler: Invalid value: "Bad_Handler": {LABEL}'], id="handler"
    ),
    pytest.param({}, ["handler: Required value"], id="no handler"),
    pytest.param(
        {"handler": "h", "overhead": {"podFixed": {"cpu": "-1"}}},
        ['overhead.podFixed.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
        id="overhead",
    ),
    pytest.param(
        {
            "handler": "h",
            "scheduling": {
                "tolerations": [{"key": "a", "operator": "Exists"}, {"key": "a", "operator": "Exists"}]
            },
        },
        [
            'scheduling.tolerations[1]: Duplicate value: {"Key":"a","Operator":"Exists","Value":"","Effect":"","TolerationSeconds":null}'
        ],
        id="tolerations",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert RUNTIMECLASSES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"handler": "h"}, {"handler": "i"}, ['handler: Invalid value: "i": field is immutable'], id="handler"
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert RUNTIMECLASSES.update_errors(old, new) == errors


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {"handler": "h", "scheduling": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}},
        [
            'scheduling.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
        ],
        id="old label",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert RUNTIMECLASSES.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param({"handler": "h"}, ["a", "h", "120m"], id="row"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert RUNTIMECLASSES.row_of(body) == cells
