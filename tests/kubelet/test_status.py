"""The status a kubelet writes: tables over what the runtime knows."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.api import schema
from knarr.kubelet.plan import Health
from knarr.kubelet.status import Inputs, changes, pod_status
from knarr.meta.patch import strategic
from tests.kubelet.pods import pod, record, sidecar

NOW = 1000.0


def status(pod_: Any, record_: Any, **more: Any) -> dict[str, Any]:
    return pod_status(
        Inputs(
            pod=pod_,
            record=record_,
            runtime="process",
            host_ips=("192.0.2.1",),
            started_at=10.0,
            now=NOW,
            **more,
        )
    )


def conditions(given_: dict[str, Any]) -> dict[str, str]:
    return {c["type"]: " ".join(filter(None, (c["status"], c.get("reason")))) for c in given_["conditions"]}


def state(given_: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return given_["containerStatuses"][index]["state"]


def test_a_pod_just_seen_waits_for_its_containers() -> None:
    shown = status(pod("c", "d"), None)
    assert shown["phase"] == "Pending"
    assert state(shown) == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(shown) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False ContainersNotReady",
        "ContainersReady": "False ContainersNotReady",
        "PodScheduled": "True",
    }
    ready = next(c for c in shown["conditions"] if c["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [c d]"
    assert ready["observedGeneration"] == 1


def test_a_running_pod() -> None:
    shown = status(pod("c"), record(c="run"))
    assert shown["phase"] == "Running"
    assert set(conditions(shown).values()) == {"True"}
    container = shown["containerStatuses"][0]
    assert container["state"] == {"running": {"startedAt": "1970-01-01T00:00:50Z"}}
    assert (container["ready"], container["started"], container["restartCount"]) == (True, True, 0)
    assert container["containerID"] == "process://c0"
    assert (shown["podIP"], shown["podIPs"]) == ("10.244.0.2", [{"ip": "10.244.0.2"}])
    assert (shown["hostIP"], shown["hostIPs"]) == ("192.0.2.1", [{"ip": "192.0.2.1"}])


def test_resources_stand_in_the_status_of_running_containers() -> None:
    resources = {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}
    container = status(pod({"name": "c", "resources": resources}), record(c="run"))["containerStatuses"][0]
    assert container["allocatedResources"] == {"cpu": "100m"}
    assert container["resources"] == resources


def test_a_crash_is_first_seen_as_such_and_then_as_a_loop() -> None:
    crashed = status(pod("c"), record(c="exit 3"))
    assert state(crashed)["terminated"] == {
        "exitCode": 3,
        "reason": "Error",
        "startedAt": "1970-01-01T00:00:50Z",
        "finishedAt": "1970-01-01T00:01:40Z",
        "containerID": "process://c0",
    }
    looping = status(pod("c"), record(c="exit 3"), waiting={"c": ("CrashLoopBackOff", "back-off 10s ...")})
    container = looping["containerStatuses"][0]
    assert container["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s ..."}}
    assert container["lastState"] == {"terminated": state(crashed)["terminated"]}
    assert looping["phase"] == "Running"


def test_the_run_before_stays_as_last_state() -> None:
    container = status(pod("c"), record(c="exit 3 run"))["containerStatuses"][0]
    assert container["restartCount"] == 1
    assert container["lastState"]["terminated"]["exitCode"] == 3
    assert "running" in container["state"]


def test_a_container_that_cannot_be_made_says_why() -> None:
    shown = status(pod("c"), record(c="fail CreateContainerConfigError"))
    assert state(shown) == {"waiting": {"reason": "CreateContainerConfigError", "message": "why"}}
    assert shown["phase"] == "Pending"


def test_init_containers_hold_the_others_back() -> None:
    shown = status(pod("c", inits=("i", "j")), record(i="exit 0", j="run"))
    assert shown["phase"] == "Pending"
    assert state(shown) == {"waiting": {"reason": "PodInitializing"}}
    assert [s["ready"] for s in shown["initContainerStatuses"]] == [True, False]
    assert conditions(shown)["Initialized"] == "False ContainersNotInitialized"
    initialized = next(c for c in shown["conditions"] if c["type"] == "Initialized")
    assert initialized["message"] == "containers with incomplete status: [j]"


def test_sidecars_count_for_readiness() -> None:
    health = {"s": Health(started=True, ready=False)}
    shown = status(pod("c", inits=(sidecar(),)), record(s="run", c="run"), health=health)
    ready = next(c for c in shown["conditions"] if c["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [s]"


def test_a_pod_that_is_over() -> None:
    done = pod("c", restartPolicy="Never")
    shown = status(done, record(c="exit 0"))
    assert shown["phase"] == "Succeeded"
    assert conditions(shown) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True PodCompleted",
        "Ready": "False PodCompleted",
        "ContainersReady": "False PodCompleted",
        "PodScheduled": "True",
    }
    assert conditions(status(done, record(c="exit 1")))["Ready"] == "False PodFailed"


def test_a_pod_is_not_over_while_something_of_it_runs() -> None:
    shown = status(
        pod("c", inits=(sidecar(),), restartPolicy="Never"),
        record(s="run", c="exit 0"),
        phase_before="Running",
    )
    assert shown["phase"] == "Running"


def test_readiness_gates() -> None:
    gated = pod("c", readinessGates=[{"conditionType": "example.com/ok"}])
    messages = []
    for gates in ({}, {"example.com/ok": "False"}, {"example.com/ok": "True"}):
        shown = status(gated, record(c="run"), gates=gates)
        ready = next(c for c in shown["conditions"] if c["type"] == "Ready")
        messages.append((ready["status"], ready.get("message")))
    assert messages == [
        ("False", 'corresponding condition of pod readiness gate "example.com/ok" does not exist.'),
        ("False", 'the status of pod readiness gate "example.com/ok" is not "True", but False'),
        ("True", None),
    ]


def test_transition_times_are_kept_while_nothing_changes() -> None:
    first = status(pod("c"), record(c="run"))
    before = {c["type"]: {**c, "lastTransitionTime": "2020-01-01T00:00:00Z"} for c in first["conditions"]}
    again = status(pod("c"), record(c="run"), before=before)
    assert {c["lastTransitionTime"] for c in again["conditions"]} == {"2020-01-01T00:00:00Z"}
    down = status(pod("c"), record(c="exit 1"), before=before)
    changed = {c["type"] for c in down["conditions"] if c["lastTransitionTime"] != "2020-01-01T00:00:00Z"}
    assert changed == {"Ready", "ContainersReady"}


POD = schema.definition_of("", "v1", "Pod")
RECORDS = st.sampled_from(
    [
        {},
        {"c": "make"},
        {"c": "run"},
        {"c": "exit 0"},
        {"c": "exit 1 run"},
        {"c": "fail CreateContainerError"},
    ]
)


@given(RECORDS, RECORDS, st.booleans())
def test_a_patch_turns_any_status_into_any_other(a: Any, b: Any, ended: bool) -> None:
    old = status(pod("c"), record(**a))
    new = status(pod("c"), record(**b), failed=("Evicted", "out of memory") if ended else None)
    patched = strategic.apply({"status": old}, {"status": changes(new, old)}, POD, schema)
    assert patched["status"] == new
