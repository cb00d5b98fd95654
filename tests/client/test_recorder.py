"""What becomes of many events: counted, combined, cut."""

from __future__ import annotations

import asyncio
import json

import pytest

from knarr.client.client import Client
from knarr.client.events import COMBINED, QUEUE_EVENTS_MAX, EventCorrelator, EventRecorder, SeriesRecorder
from knarr.client.inprocess import InProcess
from knarr.meta import errors

from .fakeapi import EVENTS, pod


@pytest.fixture
def recorder(client):
    return EventRecorder(client, "kubelet", "node-1")


def stored(api):
    return [json.loads(entry.body) for entry in api.objects.get(EVENTS.name, {}).values()]


THING = pod("web", uid="u-1", resourceVersion="9")


def test_an_event_as_it_stands_in_the_api(run, api, recorder):
    async def main():
        recorder.event(THING, "Normal", "Started", "Started container c", field_path="spec.containers{c}")
        assert api.calls == []  # recording never waits
        await recorder.flush()

    run(main())
    (event,) = stored(api)
    metadata = event.pop("metadata")
    assert metadata["name"].startswith("web.")
    assert int(metadata["name"].partition(".")[2], 16) // 10**9 == 1_800_000_000
    assert metadata["namespace"] == "default"
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "default",
            "name": "web",
            "uid": "u-1",
            "resourceVersion": "9",
            "fieldPath": "spec.containers{c}",
        },
        "reason": "Started",
        "message": "Started container c",
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2027-01-15T08:00:00Z",
        "lastTimestamp": "2027-01-15T08:00:00Z",
        "count": 1,
        "type": "Normal",
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
    }


def test_a_repeated_event_is_counted_up_by_a_patch(run, api, recorder):
    async def main():
        for _ in range(3):
            recorder.event(THING, "Warning", "BackOff", "Back-off restarting")
            await asyncio.sleep(60)
        await recorder.flush()

    run(main())
    (event,) = stored(api)
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        3,
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:02:00Z",
    )
    assert [call.verb for call in api.calls] == ["create", "patch", "patch"]
    assert set(json.loads(api.calls[1].body)) == {"count", "lastTimestamp", "message"}


def test_an_event_that_expired_meanwhile_is_created_anew(run, api, recorder):
    async def main():
        recorder.event(THING, "Normal", "A", "a")
        await recorder.flush()
        api.objects[EVENTS.name].clear()
        recorder.event(THING, "Normal", "A", "a")
        await recorder.flush()

    run(main())
    assert [event["count"] for event in stored(api)] == [2]


def test_similar_events_are_combined_from_the_tenth_on(run, api, recorder):
    async def main():
        for number in range(12):
            recorder.event(THING, "Warning", "Failed", f"attempt {number}")
            await asyncio.sleep(20)
        await recorder.flush()

    run(main())
    events = stored(api)
    assert [event["message"] for event in events[:9]] == [f"attempt {n}" for n in range(9)]
    assert [(event["message"], event["count"]) for event in events[9:]] == [(COMBINED + "attempt 11", 3)]


def test_ten_quiet_minutes_end_combining(run, api, recorder):
    async def main():
        for number in range(9):
            recorder.event(THING, "Warning", "Failed", f"attempt {number}")
        await asyncio.sleep(601)
        recorder.event(THING, "Warning", "Failed", "attempt 9")
        await recorder.flush()

    run(main())
    assert [event["message"] for event in stored(api)][-1] == "attempt 9"


def test_a_talkative_source_is_cut_per_object(run, api, recorder):
    async def main():
        for number in range(40):
            recorder.event(THING, "Normal", f"Reason{number}", "m")
        recorder.event(pod("other"), "Normal", "Reason", "m")
        await recorder.flush()
        assert len(stored(api)) == 26
        await asyncio.sleep(301)
        for number in range(3):
            recorder.event(THING, "Normal", f"Later{number}", "m")
        await recorder.flush()
        assert len(stored(api)) == 27

    run(main())


