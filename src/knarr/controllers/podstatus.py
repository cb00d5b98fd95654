"""Writing the status of somebody else's pod: only what changed, and only of this very pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1
from knarr.client.client import Client, is_conflict, is_not_found
from knarr.controllers.conditions import find
from knarr.meta import times
from knarr.meta.errors import StatusError


def with_condition(status: Any, type_: str, reason: str, message: str, now: str, state: str = "True") -> Any:
    """A pod's status with a condition set; its time changes with its status."""
    old = find(status.conditions, type_)
    since = old.lastTransitionTime if old is not None and old.status == state else now
    new = core_v1.PodCondition(
        type=type_, status=state, reason=reason, message=message, lastTransitionTime=since
    )
    kept = tuple(new if c.type == type_ else c for c in status.conditions)
    return evolve(status, conditions=kept if old is not None else (*status.conditions, new))


def status_patch(pod: Any, status: Any) -> Mapping[str, Any]:
    """A strategic merge patch from the pod's status to `status`; {} where they are equal."""
    before, after = scheme().to_dict(pod.status), scheme().to_dict(status)
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    if "conditions" in changed:
        old = {c["type"]: c for c in before.get("conditions", ())}
        changed["conditions"] = [c for c in after["conditions"] if old.get(c["type"]) != c]
    return changed


async def write_pod_status(client: Client, pod: Any, status: Any) -> Any:
    """The pod as it is then. Raises NotFound, and Conflict where another pod has its name."""
    changed = status_patch(pod, status)
    if not changed:
        return pod
    meta = pod.metadata
    body = {"metadata": {"uid": meta.uid}, "status": changed}
    return await client.patch(core_v1.Pod, meta.name, meta.namespace, body, "strategic", subresource="status")


async def disrupt(client: Client, pod: Any, reason: str, message: str, now: float) -> None:
    """Delete a pod whose condition DisruptionTarget says why (KEP-3329); one that is gone by now was not disrupted."""
    status = with_condition(pod.status, "DisruptionTarget", reason, message, times.format(now))
    try:
        await write_pod_status(client, pod, status)
        await client.delete(pod)
    except StatusError as error:
        if not is_not_found(error) and not is_conflict(error):
            raise
