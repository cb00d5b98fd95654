"""ClusterRole of rbac.authorization.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

CLUSTERROLES = Resource("clusterroles", "rbac.authorization.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]},
        {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
        id="clusterrole",
    ),
    pytest.param({"rules": []}, {"rules": None}, id="odd name"),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(CLUSTERROLES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"rules": [{"nonResourceURLs": ["/x"], "apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        [
            'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs'
        ],
        id="non resource mix",
    ),
    pytest.param(
        {"rules": [{"nonResourceURLs": ["/x"]}]},
        ["rules[0].verbs: Required value: verbs must contain at least one value"],
        id="non resource no verbs",
    ),
    pytest.param(
        {
            "rules": [],
            "aggregationRule": {
                "clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "X"}]}]
            },
        },
        [
            'aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: "X": not a valid selector operator',
            "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
        ],
        id="aggregation bad",
    ),
    pytest.param(
        {"rules": [], "aggregationRule": {}},
        [
            "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"
        ],
        id="aggregation empty",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert CLUSTERROLES.errors(body) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({}, ["a", "2026-01-02T03:04:05Z"], id="row"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert CLUSTERROLES.row_of(body) == cells
