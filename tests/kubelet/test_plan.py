"""What to start, to kill and to wait for: tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.kubelet.backoff import BACKOFF_SECONDS_MAX, Backoff
from knarr.kubelet.phase import phase_of
from knarr.kubelet.plan import Health, plan
from tests.kubelet.pods import pod, record, sidecar

INITS = ("i", "j")
LATER = 200.0


def planned(pod_: Any, record_: Any, health: dict[str, Health] | None = None, **backoffs: Backoff) -> str:
    """The plan in one line."""
    todo = plan(pod_, record_, backoffs, health or {}, LATER)
    parts = [f"start {s.container.name}#{s.attempt}" for s in todo.start]
    parts += [f"kill {k.container.name}" for k in todo.kill]
    parts += [f"{name} waits {reason}" for name, (reason, _) in todo.waiting.items()]
    return ", ".join(parts)


@pytest.mark.parametrize(
    ("policy", "runs", "expected"),
    [
        ("Always", {}, "start c#0"),
        ("Always", {"c": "make"}, ""),
        ("Always", {"c": "run"}, ""),
        ("Always", {"c": "exit 0"}, "start c#1"),
        ("Always", {"c": "exit 1 exit 1"}, "start c#2"),
        ("OnFailure", {"c": "exit 1"}, "start c#1"),
        ("OnFailure", {"c": "exit 0"}, ""),
        ("Never", {"c": "exit 1"}, ""),
        ("Never", {"c": "fail CreateContainerConfigError"}, "start c#0"),
    ],
)
def test_restart_policy(policy: str, runs: dict[str, str], expected: str) -> None:
    assert planned(pod("c", restartPolicy=policy), record(**runs)) == expected


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({}, "start i#0"),
        ({"i": "run"}, ""),
        ({"i": "exit 1"}, "start i#1"),
        ({"i": "exit 0"}, "start j#0"),
        ({"i": "exit 0", "j": "run"}, ""),
        ({"i": "exit 0", "j": "exit 0"}, "start c#0, start d#0"),
        ({"i": "exit 0", "j": "exit 0", "c": "run"}, "start d#0"),
        ({"c": "exit 1", "d": "run"}, "start c#1"),
    ],
)
def test_init_containers_go_first_and_in_order(runs: dict[str, str], expected: str) -> None:
    assert planned(pod("c", "d", inits=INITS), record(**runs)) == expected


def test_a_failed_init_container_ends_a_pod_that_never_restarts() -> None:
    failed = pod("c", inits=("i",), restartPolicy="Never")
    assert planned(failed, record(i="exit 1")) == ""
    assert phase_of(failed, record(i="exit 1")) == "Failed"


@pytest.mark.parametrize(
    ("runs", "started", "expected"),
    [
        ({}, True, "start s#0"),
        ({"s": "run"}, False, ""),
        ({"s": "run"}, True, "start i#0"),
        ({"s": "exit 0"}, True, "start s#1"),
        ({"s": "run", "i": "exit 0"}, True, "start c#0"),
        ({"s": "exit 1", "i": "exit 0", "c": "run"}, True, "start s#1"),
        ({"s": "run", "i": "exit 0", "c": "exit 0"}, True, "kill s"),
        ({"s": "exit 1", "i": "exit 0", "c": "exit 0"}, True, ""),
    ],
)
def test_sidecars_start_before_and_end_after_the_others(
    runs: dict[str, str], started: bool, expected: str
) -> None:
    health = {"s": Health(started=started)}
    story = pod("c", inits=(sidecar(), "i"), restartPolicy="Never")
    assert planned(story, record(**runs), health) == expected


@pytest.mark.parametrize(
    ("rules", "code", "expected"),
    [
        ([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}], 42, "start c#1"),
        ([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}], 1, ""),
        ([{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}}], 1, "start c#1"),
    ],
)
def test_restart_rules_come_before_the_policy(rules: list[Any], code: int, expected: str) -> None:
    story = pod({"name": "c", "restartPolicy": "Never", "restartPolicyRules": rules}, restartPolicy="Never")
    assert planned(story, record(c=f"exit {code}")) == expected


def test_probes_and_changed_images_end_containers() -> None:
    assert planned(pod("c"), record(c="run"), {"c": Health(failed="liveness")}) == "kill c"
    todo = plan(pod("c"), record(c="run"), {}, {"c": Health(failed="startup")}, LATER)
    assert todo.kill[0].message == "Container c failed startup probe, will be restarted"
    todo = plan(pod({"name": "c", "image": "app:2"}), record(c="run"), {}, {}, LATER)
    assert todo.kill[0].message == "Container c definition changed, will be restarted"


def test_a_crash_loop_waits_and_says_so() -> None:
    backoff = Backoff(seconds=160.0, updated=90.0)
    todo = plan(pod("c"), record(c="exit 1"), {"c": backoff}, {}, LATER)
    assert todo.waiting == {
        "c": ("CrashLoopBackOff", "back-off 2m40s restarting failed container=c pod=p_default(u1)")
    }
    assert todo.wake == pytest.approx(60.0)
    assert not todo.start


def test_an_image_that_cannot_be_pulled_backs_off_longer_and_longer() -> None:
    todo = plan(pod("c"), record(c="fail ErrImagePull"), {"c": Backoff(160.0, 0.0)}, {}, LATER)
    assert todo.waiting["c"] == ("ImagePullBackOff", 'Back-off pulling image "app:1": ErrImagePull: why')
    assert todo.wake == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("policy", "runs", "over", "expected"),
    [
        ("Always", {}, False, "Pending"),
        ("Always", {"c": "make", "d": "run"}, False, "Pending"),
        ("Always", {"c": "run", "d": "run"}, False, "Running"),
        ("Always", {"c": "exit 0", "d": "exit 0"}, False, "Running"),
        ("Always", {"c": "exit 1 make", "d": "run"}, False, "Running"),
        ("OnFailure", {"c": "exit 0", "d": "exit 1"}, False, "Running"),
        ("OnFailure", {"c": "exit 0", "d": "exit 0"}, False, "Succeeded"),
        ("Never", {"c": "exit 0", "d": "exit 1"}, False, "Failed"),
        ("Never", {"c": "exit 0", "d": "run"}, False, "Running"),
        ("Always", {"c": "exit 0", "d": "exit 0"}, True, "Succeeded"),
        ("Always", {"c": "exit 143", "d": "exit 0"}, True, "Failed"),
        ("Always", {}, True, "Failed"),
    ],
)
def test_phase(policy: str, runs: dict[str, str], over: bool, expected: str) -> None:
    assert phase_of(pod("c", "d", restartPolicy=policy), record(**runs), over) == expected


def test_backoff_doubles_up_to_five_minutes_and_starts_over_after_ten() -> None:
    backoff, now, waits = Backoff(), 1000.0, []
    for _ in range(8):
        waits.append(backoff.remaining(now, now))
        now += waits[-1]
        backoff.lengthen(now, now)
        now += 1.0
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.remaining(now + 601.0, now + 601.0) == 0
    backoff.lengthen(now + 601.0, now + 601.0)
    assert backoff.seconds == 10


@given(st.lists(st.floats(0.1, 2000.0), max_size=40))
def test_backoff_is_never_longer_than_five_minutes(runs: list[float]) -> None:
    backoff, now = Backoff(), 0.0
    for run in runs:
        now += run
        left = backoff.remaining(now, now)
        assert 0 <= left <= BACKOFF_SECONDS_MAX + 1e-6
        backoff.lengthen(now, now + left)
        now += left
