"""Role of rbac.authorization.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

ROLES = Resource("roles", "rbac.authorization.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]},
        id="role",
    ),
    pytest.param({}, {"rules": None}, id="empty"),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(ROLES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
        ["rules[0].verbs: Required value: verbs must contain at least one value"],
        id="no verbs",
    ),
    pytest.param(
        {"rules": [{"resources": ["pods"], "verbs": ["get"]}]},
        ["rules[0].apiGroups: Required value: resource rules must supply at least one api group"],
        id="no groups",
    ),
    pytest.param(
        {"rules": [{"apiGroups": [""], "verbs": ["get"]}]},
        ["rules[0].resources: Required value: resource rules must supply at least one resource"],
        id="no resources",
    ),
    pytest.param(
        {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]},
        [
            'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs'
        ],
        id="non resource",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert ROLES.errors(body) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({}, ["a", "2026-01-02T03:04:05Z"], id="row"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert ROLES.row_of(body) == cells
