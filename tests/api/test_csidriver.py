"""CSIDriver of storage.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

CSIDRIVERS = Resource("csidrivers", "storage.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {}},
        {
            "spec": {
                "attachRequired": True,
                "podInfoOnMount": False,
                "volumeLifecycleModes": ["Persistent"],
                "storageCapacity": False,
                "fsGroupPolicy": "ReadWriteOnceWithFSType",
                "requiresRepublish": False,
                "seLinuxMount": False,
            }
        },
        id="csidriver",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(CSIDRIVERS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"fsGroupPolicy": "X", "volumeLifecycleModes": ["Y"]}},
        [
            'spec.fsGroupPolicy: Unsupported value: "X": supported values: "File", "None", "ReadWriteOnceWithFSType"',
            'spec.volumeLifecycleModes: Unsupported value: "Y": supported values: "Persistent", "Ephemeral"',
        ],
        id="modes and policy",
    ),
    pytest.param(
        {"spec": {"tokenRequests": [{"audience": "a", "expirationSeconds": 10}, {"audience": "a"}]}},
        [
            "spec.tokenRequests[0].expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes",
            'spec.tokenRequests[1].audience: Duplicate value: "a"',
        ],
        id="tokens",
    ),
    pytest.param(
        {"spec": {"serviceAccountTokenInSecrets": False}},
        [
            "spec.serviceAccountTokenInSecrets: Invalid value: false: serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        ],
        id="a place for no token",
    ),
    pytest.param(
        {"spec": {"serviceAccountTokenInSecrets": True, "tokenRequests": [{}]}},
        [],
        id="a place for a token",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert CSIDRIVERS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {},
        {"spec": {"attachRequired": False}},
        ["spec.attachedRequired: Invalid value: false: field is immutable"],
        id="attach",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert CSIDRIVERS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {"spec": {"podInfoOnMount": True}},
        ["a", True, True, False, "<unset>", False, "Persistent", "120m"],
        id="defaults",
    ),
    pytest.param(
        {
            "spec": {
                "tokenRequests": [{"audience": "x"}, {"audience": "y"}],
                "volumeLifecycleModes": ["Persistent", "Ephemeral"],
            }
        },
        ["a", True, False, False, "x,y", False, "Persistent,Ephemeral", "120m"],
        id="tokens",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert CSIDRIVERS.row_of(body) == cells


def test_generation_counts_what_may_change():
    after, _ = CSIDRIVERS.updated({}, {"spec": {"requiresRepublish": True}})
    assert after["metadata"]["generation"] == 1
    after, _ = CSIDRIVERS.updated({}, {"spec": {"podInfoOnMount": True}})
    assert "generation" not in after["metadata"]
