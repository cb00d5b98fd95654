"""ServiceCIDR of networking.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

SERVICECIDRS = Resource("servicecidrs", "networking.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"cidrs": ["192.0.2.0/24"]}},
        {"spec": {"cidrs": ["192.0.2.0/24"]}, "status": {}},
        id="servicecidr",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(SERVICECIDRS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"cidrs": ["10.0.0.1/8"]}},
        ['spec.cidrs[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length'],
        id="bad",
    ),
    pytest.param(
        {"spec": {"cidrs": []}}, ["spec.cidrs: Required value: at least one CIDR required"], id="empty"
    ),
    pytest.param(
        {"spec": {"cidrs": ["10.0.0.0/16", "10.1.0.0/16"]}},
        [
            'spec.cidrs: Invalid value: ["10.0.0.0/16","10.1.0.0/16"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'
        ],
        id="one family twice",
    ),
    pytest.param(
        {"spec": {"cidrs": ["a", "b", "c"]}},
        ['spec.cidrs: Invalid value: {"CIDRs":["a","b","c"]}: may only hold up to 2 values'],
        id="three",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert SERVICECIDRS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"cidrs": ["10.0.0.0/16"]}},
        {"spec": {"cidrs": ["10.0.0.0/16", "fd00::/112"]}},
        [],
        id="second family",
    ),
    pytest.param(
        {"spec": {"cidrs": ["10.0.0.0/16"]}},
        {"spec": {"cidrs": ["10.1.0.0/16"]}},
        ['spec.cidrs[0]: Invalid value: "10.1.0.0/16": field is immutable'],
        id="another",
    ),
    pytest.param(
        {"spec": {"cidrs": ["10.0.0.0/16"]}},
        {"spec": {}},
        ["spec.cidrs: Invalid value: null: field is immutable"],
        id="none",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert SERVICECIDRS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {"spec": {"cidrs": ["10.0.0.0/16", "fd00::/112"]}}, ["a", "10.0.0.0/16,fd00::/112", "120m"], id="row"
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert SERVICECIDRS.row_of(body) == cells
