"""Lease of coordination.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

LEASES = Resource("leases", "coordination.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {
            "spec": {
                "holderIdentity": "me",
                "leaseDurationSeconds": 10,
                "renewTime": "2020-01-02T03:04:05.678901Z",
            }
        },
        {
            "spec": {
                "holderIdentity": "me",
                "leaseDurationSeconds": 10,
                "renewTime": "2020-01-02T03:04:05.678901Z",
            }
        },
        id="lease",
    ),
    pytest.param({"spec": {"holderIdentity": ""}}, {"spec": {"holderIdentity": ""}}, id="empty holder"),
    pytest.param({}, {"spec": {}}, id="no spec"),
    pytest.param({"spec": {"strategy": "Odd", "preferredHolder": "x"}}, {"spec": {}}, id="a closed gate"),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(LEASES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"leaseDurationSeconds": -1, "leaseTransitions": -1}},
        [
            "spec.leaseDurationSeconds: Invalid value: -1: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ],
        id="negative",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert LEASES.errors(body) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({"spec": {"holderIdentity": "me"}}, ["a", "me", "120m"], id="row"),
    pytest.param({}, ["a", "", "120m"], id="nobody"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert LEASES.row_of(body) == cells
