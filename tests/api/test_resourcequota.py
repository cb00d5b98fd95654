"""ResourceQuota: defaults, rules, updates, table."""

import pytest

from .kindcases import Resource, without_metadata

RESOURCEQUOTAS = Resource("resourcequotas")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"hard": {"pods": "10", "requests.cpu": "1000m"}}},
        {"spec": {"hard": {"pods": "10", "requests.cpu": "1"}}, "status": {}},
        id="resourcequota",
    ),
    pytest.param({}, {"spec": {}, "status": {}}, id="quota no spec"),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(RESOURCEQUOTAS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"hard": {"widgets": "1"}}},
        [
            'spec.hard[widgets]: Invalid value: "widgets": must be a standard resource type or fully qualified',
            'spec.hard[widgets]: Invalid value: "widgets": must be a standard resource for quota',
        ],
        id="quota bad resource",
    ),
    pytest.param(
        {"spec": {"hard": {"pods": "-1"}}},
        ['spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0'],
        id="quota negative",
    ),
    pytest.param(
        {"spec": {"hard": {"pods": "500m"}}},
        ['spec.hard[pods]: Invalid value: "500m": must be an integer'],
        id="quota fraction",
    ),
    pytest.param(
        {"spec": {"scopes": ["Wild"]}},
        ['spec.scopes: Invalid value: ["Wild"]: unsupported scope'],
        id="quota scope",
    ),
    pytest.param(
        {"spec": {"hard": {"pods": "1"}, "scopes": ["Wild"]}},
        ['spec.scopes: Invalid value: ["Wild"]: unsupported scope'],
        id="a scope that is not known says nothing about resources",
    ),
    pytest.param(
        {"spec": {"scopes": ["BestEffort", "NotBestEffort"]}},
        ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
        id="quota scope conflict",
    ),
    pytest.param(
        {"spec": {"hard": {"services": "1"}, "scopes": ["BestEffort"]}},
        ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
        id="quota scope resource",
    ),
    pytest.param(
        {"spec": {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}}},
        [
            "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        ],
        id="quota scope selector",
    ),
    pytest.param(
        {
            "spec": {
                "hard": {"services": "1"},
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "BestEffort", "operator": "In", "values": ["x"]}]
                },
            }
        },
        [
            'spec.scopeSelector.matchExpressions: Invalid value: {"MatchExpressions":[{"ScopeName":"BestEffort","Operator":"In","Values":["x"]}]}: unsupported scope applied to resource',
            "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        ],
        id="fields of a selector",
    ),
    pytest.param(
        {
            "spec": {
                "scopeSelector": {
                    "matchExpressions": [
                        {"scopeName": "PriorityClass", "operator": "Exists", "values": ["x"]},
                        {"scopeName": "PriorityClass", "operator": "Odd"},
                    ]
                }
            }
        },
        [
            "spec.scopeSelector.matchExpressions.values: Invalid value: [\"x\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            'spec.scopeSelector.matchExpressions.operator: Invalid value: "Odd": not a valid selector operator',
        ],
        id="values where none belong",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert RESOURCEQUOTAS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"scopes": ["BestEffort"]}},
        {"spec": {"scopes": ["NotBestEffort"]}},
        ['spec.scopes: Invalid value: ["NotBestEffort"]: field is immutable'],
        id="scopes",
    ),
    pytest.param({"spec": {"hard": {"pods": "1"}}}, {"spec": {"hard": {"pods": "2"}}}, [], id="amounts"),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert RESOURCEQUOTAS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "status": {
                "hard": {"pods": "100", "limits.cpu": "4", "requests.cpu": "20"},
                "used": {"pods": "4", "limits.cpu": "1"},
            }
        },
        ["a", "pods: 4/100, requests.cpu: 0/20", "limits.cpu: 1/4", "120m"],
        id="used",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert RESOURCEQUOTAS.row_of(body) == cells


def test_negative_use():
    status = {"used": {"secrets": "-1"}}
    assert RESOURCEQUOTAS.update_errors({}, {"status": status}, "status") == [
        'status.used[secrets]: Invalid value: "-1": must be greater than or equal to 0'
    ]
