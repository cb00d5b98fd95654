"""apiserver_flowcontrol_*: what priority and fairness counts, under Kubernetes' names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from knarr.flowcontrol.fairqueue import SERVICE_GUESS
from knarr.meta.metrics import Family, Sample, buckets

if TYPE_CHECKING:
    from knarr.flowcontrol.controller import FlowController
    from knarr.flowcontrol.level import Level
    from knarr.flowcontrol.numbers import Counts
    from knarr.meta.histogram import Histogram

PREFIX = "apiserver_flowcontrol_"

LEVEL_GAUGES: tuple[tuple[str, str, Callable[[Level], float]], ...] = (
    ("nominal_limit_seats", "Seats a priority level has by rights.", lambda level: level.nominal),
    ("lower_limit_seats", "Seats it never lends.", lambda level: level.lowest),
    ("upper_limit_seats", "Seats it may have at most.", lambda level: level.highest),
    ("current_limit_seats", "Seats it has now.", lambda level: level.limit),
    ("current_r", "Its progress in virtual time.", lambda level: level.queues.virtual),
    ("dispatch_r", "Its progress when it last dispatched.", lambda level: level.queues.dispatched_at),
    ("latest_s", "The virtual start of what it last dispatched.", lambda level: level.queues.last_start),
    (
        "demand_seats_average",
        "Seats wanted on average, in the last period.",
        lambda level: level.demand.average,
    ),
    ("demand_seats_stdev", "How much that varied.", lambda level: level.demand.deviation),
    (
        "demand_seats_high_watermark",
        "Seats wanted at most, in the last period.",
        lambda level: level.demand.highest,
    ),
    ("demand_seats_smoothed", "Seats wanted, smoothed.", lambda level: level.demand.smoothed),
    ("target_seats", "Seats it is to get.", lambda level: _target(level)),
)
SCHEMA_GAUGES: tuple[tuple[str, str, Callable[[Counts], float]], ...] = (
    ("current_inqueue_requests", "Requests that wait.", lambda counts: counts.waiting),
    ("current_inqueue_seats", "Seats of requests that wait.", lambda counts: counts.waiting_seats),
)
SCHEMA_HISTOGRAMS: tuple[tuple[str, str, Callable[[Counts], Histogram], dict[str, str]], ...] = (
    ("request_execution_seconds", "How long requests ran.", lambda counts: counts.took, {"type": "regular"}),
    (
        "request_queue_length_after_enqueue",
        "How many waited in a request's queue, itself included.",
        lambda counts: counts.lengths,
        {},
    ),
    ("watch_count_samples", "Watchers that a write concerned.", lambda counts: counts.watchers, {}),
    ("work_estimated_seats", "Seats that requests were taken to need.", lambda counts: counts.seats, {}),
)


def families(flow: FlowController) -> Iterator[Family]:
    levels = flow.all_levels()
    for name, words, value in LEVEL_GAUGES:
        samples = [("", {"priority_level": level.name}, value(level)) for level in levels]
        yield Family(PREFIX + name, "gauge", words, samples)
    yield Family(
        PREFIX + "seat_fair_frac",
        "gauge",
        "The part of their targets that levels get.",
        [("", {}, flow.fair_fraction)],
    )
    counted = [
        ({"flow_schema": schema, "priority_level": level.name}, counts)
        for level in levels
        for schema, counts in sorted(level.counts.items())
    ]
    yield from _counters(counted)
    yield from _executing(levels, counted)
    for name, words, of_schema in SCHEMA_GAUGES:
        yield Family(PREFIX + name, "gauge", words, [("", labels, of_schema(c)) for labels, c in counted])
    for name, words, of, more in SCHEMA_HISTOGRAMS:
        samples = [s for labels, c in counted for s in _histogram({**labels, **more}, of(c))]
        yield Family(PREFIX + name, "histogram", words, samples)
    yield _waits(counted)
    yield from _bounds(levels)


def _counters(counted: list[tuple[dict[str, str], Counts]]) -> Iterator[Family]:
    yield Family(
        PREFIX + "dispatched_requests_total",
        "counter",
        "Requests that ran.",
        [("", labels, counts.dispatched) for labels, counts in counted],
    )
    yield Family(
        PREFIX + "rejected_requests_total",
        "counter",
        "Requests sent away.",
        [
            ("", {**labels, "reason": reason}, number)
            for labels, counts in counted
            for reason, number in counts.rejected.items()
        ],
    )


def _executing(levels: list[Level], counted: list[tuple[dict[str, str], Counts]]) -> Iterator[Family]:
    requests: dict[int, int] = {}
    seats: dict[int, int] = {}
    for level in levels:
        for entry in level.queues.running:
            which = id(entry.owner.decision.counts)
            requests[which] = requests.get(which, 0) + 1
            seats[which] = seats.get(which, 0) + entry.width
    for name, words, found in (
        ("current_executing_requests", "Requests that run.", requests),
        ("current_executing_seats", "Seats of requests that run.", seats),
    ):
        samples: list[Sample] = [("", labels, found.get(id(counts), 0)) for labels, counts in counted]
        yield Family(PREFIX + name, "gauge", words, samples)


def _waits(counted: list[tuple[dict[str, str], Counts]]) -> Family:
    samples: list[Sample] = []
    for labels, counts in counted:
        for execute, histogram in (("false", counts.waited_in_vain), ("true", counts.waited)):
            samples += _histogram({"execute": execute, **labels}, histogram)
    return Family(
        PREFIX + "request_wait_duration_seconds", "histogram", "How long requests waited for a seat.", samples
    )


def _bounds(levels: list[Level]) -> Iterator[Family]:
    """Of the queues in which somebody waits: the least and the greatest virtual start of who waits longest; discounted
    by what is under way in each."""
    for name, words, discount in (
        ("next_s_bounds", "The virtual starts of what waits longest in each queue.", 0.0),
        (
            "next_discounted_s_bounds",
            "The virtual starts of what waits longest in each queue, less the work under way.",
            SERVICE_GUESS,
        ),
    ):
        samples: list[Sample] = []
        for level in levels:
            busy = [queue for queue in level.queues.queues if queue.waiting]
            starts = [queue.next_start - discount * queue.seats_in_use for queue in busy]
            for bound, value in (("max", max(starts, default=0.0)), ("min", min(starts, default=0.0))):
                samples.append(("", {"bound": bound, "priority_level": level.name}, value))
        yield Family(PREFIX + name, "gauge", words, samples)


def _histogram(labels: dict[str, str], histogram: Histogram) -> Iterator[Sample]:
    if histogram.count:
        yield from buckets(labels, histogram.bounds, histogram.buckets, histogram.total, histogram.count)


def _target(level: Level) -> float:
    from knarr.flowcontrol.borrowing import entitled

    return float(level.limit) if level.exempt else max(float(entitled(level.claim)), level.demand.smoothed)
