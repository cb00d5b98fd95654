"""A deployment's status: counts, availability, and whether the rollout gets on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from knarr.api.types import apps_v1
from knarr.controllers.conditions import find, without
from knarr.controllers.deployment.limits import has_deadline, max_unavailable
from knarr.controllers.deployment.sizes import available, existing, wanted
from knarr.meta import times


class News(NamedTuple):
    """A condition's content."""

    type: str
    status: str
    reason: str
    message: str


AVAILABLE = News("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
UNAVAILABLE = News(
    "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
)
PAUSED = News("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
RESUMED = News("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")


def found(rs_name: str) -> News:
    return News("Progressing", "True", "FoundNewReplicaSet", f'Found new replica set "{rs_name}"')


def created(rs_name: str) -> News:
    return News("Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{rs_name}"')


def not_created(rs_name: str, error: str) -> News:
    message = f'Failed to create new replica set "{rs_name}": {error}'
    return News("Progressing", "False", "ReplicaSetCreateError", message)


def told(conditions: tuple[Any, ...], news: News, now: float) -> tuple[Any, ...]:
    """With the news; unchanged where status and reason are known already."""
    known = find(conditions, news.type)
    if known is not None and (known.status, known.reason) == (news.status, news.reason):
        return conditions
    return _replaced(conditions, news, now)


def _replaced(conditions: tuple[Any, ...], news: News, now: float) -> tuple[Any, ...]:
    known, stamp = find(conditions, news.type), times.format(now)
    condition = apps_v1.DeploymentCondition(
        **news._asdict(),
        lastUpdateTime=stamp,
        lastTransitionTime=known.lastTransitionTime
        if known is not None and known.status == news.status
        else stamp,
    )
    return (*without(conditions, news.type), condition)


def counted(d: Any, sets: Sequence[Any], new: Any | None, now: float) -> Any:
    """The status by the replica sets' numbers, conditions but for Available as they were."""
    ready, terminating = available(sets), [rs.status.terminatingReplicas for rs in sets]
    enough = ready >= d.spec.replicas - max_unavailable(d)
    return msgspec.structs.replace(
        d.status,
        observedGeneration=d.metadata.generation,
        replicas=existing(sets),
        updatedReplicas=existing([new] if new is not None else ()),
        readyReplicas=sum(rs.status.readyReplicas for rs in sets),
        availableReplicas=ready,
        unavailableReplicas=max(0, wanted(sets) - ready),
        # unknown while one set has not said
        terminatingReplicas=None if None in terminating else sum(terminating),
        conditions=told(d.status.conditions, AVAILABLE if enough else UNAVAILABLE, now),
    )


def is_complete(d: Any, status: Any) -> bool:
    """All pods are of the new revision and available, and no others exist."""
    numbers = (status.updatedReplicas, status.replicas, status.availableReplicas)
    return numbers == (d.spec.replicas,) * 3 and status.observedGeneration >= d.metadata.generation


def has_progressed(old: Any, new: Any) -> bool:
    return (
        new.updatedReplicas > old.updatedReplicas
        or new.replicas - new.updatedReplicas < old.replicas - old.updatedReplicas
        or new.readyReplicas > old.readyReplicas
        or new.availableReplicas > old.availableReplicas
    )


def deadline(d: Any) -> float | None:
    """When the rollout counts as stuck, unless something happens; None while nothing is awaited."""
    progressing = find(d.status.conditions, "Progressing")
    if progressing is None or not has_deadline(d) or progressing.reason == "NewReplicaSetAvailable":
        return None
    return times.parse(progressing.lastUpdateTime) + d.spec.progressDeadlineSeconds


def is_stuck(d: Any, now: float) -> bool:
    progressing = find(d.status.conditions, "Progressing")
    if progressing is not None and progressing.reason == "ProgressDeadlineExceeded":
        return True
    limit = deadline(d)
    return limit is not None and limit < now


def of_rollout(d: Any, sets: Sequence[Any], new: Any | None, now: float) -> Any:
    """The status with the Progressing and ReplicaFailure conditions."""
    status = counted(d, sets, new, now)
    conditions = status.conditions
    if has_deadline(d):
        conditions = _progress(d, status, new, now)
    else:
        conditions = without(conditions, "Progressing")
    return msgspec.structs.replace(status, conditions=_with_failure(conditions, sets, new, now))


def _progress(d: Any, status: Any, new: Any | None, now: float) -> tuple[Any, ...]:
    conditions = status.conditions
    progressing = find(d.status.conditions, "Progressing")
    if (
        status.replicas == status.updatedReplicas
        and progressing is not None
        and progressing.reason == "NewReplicaSetAvailable"
    ):
        return conditions  # complete: that pods come and go later is no rollout
    name = f'ReplicaSet "{new.metadata.name}"' if new is not None else f'Deployment "{d.metadata.name}"'
    if is_complete(d, status):
        news = News("Progressing", "True", "NewReplicaSetAvailable", f"{name} has successfully progressed.")
        return told(conditions, news, now)
    if has_progressed(d.status, status):
        # lastUpdateTime moves with every step, though status and reason stay: the deadline counts from it
        news = News("Progressing", "True", "ReplicaSetUpdated", f"{name} is progressing.")
        return _replaced(conditions, news, now)
    if is_stuck(d, now):
        news = News("Progressing", "False", "ProgressDeadlineExceeded", f"{name} has timed out progressing.")
        return told(conditions, news, now)
    return conditions


def _with_failure(
    conditions: tuple[Any, ...], sets: Sequence[Any], new: Any | None, now: float
) -> tuple[Any, ...]:
    """A replica set that cannot create pods is the deployment's trouble; the new one's first."""
    for rs in ([new] if new is not None else []) + list(sets):
        failure = find(rs.status.conditions, "ReplicaFailure")
        if failure is not None:
            news = News("ReplicaFailure", failure.status, failure.reason, failure.message)
            known = find(conditions, news.type)
            if known is not None and (known.status, known.reason) == (news.status, news.reason):
                return conditions
            condition = apps_v1.DeploymentCondition(
                **news._asdict(),
                lastUpdateTime=failure.lastTransitionTime,
                lastTransitionTime=failure.lastTransitionTime,
            )
            return (*without(conditions, news.type), condition)
    return without(conditions, "ReplicaFailure") if find(conditions, "ReplicaFailure") else conditions
