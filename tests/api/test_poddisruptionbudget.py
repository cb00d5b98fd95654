"""PodDisruptionBudget of policy/v1: defaults, rules, updates, table."""

import pytest

from .kindcases import LABEL_VALUE, PERCENT, QUALIFIED, Resource, without_metadata

PODDISRUPTIONBUDGETS = Resource("poddisruptionbudgets", "policy")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"minAvailable": 1}},
        {
            "spec": {"minAvailable": 1},
            "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
        },
        id="pdb",
    ),
    pytest.param(
        {"spec": {"maxUnavailable": "50%", "selector": {"matchLabels": {"a": "b"}}}},
        {
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "maxUnavailable": "50%"},
            "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
        },
        id="pdb percent",
    ),
    pytest.param(
        {"spec": {}},
        {
            "spec": {},
            "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
        },
        id="pdb neither",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(PODDISRUPTIONBUDGETS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"minAvailable": 1, "maxUnavailable": 1}},
        [
            'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set'
        ],
        id="pdb both",
    ),
    pytest.param(
        {"spec": {"minAvailable": "200%"}},
        ['spec.minAvailable: Invalid value: "200%": must not be greater than 100%'],
        id="pdb percent",
    ),
    pytest.param(
        {"spec": {"minAvailable": "ten"}},
        [f'spec.minAvailable: Invalid value: "ten": {PERCENT}'],
        id="pdb not percent",
    ),
    pytest.param(
        {"spec": {"maxUnavailable": -1}},
        ["spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0"],
        id="pdb negative",
    ),
    pytest.param(
        {"spec": {"minAvailable": 1, "unhealthyPodEvictionPolicy": "Never"}},
        [
            'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"'
        ],
        id="pdb unhealthy policy",
    ),
    pytest.param(
        {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b c"}}}},
        [f'spec.selector.matchLabels: Invalid value: "b c": {LABEL_VALUE}'],
        id="pdb selector",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert PODDISRUPTIONBUDGETS.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {"spec": {"minAvailable": 1}},
        {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "c"}}}},
        [],
        id="selector",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert PODDISRUPTIONBUDGETS.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({"spec": {"maxUnavailable": "50%"}}, ["a", "N/A", "50%", 0, "120m"], id="share"),
    pytest.param(
        {"spec": {"minAvailable": 2}, "status": {"disruptionsAllowed": 3}},
        ["a", "2", "N/A", 3, "120m"],
        id="number",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert PODDISRUPTIONBUDGETS.row_of(body) == cells


def test_status():
    condition = {"type": "A b", "status": "Maybe", "reason": "", "message": "", "lastTransitionTime": None}
    status = {"currentHealthy": -1, "conditions": [condition]}
    assert PODDISRUPTIONBUDGETS.update_errors({}, {"status": status}, "status") == [
        f'status.conditions[0].type: Invalid value: "A b": {QUALIFIED}',
        'status.conditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        "status.conditions[0].lastTransitionTime: Required value: must be set",
        "status.conditions[0].reason: Required value: must be set",
        "status.currentHealthy: Invalid value: -1: must be greater than or equal to 0",
    ]
