"""ReplicaSet: keep as many active pods as spec.replicas asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from knarr.api.scheme import evolve
from knarr.api.types import apps_v1, core_v1
from knarr.client.batches import all_of, slow_start
from knarr.client.claim import claim
from knarr.client.client import Client, namespace_terminating
from knarr.client.controller import Requeue
from knarr.client.indexer import BY_CONTROLLER, controller_index
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controller_of
from knarr.controllers.base import PodOwner
from knarr.controllers.census import Census, Facts, Observed, all_settled
from knarr.controllers.conditions import find, without
from knarr.controllers.podcontrol import is_gone, pod_from_template
from knarr.controllers.pods import is_active, worth_keeping
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

#: pods created or deleted per pass, so that one huge set cannot starve the rest
BURST = 500


class ReplicaSetController(PodOwner):
    """Owns pods; counts what it has, creates what is missing, deletes what is too much."""

    name = "replicaset-controller"
    #: status.terminatingReplicas is told of replica sets only
    counts_terminating: ClassVar[bool] = True

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.watch_pods(self.target())
        self.owners.indexer.add_index(BY_CONTROLLER, controller_index)
        self._censuses: dict[Key, Census] = {}

    @staticmethod
    def target() -> Any:
        return apps_v1.ReplicaSet

    async def reconcile(self, key: Key) -> Requeue | None:
        # Asked before the cache is read: an event arriving during an await below must not declare settled a list
        # that was taken without it.
        settled = self.expectations.met(key)
        rs = self.owners.indexer.get(key)
        if rs is None:
            self.expectations.forget(key)
            self._censuses.pop(key, None)
            return None

        census = self.census_of(key, rs)
        candidates = census.take(self.candidates(rs))
        active = [facts for facts in candidates if facts.active]
        pods = [facts.pod for facts in active]
        if not all_settled(active):
            pods = await claim(self.client, rs, pods, self.selector_of(rs))
        failure: StatusError | None = None
        if settled and rs.metadata.deletionTimestamp is None:
            failure = await self.manage(key, rs, pods)

        now = self.clock.now()
        seen = census.observe(pods, rs.spec.minReadySeconds, now)
        terminating = count_terminating(candidates) if self.counts_terminating else None
        status = status_of(rs, seen, terminating, len(pods), failure, now)
        if status != rs.status:
            await self.client.update_status(evolve(rs, status=status))
        if failure is not None:
            raise failure
        return Requeue(seen.next_available) if seen.next_available else None

    def census_of(self, key: Key, rs: Any) -> Census:
        census = self._censuses.get(key)
        if census is None or not census.is_of(rs):
            census = self._censuses[key] = Census(rs, self.selector_of(rs))
        return census

    async def manage(self, key: Key, rs: Any, pods: Sequence[Any]) -> StatusError | None:
        """Create or delete pods; the first refusal, if any."""
        missing = rs.spec.replicas - len(pods)
        try:
            if missing > 0:
                await self.create_pods(key, rs, min(missing, BURST))
            elif missing < 0:
                await self.delete_pods(key, rs, self.surplus(rs, pods, min(-missing, BURST)))
        except StatusError as error:
            # a namespace that goes away takes the set with it: there is nothing to try again
            return None if namespace_terminating(error) else error
        return None

    async def create_pods(self, key: Key, rs: Any, count: int) -> None:
        body = msgspec.json.encode(pod_from_template(rs, rs.spec.template))  # one body: all are the same
        self.expectations.expect(key, creates=count)
        await slow_start(
            lambda _: self.pod_control.create(rs, body),
            range(count),
            lambda _: self.expectations.created(key),
        )

    async def delete_pods(self, key: Key, rs: Any, pods: Sequence[Any]) -> None:
        self.expectations.expect(key, deletes=[pod.metadata.uid for pod in pods])

        async def delete(pod: Any) -> None:
            try:
                await self.pod_control.delete(rs, pod)
            except StatusError as error:
                self.expectations.deleted(key, pod.metadata.uid)
                if not is_gone(error):
                    raise

        await all_of(delete, pods)

    def surplus(self, rs: Any, pods: Sequence[Any], count: int) -> list[Any]:
        if count >= len(pods):
            return list(pods)
        return cheapest(pods, count, self.neighbours(rs), self.clock.now())

    def neighbours(self, rs: Any) -> Mapping[str, int]:
        """Per node, the active pods of every set of the same deployment: spreading is kept across a rollout."""
        ref = controller_of(rs)
        sets = self.owners.indexer.by_index(BY_CONTROLLER, ref.uid) if ref is not None else [rs]
        return Counter(
            pod.spec.nodeName
            for related in sets
            for pod in self.pods.indexer.by_index(BY_CONTROLLER, related.metadata.uid)
            if is_active(pod)
        )


# -- deciding -------------------------------------------------------------------------------------------------


def cheapest(pods: Sequence[Any], count: int, neighbours: Mapping[str, int], now: float) -> list[Any]:
    """The pods to delete: those that cost least to lose."""
    ranked = sorted(pods, key=lambda pod: worth_keeping(pod, neighbours.get(pod.spec.nodeName, 0), now))
    return ranked[:count]


def count_terminating(candidates: Sequence[Facts]) -> int:
    """Pods of the set that are on their way out."""
    return sum([facts.terminating and facts.owned for facts in candidates])


def status_of(
    rs: Any, seen: Observed, terminating: int | None, replicas: int, failure: StatusError | None, now: float
) -> Any:
    """`replicas`: the active pods as they were when the pass began."""
    changes: dict[str, Any] = {
        "replicas": replicas,
        "fullyLabeledReplicas": seen.fully_labeled,
        "readyReplicas": seen.ready,
        "availableReplicas": seen.available,
        "observedGeneration": rs.metadata.generation,
        "conditions": conditions_of(rs, replicas, failure, now),
    }
    if terminating is not None:
        changes["terminatingReplicas"] = terminating
    return msgspec.structs.replace(rs.status, **changes)


def conditions_of(rs: Any, replicas: int, failure: StatusError | None, now: float) -> tuple[Any, ...]:
    """ReplicaFailure stands from the first refusal until a pass without one."""
    present = rs.status.conditions
    failing = find(present, "ReplicaFailure") is not None
    if failure is None:
        return without(present, "ReplicaFailure") if failing else present
    if failing:
        return present
    reason = "FailedCreate" if replicas < rs.spec.replicas else "FailedDelete"
    condition = condition_class(rs)(
        type="ReplicaFailure",
        status="True",
        lastTransitionTime=times.format(now),
        reason=reason,
        message=failure.message,
    )
    return (*present, condition)


def condition_class(rs: Any) -> Any:
    return (
        apps_v1.ReplicaSetCondition
        if isinstance(rs, apps_v1.ReplicaSet)
        else core_v1.ReplicationControllerCondition
    )
