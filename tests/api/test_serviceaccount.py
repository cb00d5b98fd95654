"""ServiceAccount: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

SERVICEACCOUNTS = Resource("serviceaccounts")

#: what a client sends, what is stored
CREATED = [
    pytest.param({}, {}, id="serviceaccount"),
    pytest.param(
        {
            "secrets": [{"name": "a"}],
            "imagePullSecrets": [{"name": "b"}],
            "automountServiceAccountToken": False,
        },
        {
            "secrets": [{"name": "a"}],
            "imagePullSecrets": [{"name": "b"}],
            "automountServiceAccountToken": False,
        },
        id="secrets",
    ),
    pytest.param(
        {"secrets": [{"name": "x", "kind": "Secret", "namespace": "other"}]},
        {"secrets": [{"name": "x"}]},
        id="only names of secrets",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(SERVICEACCOUNTS.created(body)) == want


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}},
        [
            "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        ],
        id="old annotation",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert SERVICEACCOUNTS.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param({"secrets": [{"name": "x"}]}, ["a", "120m"], id="row"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert SERVICEACCOUNTS.row_of(body) == cells
