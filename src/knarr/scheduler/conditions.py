"""The PodScheduled condition of a pod that did not get a node, and its nomination, as a patch of its status."""

from __future__ import annotations

from typing import Any

TYPE = "PodScheduled"
UNSCHEDULABLE, SCHEDULER_ERROR = "Unschedulable", "SchedulerError"


def condition_of(pod: Any) -> Any | None:
    return next((c for c in pod.status.conditions if c.type == TYPE), None)


def status_patch(
    pod: Any, reason: str, message: str, nominated: str | None, now: str
) -> dict[str, Any] | None:
    """A strategic merge patch; None where the status says all that already. `nominated` None leaves it as it is."""
    status: dict[str, Any] = {}
    old = condition_of(pod)
    told = (reason, message, pod.metadata.generation)
    if old is None or old.status != "False" or (old.reason, old.message, old.observedGeneration) != told:
        keep = old is not None and old.status == "False"
        status["conditions"] = [
            {
                "type": TYPE,
                "status": "False",
                "reason": reason,
                "message": message,
                "lastTransitionTime": old.lastTransitionTime if keep else now,  # type: ignore[union-attr]
                "observedGeneration": pod.metadata.generation,
            }
        ]
    if nominated is not None and nominated != (pod.status.nominatedNodeName or ""):
        status["nominatedNodeName"] = nominated or None
    return {"metadata": {"uid": pod.metadata.uid}, "status": status} if status else None
