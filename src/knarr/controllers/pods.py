"""What can be said of a pod by looking at it."""

from __future__ import annotations

from math import log2
from typing import Any

from knarr.meta import times

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
FINISHED = ("Succeeded", "Failed")
PHASE_ORDER = {"Pending": 0, "": 1, "Unknown": 1, "Running": 2}


def is_finished(pod: Any) -> bool:
    """Its containers have ended for good."""
    return pod.status.phase in FINISHED


def is_active(pod: Any) -> bool:
    """Neither finished nor on its way out."""
    return pod.metadata.deletionTimestamp is None and pod.status.phase not in FINISHED


def is_terminating(pod: Any) -> bool:
    """On its way out, its containers perhaps still running."""
    return pod.metadata.deletionTimestamp is not None and pod.status.phase not in FINISHED


def condition(pod: Any, type_: str) -> Any | None:
    for found in pod.status.conditions:
        if found.type == type_:
            return found
    return None


def is_ready(pod: Any) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found.status == "True"


def ready_since(pod: Any) -> float | None:
    """When the Ready condition last changed, in epoch seconds; None if it does not say."""
    found = condition(pod, "Ready")
    if found is None or not found.lastTransitionTime:
        return None
    return times.parse(found.lastTransitionTime)


def seconds_to_available(pod: Any, min_ready_seconds: int, now: float) -> float | None:
    """0 for an available pod, how long a ready one still has to stay ready, None for one that is not ready."""
    found = condition(pod, "Ready")
    if found is None or found.status != "True":
        return None
    if not min_ready_seconds:
        return 0.0
    since = times.parse(found.lastTransitionTime) if found.lastTransitionTime else now
    return max(0.0, since + min_ready_seconds - now)


def is_available(pod: Any, min_ready_seconds: int, now: float) -> bool:
    """Ready for at least `min_ready_seconds`."""
    return seconds_to_available(pod, min_ready_seconds, now) == 0.0


def restarts(pod: Any) -> tuple[int, int]:
    """The highest restart count among the containers, and among the sidecars."""
    sidecars = {c.name for c in pod.spec.initContainers if c.restartPolicy == "Always"}
    return (
        max((s.restartCount for s in pod.status.containerStatuses), default=0),
        max((s.restartCount for s in pod.status.initContainerStatuses if s.name in sidecars), default=0),
    )


def deletion_cost(pod: Any) -> int:
    """What the user says losing this pod costs; 0 where that is no int32."""
    text = pod.metadata.annotations.get(DELETION_COST, "")
    if text.removeprefix("-").isdecimal() and (text == "0" or text.removeprefix("-")[0] != "0"):
        cost = int(text)
        return cost if -(2**31) <= cost < 2**31 else 0
    return 0


def age_class(since: float | None, now: float) -> int:
    """Ages on a logarithmic scale (KEP-2185): pods of about one age count as equal and uids, drawn by lot, decide."""
    nanoseconds = round((now - since) * 1e9) if since is not None else 0
    return int(log2(nanoseconds)) if nanoseconds > 0 else -1


def worth_keeping(pod: Any, neighbours: int, now: float) -> tuple[Any, ...]:
    """Sort key: the pods that cost least to lose come first. `neighbours`: related pods on its node."""
    ready = is_ready(pod)
    regular, sidecars = restarts(pod)
    created = pod.metadata.creationTimestamp
    return (
        bool(pod.spec.nodeName),
        PHASE_ORDER.get(pod.status.phase, 1),
        ready,
        deletion_cost(pod),
        -neighbours,
        age_class(ready_since(pod), now) if ready else 0,
        -regular,
        -sidecars,
        age_class(times.parse(created) if created else None, now),
        pod.metadata.uid,
    )
