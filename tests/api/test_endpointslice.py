"""EndpointSlice of discovery.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import BAD_IP, Resource, without_metadata

ENDPOINTSLICES = Resource("endpointslices", "discovery.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"]}], "ports": [{"port": 80}]},
        {
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["1.2.3.4"], "conditions": {}}],
            "ports": [{"name": "", "protocol": "TCP", "port": 80}],
        },
        id="endpointslice",
    ),
    pytest.param(
        {"addressType": "FQDN", "endpoints": [{"addresses": ["a.example.com"]}], "ports": [{"port": 80}]},
        {
            "addressType": "FQDN",
            "endpoints": [{"addresses": ["a.example.com"], "conditions": {}}],
            "ports": [{"name": "", "protocol": "TCP", "port": 80}],
        },
        id="slice fqdn warning",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(ENDPOINTSLICES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"endpoints": [{"addresses": ["1.2.3.4"]}], "ports": [{"port": 80}]},
        ["addressType: Required value"],
        id="slice no type",
    ),
    pytest.param(
        {"addressType": "IPX", "endpoints": [{"addresses": ["1.2.3.4"]}], "ports": [{"port": 80}]},
        ['addressType: Unsupported value: "IPX": supported values: "FQDN", "IPv4", "IPv6"'],
        id="slice type",
    ),
    pytest.param(
        {"addressType": "IPv4", "endpoints": [{"addresses": ["nope"]}], "ports": [{"port": 80}]},
        [f'endpoints[0].addresses[0]: Invalid value: "nope": {BAD_IP}'],
        id="slice bad address",
    ),
    pytest.param(
        {"addressType": "IPv4", "endpoints": [{"addresses": []}], "ports": [{"port": 80}]},
        ["endpoints[0].addresses: Required value: must contain at least 1 address"],
        id="slice no address",
    ),
    pytest.param(
        {"addressType": "IPv4", "endpoints": [{"addresses": ["fd00::1"]}], "ports": [{"port": 80}]},
        ['endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address'],
        id="slice v6 in v4",
    ),
    pytest.param(
        {
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["1.2.3.4"]}],
            "ports": [{"port": 80}, {"port": 81}],
        },
        ['ports[1].name: Duplicate value: ""'],
        id="slice duplicate port",
    ),
    pytest.param(
        {
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [
                        "10.0.0.0",
                        "10.0.0.1",
                        "10.0.0.2",
                        "10.0.0.3",
                        "10.0.0.4",
                        "10.0.0.5",
                        "10.0.0.6",
                        "10.0.0.7",
                        "10.0.0.8",
                        "10.0.0.9",
                        "10.0.0.10",
                        "10.0.0.11",
                        "10.0.0.12",
                        "10.0.0.13",
                        "10.0.0.14",
                        "10.0.0.15",
                        "10.0.0.16",
                        "10.0.0.17",
                        "10.0.0.18",
                        "10.0.0.19",
                        "10.0.0.20",
                        "10.0.0.21",
                        "10.0.0.22",
                        "10.0.0.23",
                        "10.0.0.24",
                        "10.0.0.25",
                        "10.0.0.26",
                        "10.0.0.27",
                        "10.0.0.28",
                        "10.0.0.29",
                        "10.0.0.30",
                        "10.0.0.31",
                        "10.0.0.32",
                        "10.0.0.33",
                        "10.0.0.34",
                        "10.0.0.35",
                        "10.0.0.36",
                        "10.0.0.37",
                        "10.0.0.38",
                        "10.0.0.39",
                        "10.0.0.40",
                        "10.0.0.41",
                        "10.0.0.42",
                        "10.0.0.43",
                        "10.0.0.44",
                        "10.0.0.45",
                        "10.0.0.46",
                        "10.0.0.47",
                        "10.0.0.48",
                        "10.0.0.49",
                        "10.0.0.50",
                        "10.0.0.51",
                        "10.0.0.52",
                        "10.0.0.53",
                        "10.0.0.54",
                        "10.0.0.55",
                        "10.0.0.56",
                        "10.0.0.57",
                        "10.0.0.58",
                        "10.0.0.59",
                        "10.0.0.60",
                        "10.0.0.61",
                        "10.0.0.62",
                        "10.0.0.63",
                        "10.0.0.64",
                        "10.0.0.65",
                        "10.0.0.66",
                        "10.0.0.67",
                        "10.0.0.68",
                        "10.0.0.69",
                        "10.0.0.70",
                        "10.0.0.71",
                        "10.0.0.72",
                        "10.0.0.73",
                        "10.0.0.74",
                        "10.0.0.75",
                        "10.0.0.76",
                        "10.0.0.77",
                        "10.0.0.78",
                        "10.0.0.79",
                        "10.0.0.80",
                        "10.0.0.81",
                        "10.0.0.82",
                        "10.0.0.83",
                        "10.0.0.84",
                        "10.0.0.85",
                        "10.0.0.86",
                        "10.0.0.87",
                        "10.0.0.88",
                        "10.0.0.89",
                        "10.0.0.90",
                        "10.0.0.91",
                        "10.0.0.92",
                        "10.0.0.93",
                        "10.0.0.94",
                        "10.0.0.95",
                        "10.0.0.96",
                        "10.0.0.97",
                        "10.0.0.98",
                        "10.0.0.99",
                        "10.0.0.100",
                    ]
                }
            ],
            "ports": [{"port": 80}],
        },
        ["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
        id="slice too many addresses",
    ),
    pytest.param(
        {"addressType": "FQDN", "endpoints": [{"addresses": ["a"]}]},
        [
            'endpoints[0].addresses[0]: Invalid value: "a": should be a domain with at least two segments separated by dots'
        ],
        id="fqdn",
    ),
    pytest.param(
        {
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["1.2.3.4"], "hints": {"forZones": [{"name": "z"}, {"name": "z"}]}}],
        },
        ['endpoints[0].hints.forZones[1].name: Duplicate value: "z"'],
        id="hints",
    ),
    pytest.param(
        {"addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"]}]},
        [
            'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'
        ],
        id="loopback",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert ENDPOINTSLICES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"addressType": "IPv4"},
        {"addressType": "IPv6"},
        ['addressType: Invalid value: "IPv6": field is immutable'],
        id="type",
    ),
    pytest.param(
        {"addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"]}]},
        {"addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"]}]},
        [],
        id="known address",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert ENDPOINTSLICES.update_errors(old, new) == errors


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {"addressType": "FQDN", "endpoints": [{"addresses": ["a.example.com"]}], "ports": [{"port": 80}]},
        ["spec.addressType: FQDN endpoints are deprecated"],
        id="slice fqdn warning",
    ),
    pytest.param(
        {"addressType": "IPv6", "endpoints": [{"addresses": ["2001:db8:0::1"]}]},
        [
            'endpoints[0].addresses[0]: IPv6 address "2001:db8:0::1" should be in RFC 5952 canonical format'
            ' ("2001:db8::1")'
        ],
        id="address as nobody writes it",
    ),
    pytest.param(
        {
            "metadata": {
                "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
            },
            "addressType": "IPv6",
            "endpoints": [{"addresses": ["2001:db8:0::1"]}],
        },
        [],
        id="the controller knows how to write",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert ENDPOINTSLICES.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["1.2.3.4"]}, {"addresses": ["1.2.3.5"]}],
            "ports": [{"port": 80, "name": "x"}],
        },
        ["a", "IPv4", "80", "1.2.3.4,1.2.3.5", "120m"],
        id="row",
    ),
    pytest.param({"addressType": "IPv4"}, ["a", "IPv4", "<unset>", "<unset>", "120m"], id="empty"),
    pytest.param(
        {
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["1.2.3.0", "1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4"]}],
        },
        ["a", "IPv4", "<unset>", "1.2.3.0,1.2.3.1,1.2.3.2 + 2 more...", "120m"],
        id="many",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert ENDPOINTSLICES.row_of(body) == cells


def test_labels_count_for_the_generation():
    for metadata, generation in (({}, 1), ({"labels": {"a": "b"}}, 2), ({"annotations": {"a": "b"}}, 1)):
        after, _ = ENDPOINTSLICES.updated(
            {"addressType": "IPv4"}, {"addressType": "IPv4", "metadata": metadata}
        )
        assert after["metadata"]["generation"] == generation
