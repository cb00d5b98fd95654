"""Event of events.k8s.io/v1: defaults, rules, updates, table."""

import pytest
from hypothesis import HealthCheck, given, settings

from knarr.api import schema
from knarr.api.events import event
from knarr.api.scheme import scheme

from .kindcases import Resource, without_metadata
from .strategies import objects

EVENTS_V1 = Resource("events", "events.k8s.io")

#: what a client sends, what is stored
CREATED = [
    pytest.param(
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "c",
            "reportingInstance": "i",
            "action": "act",
            "reason": "r",
            "type": "Normal",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "n",
        },
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "c",
            "reportingInstance": "i",
            "action": "act",
            "reason": "r",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "n",
            "type": "Normal",
            "deprecatedSource": {},
            "deprecatedFirstTimestamp": None,
            "deprecatedLastTimestamp": None,
        },
        id="event",
    ),
]


@pytest.mark.parametrize(("body", "want"), CREATED)
def test_created(body, want):
    assert without_metadata(EVENTS_V1.created(body)) == want


#: what a client sends, what is wrong with it
ERRORS = [
    pytest.param(
        {
            "eventTime": "2020-01-01T00:00:00.000000Z",
            "reportingController": "c",
            "reportingInstance": "i",
            "action": "a",
            "reason": "r",
            "type": "Weird",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
        },
        ['type: Invalid value: "": has invalid value: Weird'],
        id="type",
    ),
    pytest.param(
        {"regarding": {"kind": "Pod", "namespace": "ns", "name": "p"}},
        ["eventTime: Required value", 'type: Invalid value: "": has invalid value: '],
        id="missing fields",
    ),
    pytest.param(
        {
            "reportingController": "c",
            "reportingInstance": "i",
            "action": "a",
            "reason": "r",
            "type": "Normal",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
        },
        ["eventTime: Required value"],
        id="missing event time",
    ),
    pytest.param(
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Warning",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "noted",
            "series": {"count": 1},
        },
        ['series.count: Invalid value: "": should be at least 2', "series.lastObservedTime: Required value"],
        id="series",
    ),
    pytest.param(
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Warning",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "noted",
            "deprecatedCount": 2,
            "deprecatedSource": {"component": "x"},
        },
        ['count: Invalid value: "": needs to be unset', 'source: Invalid value: "": needs to be unset'],
        id="deprecated fields",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert EVENTS_V1.errors(body) == errors


#: old, new, what may not be
UPDATES = [
    pytest.param(
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Warning",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "noted",
        },
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Changed",
            "type": "Warning",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "noted",
        },
        [
            'reason: Invalid value: "Changed": field is immutable',
            'reason: Invalid value: "Changed": field is immutable',
        ],
        id="reason",
    ),
    pytest.param(
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Warning",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "noted",
        },
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Warning",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "noted",
            "series": {"count": 2, "lastObservedTime": "2020-01-02T03:06:05.678901Z"},
        },
        [],
        id="series may grow",
    ),
    pytest.param(
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Warning",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "noted",
        },
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Warning",
            "regarding": {"namespace": "ns", "name": "q"},
            "note": "noted",
        },
        [
            'involvedObject: Invalid value: {"Kind":"","Namespace":"ns","Name":"q","UID":"","APIVersion":"","ResourceVersion":"","FieldPath":""}: field is immutable'
        ],
        id="regarding",
    ),
]


@pytest.mark.parametrize(("old", "new", "errors"), UPDATES)
def test_updates(old, new, errors):
    assert EVENTS_V1.update_errors(old, new) == errors


#: an object, its cells in a table
ROWS = [
    pytest.param(
        {
            "eventTime": "2020-01-02T03:04:05.678901Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Warning",
            "regarding": {"kind": "Pod", "namespace": "ns", "name": "p"},
            "note": "noted",
        },
        ["6y2d", "Warning", "Scheduled", "pod/p", "", "example.com/c, c-1", "noted", "6y2d", 1, "a"],
        id="row",
    ),
]


@pytest.mark.parametrize(("body", "cells"), ROWS)
def test_rows(body, cells):
    assert EVENTS_V1.row_of(body) == cells


def test_the_core_event_is_the_same_object():
    new = EVENTS_V1.defaulted(
        {"eventTime": "2020-01-02T03:04:05.678901Z", "reportingController": "example.com/c", "reason": "r",
         "regarding": {"namespace": "ns"}, "note": "n", "deprecatedCount": 2}
    )  # fmt: skip
    stored = event.to_core(new)
    assert stored["apiVersion"] == "v1"
    assert stored["involvedObject"] == {"namespace": "ns"}
    assert (stored["message"], stored["count"], stored["reportingComponent"]) == ("n", 2, "example.com/c")
    assert stored["reportingInstance"] == ""
    assert event.from_core(stored) == new
    assert event.to_core(stored) is stored


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(objects(schema.definition_of("", "v1", "Event")))
def test_nothing_is_lost_between_the_two(body):
    core = scheme().normalize(("", "v1", "Event"), {**body, "apiVersion": "v1", "kind": "Event"})[0]
    Resource("events").kind.default(core)
    assert event.to_core(event.from_core(core)) == core
