"""Event: defaults, rules, updates, table."""

import pytest

from .kindcases import QUALIFIED, Resource, without_metadata

EVENTS = Resource("events")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {
            "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "reason": "Because",
            "message": "m",
            "type": "Normal",
        },
        {
            "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "reason": "Because",
            "message": "m",
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "type": "Normal",
            "eventTime": None,
            "reportingComponent": "",
            "reportingInstance": "",
        },
        id="event",
    ),
    pytest.param(
        {"involvedObject": {"namespace": "ns"}},
        {
            "involvedObject": {"namespace": "ns"},
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "eventTime": None,
            "reportingComponent": "",
            "reportingInstance": "",
        },
        id="all",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(EVENTS.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {"involvedObject": {"kind": "Pod", "namespace": "other", "name": "p"}},
        ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
        id="wrong namespace",
    ),
    pytest.param(
        {"involvedObject": {"kind": "Node", "name": "n"}},
        ['involvedObject.namespace: Invalid value: "": does not match event.namespace'],
        id="cluster object",
    ),
    pytest.param(
        {}, ['involvedObject.namespace: Invalid value: "": does not match event.namespace'], id="no object"
    ),
    pytest.param(
        {"involvedObject": {"namespace": "ns"}, "eventTime": "2020-01-02T03:04:05.678901Z"},
        [
            "reportingComponent: Required value",
            'reportingComponent: Invalid value: "": name part must be non-empty',
            f'reportingComponent: Invalid value: "": {QUALIFIED}',
            "reportingInstance: Required value",
            "action: Required value",
            "reason: Required value",
        ],
        id="new fields missing",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert EVENTS.errors(body) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "involvedObject": {
                "kind": "Pod",
                "namespace": "ns",
                "name": "p",
                "fieldPath": "spec.containers{c}",
            },
            "reason": "Because",
            "message": "a message\n",
            "type": "Warning",
            "count": 3,
            "source": {"component": "me", "host": "h"},
            "firstTimestamp": "2026-01-02T03:04:05Z",
            "lastTimestamp": "2026-01-02T04:04:05Z",
        },
        ["60m", "Warning", "Because", "pod/p", "spec.containers{c}", "me, h", "a message", "120m", 3, "a"],
        id="old style",
    ),
    pytest.param(
        {"involvedObject": {"kind": "Node"}},
        ["<unknown>", "", "", "node", "", "", "", "<unknown>", 1, "a"],
        id="nothing",
    ),
    pytest.param(
        {
            "eventTime": "2026-01-02T03:04:05.000000Z",
            "reportingComponent": "c",
            "series": {"count": 5, "lastObservedTime": "2026-01-02T05:04:00.000000Z"},
        },
        ["5s", "", "", "", "", "c", "", "120m", 5, "a"],
        id="series",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert EVENTS.row_of(body) == cells
