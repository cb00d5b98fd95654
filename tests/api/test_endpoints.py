"""Endpoints: defaults, rules, updates, table."""

import pytest

from .kindcases import BAD_IP, LABEL, Resource, without_metadata

ENDPOINTS = Resource("endpoints")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]},
        {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80, "protocol": "TCP"}]}]},
        id="endpoints",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(ENDPOINTS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"subsets": [{}]},
        ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
        id="empty subset",
    ),
    pytest.param(
        {"subsets": [{"addresses": [{"ip": "1.2.3"}], "ports": [{"port": 80}]}]},
        [
            f'subsets[0].addresses[0].ip: Invalid value: "1.2.3": {BAD_IP}',
            'subsets[0].addresses[0].ip: Invalid value: "1.2.3": must be a valid IP address',
        ],
        id="bad ip",
    ),
    pytest.param(
        {"subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}]}]},
        [
            'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'
        ],
        id="loopback",
    ),
    pytest.param(
        {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 0}]}]},
        ["subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        id="port",
    ),
    pytest.param(
        {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}, {"port": 2}]}]},
        ["subsets[0].ports[0].name: Required value", "subsets[0].ports[1].name: Required value"],
        id="unnamed ports",
    ),
    pytest.param(
        {"subsets": [{"notReadyAddresses": [{"ip": "1.2.3.4", "hostname": "A"}]}]},
        [f'subsets[0].notReadyAddresses[0].hostname: Invalid value: "A": {LABEL}'],
        id="hostname",
    ),
    pytest.param(
        {"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1, "protocol": "X"}]}]},
        ['subsets[0].ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'],
        id="protocol",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert ENDPOINTS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"subsets": [{"addresses": [{"ip": "010.1.2.3"}]}]},
        {"subsets": [{"addresses": [{"ip": "010.1.2.3"}]}]},
        [],
        id="known address",
    ),
    pytest.param(
        {},
        {"subsets": [{"addresses": [{"ip": "010.1.2.3"}]}]},
        ['subsets[0].addresses[0].ip: Invalid value: "010.1.2.3": must not have leading 0s'],
        id="new address",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert ENDPOINTS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({}, ["a", "<none>", "120m"], id="none"),
    pytest.param(
        {
            "subsets": [
                {
                    "addresses": [{"ip": "1.2.3.4"}, {"ip": "fd00::1"}],
                    "ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}],
                }
            ]
        },
        ["a", "1.2.3.4:80,[fd00::1]:80,1.2.3.4:81 + 1 more...", "120m"],
        id="four",
    ),
    pytest.param(
        {"subsets": [{"addresses": [{"ip": "1.2.3.4"}]}]}, ["a", "1.2.3.4", "120m"], id="without ports"
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert ENDPOINTS.row_of(body) == cells
