"""The status a kubelet writes for a pod, in wire form, from what the runtime knows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from knarr.kubelet import conditions
from knarr.kubelet.phase import TERMINAL, phase_of
from knarr.kubelet.plan import HEALTHY, Health, is_sidecar
from knarr.kubelet.runtime import CREATED, EXITED, FAILED, RUNNING, ContainerRecord, PodRecord
from knarr.meta import times

Status = dict[str, Any]
#: nobody probes ephemeral containers
NO_HEALTH = {"ready": False, "started": None}


@dataclass
class Inputs:
    """Everything a status is made of."""

    pod: Any
    record: PodRecord | None
    runtime: str
    host_ips: tuple[str, ...]
    started_at: float
    now: float
    health: Mapping[str, Health] = field(default_factory=dict)
    #: containers that wait for another run: name -> (reason, message)
    waiting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: the conditions as last written
    before: Mapping[str, conditions.Condition] = field(default_factory=dict)
    #: conditions that others write, by type: readiness gates
    gates: Mapping[str, str] = field(default_factory=dict)
    #: the pod is being ended: nothing starts again
    over: bool = False
    #: it is ended as failed, whatever its containers say: (reason, message)
    failed: tuple[str, str] | None = None
    #: what was last shown
    phase_before: str = "Pending"
    shown: Mapping[str, Status] = field(default_factory=dict)


def pod_status(i: Inputs) -> Status:
    """The whole status."""
    pod, record = i.pod, i.record
    spec = pod.spec
    phase = "Failed" if i.failed is not None else phase_of(pod, record, i.over)
    if phase in TERMINAL and record is not None and record.running:
        # sidecars and killed containers end first
        phase = "Pending" if i.phase_before == "Pending" and not regular_started(pod, record) else "Running"
    initialized = _initialized(pod, record, i.health)
    default = "PodInitializing" if spec.initContainers else "ContainerCreating"
    inits = [_container_status(i, c, default, init=True) for c in spec.initContainers]
    regulars = [_container_status(i, c, default, init=False) for c in spec.containers]
    ephemerals = [
        {**_container_status(i, c, "ContainerCreating", init=False), **NO_HEALTH}
        for c in spec.ephemeralContainers
        if record is not None and record.last(c.name) is not None
    ]
    by_name = {status["name"]: status for status in (*inits, *regulars)}
    sandbox = record is not None and record.ready and phase not in TERMINAL
    now = times.format(i.now)
    generation = pod.metadata.generation or 0
    wanted = conditions.pod_conditions(pod, phase, sandbox, by_name, initialized, i.gates)
    status: Status = {
        "phase": phase,
        "observedGeneration": generation,
        "conditions": conditions.settle(wanted, i.before, generation, now),
        "hostIP": i.host_ips[0],
        "hostIPs": [{"ip": ip} for ip in i.host_ips],
        "startTime": times.format(i.started_at),
        "containerStatuses": regulars,
    }
    if i.failed is not None and phase == "Failed":
        status["reason"], status["message"] = i.failed
    if inits:
        status["initContainerStatuses"] = inits
    if ephemerals:
        status["ephemeralContainerStatuses"] = ephemerals
    ips = i.host_ips if spec.hostNetwork else record.ips if record is not None else ()
    if ips and record is not None:
        status["podIP"] = ips[0]
        status["podIPs"] = [{"ip": ip} for ip in ips]
    if pod.status.qosClass:
        status["qosClass"] = pod.status.qosClass
    return status


def rejected_status(pod: Any, started_at: float, reason: str, message: str) -> Status:
    """Of a pod that was not let in: nothing is said of containers and conditions, there never were any."""
    status: Status = {
        "phase": "Failed",
        "reason": reason,
        "message": message,
        "observedGeneration": pod.metadata.generation or 0,
        "startTime": times.format(started_at),
    }
    if pod.status.qosClass:
        status["qosClass"] = pod.status.qosClass
    return status


def regular_started(pod: Any, record: PodRecord) -> bool:
    return any(record.last(c.name) is not None for c in pod.spec.containers)


def _initialized(pod: Any, record: PodRecord | None, health: Mapping[str, Health]) -> bool:
    if record is None:
        return not pod.spec.initContainers
    if regular_started(pod, record):
        return True
    for container in pod.spec.initContainers:
        run = record.last(container.name)
        if run is None:
            return False
        if is_sidecar(container):
            if run.state != RUNNING or not health.get(container.name, HEALTHY).started:
                return False
        elif run.state != EXITED or run.exit_code != 0:
            return False
    return True


def _container_status(i: Inputs, container: Any, default: str, init: bool) -> Status:
    name = container.name
    runs = i.record.containers.get(name, ()) if i.record is not None else ()
    run = runs[-1] if runs else None
    if run is not None and run.state == CREATED and not i.over:
        # the next run is being made: until it is there, why the last try failed is what there is to see
        before = i.shown.get(name)
        if before is not None and "waiting" in before["state"]:
            return dict(before)
        if len(runs) > 1:
            runs, run = runs[:-1], runs[-2]
    status: Status = {
        "name": name,
        "state": {},
        "lastState": {},
        "ready": False,
        "started": False,
        "restartCount": 0,
        "image": container.image,
        "imageID": "",
    }
    shown = run if run is not None and run.state in (RUNNING, EXITED) else None
    previous = _previous(runs)
    if shown is None:
        reason, message = i.waiting.get(name) or (
            (run.reason, run.message) if _failed(run) else (default, "")
        )
        status["state"] = _waiting(reason, message)
        if run is not None:
            status["restartCount"] = run.attempt if run.state != FAILED else max(run.attempt - 1, 0)
    elif shown.state == EXITED and name in i.waiting:
        status["state"] = _waiting(*i.waiting[name])
        status["restartCount"] = shown.attempt
        previous = shown
    else:
        status["state"] = _state(i, shown)
        status["restartCount"] = shown.attempt
    if previous is not None:
        status["lastState"] = _state(i, previous)
    known = shown or previous
    if known is not None:
        status["image"] = known.image or container.image
        status["imageID"] = known.image_id
        status["containerID"] = f"{i.runtime}://{known.id}"
    _health(i, status, container, shown, init)
    _facts(status, container, known)
    return status


def _failed(run: ContainerRecord | None) -> bool:
    return run is not None and run.state == FAILED and bool(run.reason)


def _previous(runs: Any) -> ContainerRecord | None:
    for earlier in reversed(runs[:-1]):
        if earlier.state == EXITED:
            return earlier
    return None


def _waiting(reason: str, message: str) -> Status:
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def _state(i: Inputs, run: ContainerRecord) -> Status:
    if run.state == RUNNING:
        return {"running": {"startedAt": times.format(run.started_at)}}
    terminated: Status = {
        "exitCode": run.exit_code,
        "reason": run.reason or ("Completed" if run.exit_code == 0 else "Error"),
        "startedAt": times.format(run.started_at) if run.started_at else None,
        "finishedAt": times.format(run.finished_at) if run.finished_at else None,
        "containerID": f"{i.runtime}://{run.id}",
    }
    if run.signal:
        terminated["signal"] = run.signal
    if run.message:
        terminated["message"] = run.message
    return {"terminated": terminated}


def _health(i: Inputs, status: Status, container: Any, shown: ContainerRecord | None, init: bool) -> None:
    """Regular containers and sidecars are ready by their probes; an init container is when it has succeeded."""
    if shown is None:
        return
    if init and not is_sidecar(container):
        status["ready"] = shown.state == EXITED and shown.exit_code == 0
        status["started"] = shown.state == RUNNING
    elif shown.state == RUNNING:
        health = i.health.get(container.name, HEALTHY)
        status["started"], status["ready"] = health.started, health.started and health.ready


def _facts(status: Status, container: Any, run: ContainerRecord | None) -> None:
    """Resources and user: what the runtime gave its latest run, and gives no more. Mounts: what it will have."""
    resources = container.resources
    if run is not None:
        status["resources"] = given = {}
        if resources is not None and resources.requests:
            status["allocatedResources"] = given["requests"] = resources.requests
        if resources is not None and resources.limits:
            given["limits"] = resources.limits
        uid, gid, groups = run.user
        status["user"] = {"linux": {"uid": uid, "gid": gid, "supplementalGroups": list(groups)}}
    if container.volumeMounts:
        status["volumeMounts"] = [_mount(mount) for mount in container.volumeMounts]


def _mount(mount: Any) -> Status:
    shown: Status = {"name": mount.name, "mountPath": mount.mountPath}
    if mount.readOnly:
        shown["readOnly"], shown["recursiveReadOnly"] = True, "Disabled"
    return shown


def changes(new: Mapping[str, Any], old: Mapping[str, Any]) -> Status:
    """The strategic merge patch that turns `old` into `new`: whole top-level fields; None removes one.

    Conditions are merged by type, so only those that differ are said, and what one no longer has is removed by name.
    """
    patch = {key: value for key, value in new.items() if key not in old or old[key] != value}
    patch.update({key: None for key in old if key not in new})
    if "conditions" in patch:
        before = {c["type"]: c for c in old.get("conditions", ())}
        differing = [c for c in new["conditions"] if before.get(c["type"]) != c]
        patch["conditions"] = [_condition(c, before.get(c["type"], {})) for c in differing]
        if len(before) != len(new["conditions"]):
            patch["$setElementOrder/conditions"] = [{"type": c["type"]} for c in new["conditions"]]
    return patch


def _condition(new: Mapping[str, Any], old: Mapping[str, Any]) -> Status:
    return {**{key: None for key in old if key not in new}, **new}
