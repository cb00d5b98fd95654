"""PriorityClass of scheduling.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

PRIORITYCLASSES = Resource("priorityclasses", "scheduling.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"value": 10}, {"value": 10, "preemptionPolicy": "PreemptLowerPriority"}, id="priorityclass"
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(PRIORITYCLASSES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"metadata": {"name": "x"}, "value": 0, "preemptionPolicy": "Maybe"},
        ['preemptionPolicy: Unsupported value: "Maybe": supported values: "PreemptLowerPriority", "Never"'],
        id="no value",
    ),
    pytest.param(
        {"metadata": {"name": "x"}, "value": 2000000000},
        ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
        id="too high",
    ),
    pytest.param(
        {"metadata": {"name": "system-x"}, "value": 1},
        [
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class"
        ],
        id="system prefix",
    ),
    pytest.param(
        {"metadata": {"name": "system-node-critical"}, "value": 1},
        [
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000"
        ],
        id="wrong system value",
    ),
    pytest.param({"metadata": {"name": "system-node-critical"}, "value": 2000001000}, [], id="system"),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert PRIORITYCLASSES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"value": 5}, {"value": 6}, ["value: Forbidden: may not be changed in an update."], id="value"
    ),
    pytest.param(
        {"value": 5},
        {"value": 5, "preemptionPolicy": "Never"},
        ['preemptionPolicy: Invalid value: "Never": field is immutable'],
        id="policy",
    ),
    pytest.param({"value": 5}, {"value": 5, "description": "d"}, [], id="description"),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert PRIORITYCLASSES.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({"value": 7}, ["a", 7, False, "120m", "PreemptLowerPriority"], id="row"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert PRIORITYCLASSES.row_of(body) == cells


def test_generation_never_grows():
    after, _ = PRIORITYCLASSES.updated({"value": 5}, {"value": 5, "description": "d"})
    assert after["metadata"]["generation"] == 1
