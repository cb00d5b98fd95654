"""What to do in one pass: which ordinals to create, which pods to delete or mend, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from knarr.controllers.pods import is_available, is_finished, is_ready
from knarr.controllers.statefulset.identity import has_identity, ordinals, revision_of, start
from knarr.meta.intstr import scaled


class Revisions(NamedTuple):
    """Names of the revisions that pods may have."""

    current: str
    update: str


@dataclass
class Plan:
    """The acts of one pass; those on different pods may happen at once."""

    create: list[int] = field(default_factory=list)
    delete: list[Any] = field(default_factory=list)
    #: pods that exist and whose claims may be missing
    claims: list[Any] = field(default_factory=list)
    #: pods whose labels are not what they should be
    mend: list[Any] = field(default_factory=list)


def in_order(ss: Any) -> bool:
    """OrderedReady: each pod waits for those before it."""
    return ss.spec.podManagementPolicy != "Parallel"


def is_terminating(pod: Any) -> bool:
    return pod.metadata.deletionTimestamp is not None


def is_up(ss: Any, pod: Any, now: float) -> bool:
    """Running, ready and available."""
    return pod.status.phase == "Running" and is_available(pod, ss.spec.minReadySeconds, now)


def is_unavailable(ss: Any, pod: Any | None, now: float) -> bool:
    return pod is None or is_terminating(pod) or not is_up(ss, pod, now)


def partition(ss: Any) -> int:
    """Ordinals are updated from this one, counted from the first, on."""
    rolling = ss.spec.updateStrategy.rollingUpdate
    return (rolling.partition or 0) if rolling is not None else 0


def revision_for(ss: Any, ordinal: int, revisions: Revisions) -> str:
    """What a new pod is made from: below the partition what was current, else the newest."""
    strategy = ss.spec.updateStrategy
    if strategy.type != "RollingUpdate":
        return revisions.update
    limit = partition(ss) if strategy.rollingUpdate is not None else ss.status.currentReplicas
    return revisions.current if ordinal < start(ss) + limit else revisions.update


def plan(
    ss: Any,
    pods: Mapping[int, Any],
    revisions: Revisions,
    now: float,
    is_stale: Callable[[int], bool] = lambda _: False,
) -> Plan:
    """`pods` by ordinal. `is_stale`: the claim of an ordinal still belongs to an earlier pod."""
    todo = Plan()
    if ss.metadata.deletionTimestamp:
        return todo
    go_on = _keep(ss, pods, now, is_stale, todo) and _scale_down(ss, pods, now, todo)
    if go_on and ss.spec.updateStrategy.type == "RollingUpdate":
        _update(ss, pods, revisions, now, todo)
    return todo


def _keep(ss: Any, pods: Mapping[int, Any], now: float, is_stale: Callable[[int], bool], todo: Plan) -> bool:
    """Every wanted ordinal has a pod that is up, in order; False where the next must wait."""
    waits = in_order(ss)
    for ordinal in ordinals(ss):
        pod = pods.get(ordinal)
        if pod is None:
            if not is_stale(ordinal):
                todo.create.append(ordinal)
            if waits:
                return False
            continue
        if is_finished(pod):
            # its name is needed for the next one
            if not is_terminating(pod):
                todo.delete.append(pod)
            if waits:
                return False
            continue
        if pod.status.phase == "Pending" or not has_identity(ss, pod, ordinal):
            todo.claims.append(pod)
        if waits and is_unavailable(ss, pod, now):
            return False
        if not has_identity(ss, pod, ordinal):
            todo.mend.append(pod)
    return True


def _scale_down(ss: Any, pods: Mapping[int, Any], now: float, todo: Plan) -> bool:
    """Delete what is beyond, from the highest; in order one at a time, and none but the first that is not up while
    one is not up."""
    wanted = ordinals(ss)
    condemned = [pods[ordinal] for ordinal in sorted(pods, reverse=True) if ordinal not in wanted]
    down = [pods.get(ordinal) for ordinal in wanted] + condemned[::-1]
    first_down = next((pod for pod in down if is_unavailable(ss, pod, now)), None)
    for pod in condemned:
        if is_terminating(pod):
            if in_order(ss):
                return False
            continue
        if not in_order(ss):
            todo.delete.append(pod)
            continue
        if is_up(ss, pod, now) or pod is first_down:
            todo.delete.append(pod)
        return False
    return True


def _update(ss: Any, pods: Mapping[int, Any], revisions: Revisions, now: float, todo: Plan) -> None:
    """Delete pods of old revisions, from the highest; they come back new."""
    wanted = list(ordinals(ss))
    targets = [pods.get(ordinal) for ordinal in wanted[partition(ss) :]][::-1]
    old = [
        pod
        for pod in targets
        if pod is not None and revision_of(pod) != revisions.update and not is_terminating(pod)
    ]
    rolling = ss.spec.updateStrategy.rollingUpdate
    if rolling is None or rolling.maxUnavailable is None:
        _update_next(ss, targets, old, now, todo)
        return
    most = max(1, scaled(rolling.maxUnavailable, ss.spec.replicas, False))
    budget = most - sum(is_unavailable(ss, pods.get(ordinal), now) for ordinal in wanted)
    if not in_order(ss):
        # pods that are down anyway cost nothing
        free = [pod for pod in old if not is_up(ss, pod, now)]
        todo.delete += free
        old = [pod for pod in old if pod not in free]
    todo.delete += old[: max(0, budget)]


def _update_next(ss: Any, targets: list[Any], old: list[Any], now: float, todo: Plan) -> None:
    """The highest that is old, once all above it are up again."""
    for pod in targets:
        if any(pod is candidate for candidate in old):
            if pod not in todo.delete:
                todo.delete.append(pod)
            return
        if is_unavailable(ss, pod, now):
            return


def status_of(ss: Any, pods: list[Any], revisions: Revisions, collisions: int, now: float) -> Any:
    """`pods`: all that the set controls. A finished update makes the new revision the current one."""
    alive = [pod for pod in pods if not is_terminating(pod)]
    ready = [pod for pod in pods if pod.status.phase == "Running" and is_ready(pod)]
    current = sum(revision_of(pod) == revisions.current for pod in alive)
    updated = sum(revision_of(pod) == revisions.update for pod in alive)
    name = revisions.current
    done = (updated, len(ready), len(pods)) == (ss.spec.replicas,) * 3
    if ss.spec.updateStrategy.type == "RollingUpdate" and done:
        current, name = updated, revisions.update
    return msgspec.structs.replace(
        ss.status,
        observedGeneration=ss.metadata.generation,
        replicas=len(pods),
        readyReplicas=len(ready),
        availableReplicas=sum(is_up(ss, pod, now) for pod in pods),
        currentReplicas=current,
        updatedReplicas=updated,
        currentRevision=name,
        updateRevision=revisions.update,
        collisionCount=collisions,
    )
