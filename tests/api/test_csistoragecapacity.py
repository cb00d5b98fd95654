"""CSIStorageCapacity of storage.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import SUBDOMAIN, Resource, without_metadata

CSISTORAGECAPACITIES = Resource("csistoragecapacities", "storage.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"storageClassName": "x", "capacity": "1Gi"},
        {"storageClassName": "x", "capacity": "1Gi"},
        id="csistoragecapacity",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(CSISTORAGECAPACITIES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"storageClassName": "", "capacity": "-1"},
        [
            f'storageClassName: Invalid value: "": {SUBDOMAIN}',
            'capacity: Invalid value: "-1": must be greater than or equal to 0',
        ],
        id="bad",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert CSISTORAGECAPACITIES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"storageClassName": "x"},
        {"storageClassName": "y"},
        ['storageClassName: Invalid value: "y": field is immutable'],
        id="class",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert CSISTORAGECAPACITIES.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({"storageClassName": "x"}, ["a", "2026-01-02T03:04:05Z"], id="row"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert CSISTORAGECAPACITIES.row_of(body) == cells


def test_old_names_of_node_labels_are_warned_about():
    expressions = [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]
    topology = {"matchLabels": {"beta.kubernetes.io/arch": "a", "b": "c"}, "matchExpressions": expressions}
    assert CSISTORAGECAPACITIES.warnings({"storageClassName": "s", "nodeTopology": topology}) == [
        "nodeTopology.matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14;"
        ' use "kubernetes.io/os" instead',
        "nodeTopology.matchLabels.beta.kubernetes.io/arch: deprecated since v1.14;"
        ' use "kubernetes.io/arch" instead',
    ]
