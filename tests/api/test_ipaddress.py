"""IPAddress of networking.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import BAD_IP, SUBDOMAIN, Resource, without_metadata

IPADDRESSES = Resource("ipaddresses", "networking.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "x"}}},
        {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "x"}}},
        id="ipaddress",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(IPADDRESSES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param({}, ["spec.parentRef: Required value"], id="no parent"),
    pytest.param(
        {"spec": {"parentRef": {"group": "G", "name": "a/b"}}},
        [
            f'spec.parentRef.group: Invalid value: "G": {SUBDOMAIN}',
            "spec.parentRef.resource: Required value",
            "spec.parentRef.name: Invalid value: \"a/b\": may not contain '/'",
        ],
        id="parts",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert IPADDRESSES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"parentRef": {"resource": "services", "name": "x"}}},
        {"spec": {"parentRef": {"resource": "services", "name": "y"}}},
        [
            'spec.parentRef: Invalid value: {"Group":"","Resource":"services","Namespace":"","Name":"y"}: field is immutable'
        ],
        id="parent",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert IPADDRESSES.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "x"}}},
        ["a", "services/default/x", "120m"],
        id="service",
    ),
    pytest.param(
        {"spec": {"parentRef": {"group": "g.x", "resource": "things", "name": "x"}}},
        ["a", "things.g.x/x", "120m"],
        id="of a group",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert IPADDRESSES.row_of(body) == cells


def test_the_name_is_the_address():
    assert IPADDRESSES.kind.validate_name("10.96.0.1") == []
    assert IPADDRESSES.kind.validate_name("x") == [BAD_IP]
    assert IPADDRESSES.kind.validate_name("FD00::1") == ['must be in canonical form ("fd00::1")']
