"""ClusterRoleBinding of rbac.authorization.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

CLUSTERROLEBINDINGS = Resource("clusterrolebindings", "rbac.authorization.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "x", "namespace": "y"}],
        },
        {
            "subjects": [{"kind": "ServiceAccount", "name": "x", "namespace": "y"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        },
        id="clusterrolebinding",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(CLUSTERROLEBINDINGS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}},
        ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'],
        id="clusterbinding to role",
    ),
    pytest.param(
        {
            "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [{"kind": "ServiceAccount", "name": "s"}],
        },
        ["subjects[0].namespace: Required value"],
        id="account without namespace",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert CLUSTERROLEBINDINGS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"}},
        {"roleRef": {"kind": "ClusterRole", "name": "edit", "apiGroup": "rbac.authorization.k8s.io"}},
        [
            'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"edit"}: cannot change roleRef'
        ],
        id="role",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert CLUSTERROLEBINDINGS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [
                {"kind": "User", "name": "u"},
                {"kind": "User", "name": "v"},
                {"kind": "Group", "name": "g"},
                {"kind": "ServiceAccount", "name": "s", "namespace": "d"},
            ],
        },
        ["a", "ClusterRole/view", "120m", "u, v", "g", "d/s"],
        id="row",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert CLUSTERROLEBINDINGS.row_of(body) == cells
