"""Namespace: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

NAMESPACES = Resource("namespaces")

#: what a client sends, what is stored
CREATED = [
    pytest.param({}, {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}, id="namespace"),
    pytest.param(
        {"spec": {"finalizers": ["example.com/x"]}},
        {"spec": {"finalizers": ["example.com/x", "kubernetes"]}, "status": {"phase": "Active"}},
        id="more finalizers",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(NAMESPACES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"finalizers": ["nope"]}},
        [
            'spec.finalizers: Invalid value: "nope": name is neither a standard finalizer name nor is it fully qualified'
        ],
        id="finalizer without domain",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert NAMESPACES.errors(body) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({}, ["a", "Active", "120m"], id="row"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert NAMESPACES.row_of(body) == cells


def test_the_name_is_a_label():
    obj = NAMESPACES.created(
        {"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "other", "l": "1"}}}
    )
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n", "l": "1"}


def test_updates_leave_finalizers_and_status_alone():
    after, errors = NAMESPACES.updated({}, {"spec": {"finalizers": []}, "status": {"phase": "Terminating"}})
    assert not errors
    assert after["spec"] == {"finalizers": ["kubernetes"]}
    assert after["status"] == {"phase": "Active"}


def test_the_phase_follows_deletion():
    _, errors = NAMESPACES.updated({}, {"status": {"phase": "Terminating"}}, "status")
    assert errors == [
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    ]


def test_finalize_changes_finalizers_only():
    before, after = NAMESPACES.created({}), NAMESPACES.defaulted({"status": {"phase": "Terminating"}})
    NAMESPACES.kind.prepare_for_finalize(after, before)
    assert after["spec"] == {}
    assert after["status"] == {"phase": "Active"}
    after["spec"]["finalizers"] = ["a", "x/y"]
    assert [str(error) for error in NAMESPACES.kind.validate_finalize(after, before)] == [
        'spec.finalizers[0]: Invalid value: "a": name is neither a standard finalizer name nor is it fully qualified'
    ]
