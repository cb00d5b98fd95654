"""LimitRange: defaults, rules, updates, table."""

import pytest

from .kindcases import QUALIFIED, Resource, without_metadata

LIMITRANGES = Resource("limitranges")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "100m"}}]}},
        {
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "max": {"cpu": "2"},
                        "min": {"cpu": "100m"},
                        "default": {"cpu": "2"},
                        "defaultRequest": {"cpu": "2"},
                    }
                ]
            }
        },
        id="limitrange",
    ),
    pytest.param(
        {
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "default": {"cpu": "500m", "memory": "512Mi"},
                        "defaultRequest": {"cpu": "100m"},
                        "min": {"cpu": "50m"},
                        "max": {"cpu": "1"},
                    }
                ]
            }
        },
        {
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "max": {"cpu": "1"},
                        "min": {"cpu": "50m"},
                        "default": {"cpu": "500m", "memory": "512Mi"},
                        "defaultRequest": {"cpu": "100m", "memory": "512Mi"},
                    }
                ]
            }
        },
        id="requests from limits",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}},
        {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}},
        id="pods have no defaults",
    ),
    pytest.param({}, {"spec": {"limits": None}}, id="no limits"),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(LIMITRANGES.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"spec": {"limits": [{"max": {"cpu": "1"}}]}},
        [
            'spec.limits[0].type: Invalid value: "": name part must be non-empty',
            f'spec.limits[0].type: Invalid value: "": {QUALIFIED}',
        ],
        id="no type",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "Wild", "max": {"cpu": "1"}}]}},
        ['spec.limits[0].type: Invalid value: "Wild": must be a standard limit type or fully qualified'],
        id="unknown type",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}, {"type": "Pod", "max": {"cpu": "2"}}]}},
        ['spec.limits[1].type: Duplicate value: "Pod"'],
        id="duplicate type",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}},
        [
            'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
            'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
            'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
        ],
        id="min above max",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "1"}}]}},
        [
            'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than max value 1',
            'spec.limits[0].default[cpu]: Invalid value: "1": default value 2 is greater than max value 1',
        ],
        id="default above max",
    ),
    pytest.param(
        {
            "spec": {
                "limits": [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}]
            }
        },
        [
            'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than default limit value 1'
        ],
        id="request above default",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "Pod", "default": {"cpu": "1"}}]}},
        ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
        id="pod default",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "Container", "maxLimitRequestRatio": {"cpu": "0.5"}}]}},
        ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'],
        id="ratio",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "PersistentVolumeClaim"}]}},
        [
            "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"
        ],
        id="pvc empty",
    ),
    pytest.param(
        {"spec": {"limits": [{"type": "Container", "max": {"nope": "1"}}]}},
        [
            'spec.limits[0].max[nope]: Invalid value: "nope": must be a standard resource type or fully qualified',
            'spec.limits[0].max[nope]: Invalid value: "nope": must be a standard resource for containers',
            'spec.limits[0].default[nope]: Invalid value: "nope": must be a standard resource type or fully qualified',
            'spec.limits[0].default[nope]: Invalid value: "nope": must be a standard resource for containers',
            'spec.limits[0].defaultRequest[nope]: Invalid value: "nope": must be a standard resource type or fully qualified',
            'spec.limits[0].defaultRequest[nope]: Invalid value: "nope": must be a standard resource for containers',
        ],
        id="bad resource",
    ),
    pytest.param(
        {
            "spec": {
                "limits": [
                    {
                        "type": "Pod",
                        "min": {"cpu": "1"},
                        "max": {"cpu": "2"},
                        "maxLimitRequestRatio": {"cpu": "3"},
                    }
                ]
            }
        },
        [
            'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'
        ],
        id="ratio above bounds",
    ),
    pytest.param(
        {
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "default": {"example.com/gpu": "2"},
                        "defaultRequest": {"example.com/gpu": "1"},
                    }
                ]
            }
        },
        [
            'spec.limits[0].defaultRequest[example.com/gpu]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in example.com/gpu'
        ],
        id="no overcommit",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert LIMITRANGES.errors(body) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param({"spec": {"limits": []}}, ["a", "2026-01-02T03:04:05Z"], id="raw time"),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert LIMITRANGES.row_of(body) == cells
