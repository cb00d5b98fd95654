"""A pod as one row: what STATUS and RESTARTS say of its containers."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.podlevel import is_sidecar
from knarr.api.kind import AGE, NAME, Column
from knarr.api.printing import NONE, age
from knarr.meta import times

Object = dict[str, Any]

COLUMNS = (
    NAME,
    Column(
        "Ready",
        description="The aggregate readiness state of this pod for accepting traffic.",
    ),
    Column(
        "Status",
        description="The aggregate status of the containers in this pod.",
    ),
    Column(
        "Restarts",
        description="The number of times the containers in this pod have been restarted and when the last"
        " container in this pod has restarted.",
    ),
    AGE,
    Column("IP", doc="core.v1.PodStatus.podIP", priority=1),
    Column("Node", doc="core.v1.PodSpec.nodeName", priority=1),
    Column("Nominated Node", doc="core.v1.PodStatus.nominatedNodeName", priority=1),
    Column("Readiness Gates", doc="core.v1.PodSpec.readinessGates", priority=1),
)
#: what a row of a finished pod carries beside its cells
CONDITIONS = {
    "Succeeded": [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Succeeded",
            "message": "The pod has completed successfully.",
        }
    ],
    "Failed": [{"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}],
}


def cells(pod: Object, now: float) -> list[Any]:
    spec, status = pod.get("spec", {}), pod.get("status", {})
    ready, total, reason, restarts = _Summary(pod).result(now)
    ips = status.get("podIPs")
    return [
        pod["metadata"].get("name", ""),
        f"{ready}/{total}",
        reason,
        restarts,
        age(pod, now),
        ips[0].get("ip") or NONE if ips else NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _readiness_gates(spec, status),
    ]


class _Summary:
    """Walks over the container statuses in the order in which they matter."""

    def __init__(self, pod: Object) -> None:
        self.pod, self.spec, self.status = pod, pod.get("spec", {}), pod.get("status", {})
        self.sidecars = {c.get("name") for c in self.spec.get("initContainers", ()) if is_sidecar(c)}
        self.ready = self.restarts = self.sidecar_restarts = 0
        self.last = self.sidecar_last = ""
        self.reason = self._pod_reason()

    def result(self, now: float) -> tuple[int, int, str, str]:
        if not self._initializing() or self._has_condition("Initialized"):
            self.restarts, self.last = self.sidecar_restarts, self.sidecar_last
            self._containers()
        self._deletion()
        total = len(self.spec.get("containers", ())) + len(self.sidecars)
        restarts = str(self.restarts)
        if self.restarts and self.last:
            restarts += f" ({times.age(self.last, now)} ago)"
        return self.ready, total, self.reason, restarts

    def _pod_reason(self) -> str:
        gated = any(
            c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated"
            for c in self.status.get("conditions", ())
        )
        return "SchedulingGated" if gated else self.status.get("reason") or self.status.get("phase", "")

    def _has_condition(self, kind: str) -> bool:
        return any(
            c.get("type") == kind and c.get("status") == "True" for c in self.status.get("conditions", ())
        )

    def _initializing(self) -> bool:
        for index, container in enumerate(self.status.get("initContainerStatuses", ())):
            restarts, finished = container.get("restartCount", 0), _last_finished(container)
            sidecar = container.get("name") in self.sidecars
            self.restarts += restarts
            self.last = max(self.last, finished)
            if sidecar:
                self.sidecar_restarts += restarts
                self.sidecar_last = max(self.sidecar_last, finished)
            state = container.get("state", {})
            ended, waiting = state.get("terminated"), state.get("waiting", {})
            if ended is not None and not ended.get("exitCode"):
                continue
            if sidecar and container.get("started"):
                self.ready += bool(container.get("ready"))
                continue
            if ended is not None:
                self.reason = "Init:" + _end_reason(ended)
            elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
                self.reason = "Init:" + waiting["reason"]
            else:
                self.reason = f"Init:{index}/{len(self.spec.get('initContainers', ()))}"
            return True
        return False

    def _containers(self) -> None:
        running = False
        for container in reversed(self.status.get("containerStatuses", ())):
            self.restarts += container.get("restartCount", 0)
            self.last = max(self.last, _last_finished(container))
            state = container.get("state", {})
            if state.get("waiting", {}).get("reason"):
                self.reason = state["waiting"]["reason"]
            elif "terminated" in state:
                self.reason = _end_reason(state["terminated"])
            elif container.get("ready") and "running" in state:
                running = True
                self.ready += 1
        # one container has done its work while another goes on
        if self.reason == "Completed" and running:
            self.reason = "Running" if self._has_condition("Ready") else "NotReady"

    def _deletion(self) -> None:
        if "deletionTimestamp" not in self.pod["metadata"]:
            return
        if self.status.get("reason") == "NodeLost":
            self.reason = "Unknown"
        elif self.status.get("phase") not in ("Succeeded", "Failed"):
            self.reason = "Terminating"


def _end_reason(ended: Object) -> str:
    if ended.get("reason"):
        return ended["reason"]
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _last_finished(container: Object) -> str:
    """When it ended last; RFC3339 in UTC sorts as text."""
    return container.get("lastState", {}).get("terminated", {}).get("finishedAt") or ""


def _readiness_gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates")
    if not gates:
        return NONE
    state = {c.get("type"): c.get("status") for c in reversed(status.get("conditions", ()))}
    return f"{sum(state.get(g.get('conditionType')) == 'True' for g in gates)}/{len(gates)}"