def test_a_full_queue_drops_and_counts(run, api, recorder):
    async def main():
        api.latency = lambda call: 1.0
        for number in range(QUEUE_EVENTS_MAX + 5):
            recorder.event(pod(f"p{number}"), "Normal", "R", "m")
        assert recorder.dropped == 5
        await recorder.stop()

    run(main())


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (errors.unavailable("away"), 12),
        (errors.forbidden("", "events", "", "no"), 1),
        (errors.timeout("slow"), 12),
    ],
)
def test_what_is_tried_again(run, api, recorder, error, tries):
    async def main():
        api.failing = lambda call: error
        recorder.event(THING, "Normal", "R", "m")
        await recorder.flush()
        api.failing = lambda call: None
        recorder.event(THING, "Normal", "Next", "m")
        await recorder.flush()

    run(main())
    assert len(api.calls) == tries + 1
    assert [event["reason"] for event in stored(api)] == ["Next"]


def test_two_events_of_one_instant_have_two_names(run, api, client):
    async def main():
        for component in ("a", "b", "c"):
            EventRecorder(client, component).event(THING, "Normal", "R", "m")
        await asyncio.sleep(1)

    run(main())
    assert len(stored(api)) == 3


def test_the_correlator_forgets_the_oldest(run):
    """Bounded memory: 4,096 events of the most recently used objects."""

    async def main():
        correlator = EventCorrelator()
        for number in range(5_000):
            correlator.correlate(legacy(f"p{number}"), 0.0)
        assert len(correlator._logged.items()) == 4_096
        again = correlator.correlate(legacy("p0"), 0.0)
        known = correlator.correlate(legacy("p4999"), 0.0)
        assert (again.event["count"], known.event["count"]) == (1, 2)

    run(main())


def legacy(name):
    stamp = "2027-01-15T08:00:00Z"
    return {
        "metadata": {"name": name},
        "involvedObject": {"name": name},
        "reason": "r",
        "message": "m",
        "type": "Normal",
        "reportingComponent": "",
        "reportingInstance": "",
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


# -- events.k8s.io ------------------------------------------------------------------------------------------------


def test_a_series(run, api, client):
    async def main():
        recorder = SeriesRecorder(client, "default-scheduler", "default-scheduler-1")
        recorder.start()

        def fail():
            recorder.event(THING, "Warning", "FailedScheduling", "Scheduling", "0/1 nodes are available")

        fail()
        await recorder.flush()
        (event,) = stored(api)
        assert event["metadata"].pop("name").startswith("web.")
        assert {k: v for k, v in event.items() if k != "metadata"} == {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "eventTime": "2027-01-15T08:00:00.000000Z",
            "reportingController": "default-scheduler",
            "reportingInstance": "default-scheduler-1",
            "action": "Scheduling",
            "reason": "FailedScheduling",
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": "default",
                "name": "web",
                "uid": "u-1",
                "resourceVersion": "9",
            },
            "note": "0/1 nodes are available",
            "type": "Warning",
        }
        for _ in range(4):
            await asyncio.sleep(10)
            fail()
        await recorder.flush()
        (event,) = stored(api)
        assert event["series"] == {"count": 2, "lastObservedTime": "2027-01-15T08:00:10.000000Z"}
        await asyncio.sleep(800)  # silence ends it
        (event,) = stored(api)
        assert event["series"] == {"count": 5, "lastObservedTime": "2027-01-15T08:00:40.000000Z"}
        fail()
        await recorder.flush()
        assert len(stored(api)) == 2
        await recorder.stop()

    run(main())


def test_a_long_series_is_refreshed_every_half_hour(run, api, client):
    async def main():
        recorder = SeriesRecorder(client, "s", "s-1")
        recorder.start()
        for _ in range(120):
            recorder.event(THING, "Warning", "R", "A", "n")
            await asyncio.sleep(60)
        await recorder.stop()

    run(main())
    (event,) = stored(api)
    assert [call.verb for call in api.calls] == ["create", "patch", "patch", "patch", "patch", "patch"]
    assert event["series"]["count"] == 120


def test_events_over_a_transport_that_is_down_do_not_block(run, api, world):
    async def main():
        api.latency = lambda call: 3600.0
        recorder = EventRecorder(Client(InProcess(api), world=world), "c")
        recorder.event(THING, "Normal", "R", "m")
        await asyncio.sleep(1)
        await recorder.stop()

    run(main())
    assert stored(api) == []
