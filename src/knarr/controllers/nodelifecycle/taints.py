"""The taints that a node's conditions ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from knarr.api.types import core_v1

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

#: (condition, status) -> taint
BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
OURS = {*BY_CONDITION.values(), UNSCHEDULABLE}
#: readiness -> (the taint that drives pods away, the one that contradicts it)
EVICTING = {"False": (NOT_READY, UNREACHABLE), "Unknown": (UNREACHABLE, NOT_READY)}

Place = tuple[str, str]


def has(taints: Iterable[Any], key: str, effect: str) -> bool:
    return any(taint.key == key and taint.effect == effect for taint in taints)


def no_schedule(node: Any) -> list[str]:
    """The keys of the NoSchedule taints that it should have of ours."""
    wanted = [
        key for c in node.status.conditions if (key := BY_CONDITION.get((c.type, c.status))) is not None
    ]
    return [*wanted, UNSCHEDULABLE] if node.spec.unschedulable else wanted


def taints_after(node: Any, evict: bool, now: str) -> tuple[Any, ...]:
    """What node.spec.taints should be. `evict`: its turn has come to lose its pods, if it is not ready.

    A node that is not ready keeps the evicting taint that it has, in the form its readiness has now.
    """
    ready = next((c.status for c in node.status.conditions if c.type == "Ready"), None)
    wanted: list[Place] = [(key, "NoSchedule") for key in no_schedule(node)]
    if ready in EVICTING:
        key, opposite = EVICTING[ready]
        if evict or has(node.spec.taints, key, "NoExecute") or has(node.spec.taints, opposite, "NoExecute"):
            wanted.append((key, "NoExecute"))
    kept = [
        taint
        for taint in node.spec.taints
        if (taint.key, taint.effect) in wanted or not _is_ours(taint, ready)
    ]
    present = {(taint.key, taint.effect) for taint in kept}
    added = [
        core_v1.Taint(key=key, effect=effect, timeAdded=now)
        for key, effect in wanted
        if (key, effect) not in present
    ]
    return (*kept, *added)


def _is_ours(taint: Any, ready: str | None) -> bool:
    """One that we may take away. Evicting taints stay while nothing is known of the node."""
    if taint.effect == "NoSchedule":
        return taint.key in OURS
    return taint.effect == "NoExecute" and taint.key in (NOT_READY, UNREACHABLE) and ready is not None


def without_eviction(taints: Sequence[Any]) -> tuple[Any, ...]:
    """All but the taints that drive pods away from nodes that are not ready."""
    return tuple(t for t in taints if not (t.effect == "NoExecute" and t.key in (NOT_READY, UNREACHABLE)))


def lead_to_eviction(node: Any) -> bool:
    """It is not ready and its pods have not been told to leave."""
    ready = next((c.status for c in node.status.conditions if c.type == "Ready"), None)
    return ready in EVICTING and not has(node.spec.taints, EVICTING[ready][0], "NoExecute")
