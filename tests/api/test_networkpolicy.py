"""NetworkPolicy of networking.k8s.io/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import BAD_CIDR, Resource, without_metadata

NETWORKPOLICIES = Resource("networkpolicies", "networking.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"podSelector": {}}},
        {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}},
        id="networkpolicy",
    ),
    pytest.param(
        {
            "spec": {
                "podSelector": {},
                "egress": [{"ports": [{"port": 53}]}],
                "ingress": [
                    {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 80, "endPort": 90}]}
                ],
            }
        },
        {
            "spec": {
                "podSelector": {},
                "ingress": [
                    {
                        "ports": [{"protocol": "TCP", "port": 80, "endPort": 90}],
                        "from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
                    }
                ],
                "egress": [{"ports": [{"protocol": "TCP", "port": 53}]}],
                "policyTypes": ["Ingress", "Egress"],
            }
        },
        id="egress",
    ),
    pytest.param({}, {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}, id="netpol no spec"),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(NETWORKPOLICIES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"podSelector": {}, "policyTypes": ["Sideways"]}},
        ['spec.policyTypes[0]: Unsupported value: "Sideways": supported values: "Ingress", "Egress"'],
        id="netpol types",
    ),
    pytest.param(
        {"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress", "Ingress"]}},
        [
            'spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes'
        ],
        id="netpol three types",
    ),
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"from": [{}]}]}},
        ["spec.ingress[0].from[0]: Required value: must specify a peer"],
        id="netpol peer empty",
    ),
    pytest.param(
        {
            "spec": {
                "podSelector": {},
                "ingress": [{"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}],
            }
        },
        ["spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"],
        id="netpol peer both",
    ),
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]}]}},
        [f'spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0": {BAD_CIDR}'],
        id="netpol cidr",
    ),
    pytest.param(
        {
            "spec": {
                "podSelector": {},
                "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/24", "except": ["11.0.0.0/25"]}}]}],
            }
        },
        [
            'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/25": must be a strict subset of `cidr`'
        ],
        id="netpol except",
    ),
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]}},
        [
            'spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length'
        ],
        id="netpol cidr host bits",
    ),
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 0}]}]}},
        ["spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        id="netpol port",
    ),
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 1, "protocol": "X"}]}]}},
        ['spec.ingress[0].ports[0].protocol: Unsupported value: "X": supported values: "TCP", "UDP", "SCTP"'],
        id="netpol port protocol",
    ),
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 90, "endPort": 80}]}]}},
        ["spec.ingress[0].ports[0].endPort: Invalid value: 90: must be greater than or equal to `port`"],
        id="netpol end port",
    ),
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": "a", "endPort": 80}]}]}},
        [
            "spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric"
        ],
        id="netpol end port named",
    ),
    pytest.param(
        {"spec": {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
        [
            "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
        ],
        id="netpol selector",
    ),
    pytest.param(
        {
            "spec": {
                "podSelector": {},
                "egress": [{"ports": [{"endPort": 1}], "to": [{"ipBlock": {"cidr": ""}}]}],
            }
        },
        [
            "spec.egress[0].ports[0].endPort: Invalid value: 1: may not be specified when `port` is not specified",
            "spec.egress[0].to[0].ipBlock.cidr: Required value",
        ],
        id="end without port",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert NETWORKPOLICIES.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]}},
        {"spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]}},
        [],
        id="known network",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert NETWORKPOLICIES.update_errors(old, new) == errors


#: what a client sends, what it is told
WARNINGS = [
    pytest.param(
        {"spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "2001:DB8::/32"}}]}]}},
        [
            'spec.ingress[0].from[0].ipBlock.cidr: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")'
        ],
        id="not canonical",
    ),
]


@pytest.mark.parametrize(("body", "warnings"), WARNINGS)
def test_warnings(body, warnings):
    assert NETWORKPOLICIES.warnings(body) == warnings


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "spec": {
                "podSelector": {
                    "matchLabels": {"a": "b"},
                    "matchExpressions": [{"key": "c", "operator": "In", "values": ["d", "e"]}],
                }
            }
        },
        ["a", "a=b,c in (d,e)", "120m"],
        id="selector",
    ),
    pytest.param({"spec": {"podSelector": {}}}, ["a", "<none>", "120m"], id="all pods"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert NETWORKPOLICIES.row_of(body) == cells
