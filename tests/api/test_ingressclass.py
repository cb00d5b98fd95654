"""IngressClass of networking.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

INGRESSCLASSES = Resource("ingressclasses", "networking.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"controller": "example.com/c"}},
        {"spec": {"controller": "example.com/c"}},
        id="ingressclass",
    ),
    pytest.param(
        {"spec": {"controller": "a.b/c", "parameters": {"apiGroup": "a.b", "kind": "K", "name": "n"}}},
        {
            "spec": {
                "controller": "a.b/c",
                "parameters": {"apiGroup": "a.b", "kind": "K", "name": "n", "scope": "Cluster"},
            }
        },
        id="parameters scope",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(INGRESSCLASSES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param({}, ["spec.controller: Required value"], id="empty"),
    pytest.param(
        {"spec": {"controller": "nodomain"}},
        [
            'spec.controller: Invalid value: "nodomain": must be a domain-prefixed path (such as "acme.io/foo")'
        ],
        id="controller",
    ),
    pytest.param(
        {"spec": {"controller": "a.b/c", "parameters": {"kind": "", "name": "", "scope": "Galaxy"}}},
        [
            "spec.parameters.kind: Required value",
            "spec.parameters.name: Required value",
            'spec.parameters.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespace"',
        ],
        id="parameters",
    ),
    pytest.param(
        {"spec": {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "scope": "Namespace"}}},
        ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
        id="namespace",
    ),
    pytest.param(
        {"spec": {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "namespace": "x"}}},
        ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
        id="namespace of the cluster",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert INGRESSCLASSES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"controller": "a.b/c"}},
        {"spec": {"controller": "a.b/d"}},
        ['spec.controller: Invalid value: "a.b/d": field is immutable'],
        id="controller",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert INGRESSCLASSES.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {"spec": {"controller": "a.b/c", "parameters": {"kind": "K", "name": "x"}}},
        ["a", "a.b/c", "K/x", "120m"],
        id="parameters",
    ),
    pytest.param(
        {"spec": {"controller": "a.b/c", "parameters": {"apiGroup": "g", "kind": "K", "name": "x"}}},
        ["a", "a.b/c", "K.g/x", "120m"],
        id="with group",
    ),
    pytest.param({"spec": {"controller": "a.b/c"}}, ["a", "a.b/c", "<none>", "120m"], id="none"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert INGRESSCLASSES.row_of(body) == cells
