"""RoleBinding of rbac.authorization.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import SUBDOMAIN, Resource, without_metadata

ROLEBINDINGS = Resource("rolebindings", "rbac.authorization.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {
            "roleRef": {"kind": "Role", "name": "a", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [
                {"kind": "User", "name": "u"},
                {"kind": "Group", "name": "g"},
                {"kind": "ServiceAccount", "name": "s", "namespace": "default"},
            ],
        },
        {
            "subjects": [
                {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "u"},
                {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "g"},
                {"kind": "ServiceAccount", "name": "s", "namespace": "default"},
            ],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"},
        },
        id="rolebinding",
    ),
    pytest.param(
        {"roleRef": {"kind": "ClusterRole", "name": "view"}},
        {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}},
        id="no apigroup",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "sa"}],
        },
        {
            "subjects": [{"kind": "ServiceAccount", "name": "sa"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        },
        id="binding subject sa no namespace",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(ROLEBINDINGS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"subjects": [{"kind": "User", "name": "u"}]},
        [
            'roleRef.kind: Unsupported value: "": supported values: "Role", "ClusterRole"',
            "roleRef.name: Required value",
        ],
        id="binding no ref",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Wild", "name": "r"},
            "subjects": [{"kind": "User", "name": "u"}],
        },
        ['roleRef.kind: Unsupported value: "Wild": supported values: "Role", "ClusterRole"'],
        id="binding ref kind",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "apps", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u"}],
        },
        ['roleRef.apiGroup: Unsupported value: "apps": supported values: "rbac.authorization.k8s.io"'],
        id="binding ref group",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ""},
            "subjects": [{"kind": "User", "name": "u"}],
        },
        ["roleRef.name: Required value"],
        id="binding ref no name",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "Robot", "name": "r"}],
        },
        ['subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"'],
        id="binding subject kind",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "User"}],
        },
        ["subjects[0].name: Required value"],
        id="binding subject no name",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [
                {
                    "kind": "ServiceAccount",
                    "name": "sa",
                    "namespace": "n",
                    "apiGroup": "rbac.authorization.k8s.io",
                }
            ],
        },
        ['subjects[0].apiGroup: Unsupported value: "rbac.authorization.k8s.io": supported values: ""'],
        id="binding subject sa group",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u", "apiGroup": "x"}],
        },
        ['subjects[0].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"'],
        id="binding subject user group",
    ),
    pytest.param(
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "Bad Name", "namespace": "n"}],
        },
        [f'subjects[0].name: Invalid value: "Bad Name": {SUBDOMAIN}'],
        id="binding subject sa bad name",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert ROLEBINDINGS.errors(body) == errors


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
    pytest.param(
        {"roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"}},
        {
            "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [
                {"kind": "User", "name": "u"},
                {"kind": "User", "name": "v"},
                {"kind": "Group", "name": "g"},
                {"kind": "ServiceAccount", "name": "s", "namespace": "d"},
            ],
        },
        [],
        id="subjects",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert ROLEBINDINGS.update_errors(old, new) == errors


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
    assert ROLEBINDINGS.row_of(body) == cells
