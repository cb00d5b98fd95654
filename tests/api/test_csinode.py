"""CSINode of storage.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

CSINODES = Resource("csinodes", "storage.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"drivers": [{"name": "d.example.com", "nodeID": "n"}]}},
        {"spec": {"drivers": [{"name": "d.example.com", "nodeID": "n", "topologyKeys": None}]}},
        id="csinode",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(CSINODES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"drivers": [{"name": "a", "nodeID": "n"}, {"name": "a", "nodeID": ""}]}},
        ["spec.drivers[1].nodeID: Required value", 'spec.drivers[1].name: Duplicate value: "a"'],
        id="duplicate",
    ),
    pytest.param(
        {"spec": {"drivers": [{"name": "a", "nodeID": "n", "topologyKeys": ["k", "k"]}]}},
        ['spec.drivers[0]: Duplicate value: "k"'],
        id="keys",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert CSINODES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"drivers": [{"name": "a", "nodeID": "n"}]}},
        {"spec": {"drivers": [{"name": "a", "nodeID": "m"}]}},
        [
            'CSINodeDriver: Invalid value: {"Name":"a","NodeID":"m","TopologyKeys":null,"Allocatable":null}: field is immutable'
        ],
        id="driver",
    ),
    pytest.param(
        {"spec": {"drivers": [{"name": "a", "nodeID": "n"}]}},
        {"spec": {"drivers": [{"name": "a", "nodeID": "n", "allocatable": {"count": 3}}]}},
        [],
        id="limit",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert CSINODES.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {"spec": {"drivers": [{"name": "d.example.com", "nodeID": "n"}]}}, ["a", 1, "120m"], id="one"
    ),
    pytest.param({"spec": {"drivers": []}}, ["a", 0, "120m"], id="none"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert CSINODES.row_of(body) == cells
