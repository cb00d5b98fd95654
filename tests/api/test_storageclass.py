"""StorageClass of storage.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import QUALIFIED, Resource, without_metadata

STORAGECLASSES = Resource("storageclasses", "storage.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"provisioner": "x.example.com/y"},
        {"provisioner": "x.example.com/y", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
        id="storageclass",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(STORAGECLASSES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param({}, ["provisioner: Required value"], id="no provisioner"),
    pytest.param(
        {"provisioner": "Bad Provisioner!"},
        [f'provisioner: Invalid value: "bad provisioner!": {QUALIFIED}'],
        id="provisioner",
    ),
    pytest.param(
        {"provisioner": "a.b/c", "reclaimPolicy": "Burn"},
        ['reclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Retain"'],
        id="reclaim",
    ),
    pytest.param(
        {"provisioner": "a.b/c", "volumeBindingMode": "Later"},
        [
            'volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"'
        ],
        id="binding mode",
    ),
    pytest.param(
        {
            "provisioner": "a.b/c",
            "allowedTopologies": [{"matchLabelExpressions": [{"key": "a", "values": []}]}],
        },
        ["allowedTopologies[0].matchLabelExpressions[0].values: Required value"],
        id="topologies",
    ),
    pytest.param(
        {"provisioner": "a.b/c", "parameters": {"": "x"}},
        ['parameters: Invalid value: "": field can not be empty.'],
        id="parameters",
    ),
    pytest.param(
        {
            "provisioner": "a.b/c",
            "allowedTopologies": [
                {"matchLabelExpressions": [{"key": "a", "values": ["b", "b"]}]},
                {"matchLabelExpressions": [{"key": "a", "values": ["b"]}]},
            ],
        },
        [
            'allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "b"',
            'allowedTopologies[1].matchLabelExpressions: Duplicate value: ""',
        ],
        id="topologies twice",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert STORAGECLASSES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"provisioner": "a.b/c", "parameters": {"x": "y"}},
        {"provisioner": "d/e", "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer"},
        [
            "parameters: Invalid value: null: field is immutable",
            'provisioner: Invalid value: "d/e": field is immutable',
            'reclaimPolicy: Invalid value: "Retain": field is immutable',
            'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
        ],
        id="all",
    ),
    pytest.param(
        {"provisioner": "a.b/c"}, {"provisioner": "a.b/c", "allowVolumeExpansion": True}, [], id="expansion"
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert STORAGECLASSES.update_errors(old, new) == errors


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {
            "provisioner": "a.b/c",
            "allowedTopologies": [
                {
                    "matchLabelExpressions": [
                        {"key": "failure-domain.beta.kubernetes.io/zone", "values": ["b"]}
                    ]
                }
            ],
        },
        [
            'allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
        ],
        id="old label",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert STORAGECLASSES.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {"provisioner": "a.b/c", "allowVolumeExpansion": True},
        ["a", "a.b/c", "Delete", "Immediate", True, "120m"],
        id="row",
    ),
    pytest.param(
        {
            "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "a.b/c",
            "reclaimPolicy": "Retain",
        },
        ["a (default)", "a.b/c", "Retain", "Immediate", False, "120m"],
        id="default",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert STORAGECLASSES.row_of(body) == cells
