"""The conditions a kubelet keeps on a pod, as dicts in wire form without times; `settle` adds those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from knarr.kubelet.phase import TERMINAL
from knarr.kubelet.plan import is_sidecar

Condition = dict[str, Any]
#: reason of Ready and ContainersReady in each terminal phase
TERMINAL_REASONS = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}


def pod_conditions(
    pod: Any,
    phase: str,
    sandbox: bool,
    statuses: Mapping[str, Mapping[str, Any]],
    initialized: bool,
    gates: Mapping[str, str],
) -> list[Condition]:
    """All five, in the kubelet's order. `statuses`: container statuses by name; `gates`: condition -> status in the API."""
    containers = _containers_ready(pod, phase, statuses)
    return [
        _condition("PodReadyToStartContainers", sandbox),
        _initialized(pod, phase, statuses, initialized),
        _ready(pod, containers, gates),
        containers,
        _condition("PodScheduled", True),
    ]


def _condition(type_: str, status: bool, reason: str = "", message: str = "") -> Condition:
    condition: Condition = {"type": type_, "status": "True" if status else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _names(names: Iterable[str]) -> str:
    """As Go prints a list of strings."""
    return f"[{' '.join(names)}]"


def _containers_ready(pod: Any, phase: str, statuses: Mapping[str, Mapping[str, Any]]) -> Condition:
    if phase in TERMINAL:
        return _condition("ContainersReady", False, TERMINAL_REASONS[phase])
    wanted = [c.name for c in pod.spec.initContainers if is_sidecar(c)] + [
        c.name for c in pod.spec.containers
    ]
    unknown = [name for name in wanted if name not in statuses]
    unready = [name for name in wanted if name in statuses and not statuses[name]["ready"]]
    parts = []
    if unknown:
        parts.append(f"containers with unknown status: {_names(unknown)}")
    if unready:
        parts.append(f"containers with unready status: {_names(unready)}")
    if parts:
        return _condition("ContainersReady", False, "ContainersNotReady", ", ".join(parts))
    return _condition("ContainersReady", True)


def _ready(pod: Any, containers: Condition, gates: Mapping[str, str]) -> Condition:
    if containers["status"] != "True":
        return {**containers, "type": "Ready"}
    parts = []
    for gate in pod.spec.readinessGates:
        status = gates.get(gate.conditionType)
        if status is None:
            parts.append(
                f'corresponding condition of pod readiness gate "{gate.conditionType}" does not exist.'
            )
        elif status != "True":
            parts.append(
                f'the status of pod readiness gate "{gate.conditionType}" is not "True", but {status}'
            )
    if parts:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(parts))
    return _condition("Ready", True)


def _initialized(
    pod: Any, phase: str, statuses: Mapping[str, Mapping[str, Any]], initialized: bool
) -> Condition:
    if phase == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    if initialized:
        return _condition("Initialized", True)
    incomplete = [
        c.name
        for c in pod.spec.initContainers
        if not statuses.get(c.name, {}).get("started" if is_sidecar(c) else "ready")
    ]
    if not incomplete:
        return _condition("Initialized", True)
    message = f"containers with incomplete status: {_names(incomplete)}"
    return _condition("Initialized", False, "ContainersNotInitialized", message)


def settle(
    conditions: Iterable[Condition], before: Mapping[str, Condition], generation: int, now: str
) -> list[Condition]:
    """With lastTransitionTime, kept while the status stays, and observedGeneration."""
    settled = []
    for condition in conditions:
        old = before.get(condition["type"])
        same = old is not None and old["status"] == condition["status"]
        transition = old.get("lastTransitionTime") if old is not None and same else None
        settled.append(
            {
                **condition,
                "lastTransitionTime": transition or now,
                "observedGeneration": generation,
            }
        )
    return settled
