"""When a node was last heard of, and what is said of one that fell silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from knarr.api.scheme import evolve
from knarr.api.types import core_v1
from knarr.controllers.conditions import find

#: a node that has reported may be silent for so long, one that never has a little longer
GRACE_SECONDS, STARTUP_GRACE_SECONDS = 50.0, 60.0
#: what a kubelet reports; NetworkUnavailable is somebody else's
REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass
class Health:
    """`heard`: by this clock, so that clocks of nodes do not matter; `reported`: it has posted its readiness."""

    heard: float
    reported: bool

    def is_silent(self, now: float) -> bool:
        return now > self.heard + (GRACE_SECONDS if self.reported else STARTUP_GRACE_SECONDS)


def ready_status(node: Any) -> str | None:
    """ "True", "False", "Unknown", or None where nobody has said anything yet."""
    found = find(node.status.conditions, "Ready")
    return found.status if found is not None else None


def unknown_conditions(node: Any, now: str) -> tuple[Any, ...]:
    """The conditions of a silent node: what its kubelet said holds no more."""
    changed = {c.type: c for c in node.status.conditions}
    for type_ in REPORTED:
        old = changed.get(type_)
        if old is None:
            changed[type_] = core_v1.NodeCondition(
                type=type_,
                status="Unknown",
                reason="NodeStatusNeverUpdated",
                message="Kubelet never posted node status.",
                lastHeartbeatTime=node.metadata.creationTimestamp,
                lastTransitionTime=now,
            )
        elif old.status != "Unknown":
            changed[type_] = evolve(
                old,
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                lastTransitionTime=now,
            )
    return tuple(changed.values())
