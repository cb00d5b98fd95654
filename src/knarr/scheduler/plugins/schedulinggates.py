"""SchedulingGates: a pod waits until all its gates are removed."""

from __future__ import annotations

from typing import Any

from knarr.scheduler.framework import Plugin
from knarr.scheduler.queue.events import POD, Action, Interest


class SchedulingGates(Plugin):
    """spec.schedulingGates."""

    name = "SchedulingGates"
    interests = (Interest(POD, Action.POD_GATES),)

    def pre_enqueue(self, pod: Any) -> str | None:
        gates = [gate.name for gate in pod.spec.schedulingGates]
        return f"waiting for scheduling gates: [{' '.join(gates)}]" if gates else None
