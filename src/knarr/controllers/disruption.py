"""PodDisruptionBudget: how many pods are well, how many must be, and so how many may be taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from knarr.api.scheme import evolve
from knarr.api.types import apps_v1, core_v1, meta_v1, policy_v1
from knarr.client.client import Client, is_conflict, is_not_found
from knarr.client.codec import Partial
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controller_of, key_of
from knarr.controllers.base import GATHER_SECONDS_MIN, SECONDS_PER_POD, KubeController
from knarr.controllers.conditions import find, without
from knarr.controllers.pods import is_ready
from knarr.controllers.podstatus import with_condition, write_pod_status
from knarr.controllers.served import CRD, rows_of_kind
from knarr.meta import intstr, times
from knarr.meta.errors import StatusError
from knarr.meta.labels import Selector, from_label_selector
from knarr.world import World

#: an eviction that was allowed is carried out within this time, or it counts no more
DELETION_SECONDS = 120.0
#: a pod that was to be disrupted and still lives after this is not going to be
STALE_SECONDS = 120.0
BY_KUBELET = "TerminationByKubelet"
CONDITION = "DisruptionAllowed"


class Counts(NamedTuple):
    """`unmanaged`: pods that nothing controls, where the budget is a share of what controllers want."""

    expected: int
    desired: int
    unmanaged: tuple[str, ...] = ()


class NoController(Exception):
    """A pod's controller says nothing about how many pods there should be."""


class StalePod(NamedTuple):
    """A key: this pod was to be disrupted, and perhaps is not any more."""

    pod: Key


class DisruptionController(KubeController):
    """Keys are budgets, and `StalePod`s."""

    name = "disruption-controller"
    component = "controllermanager"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self._selectors: dict[Key, tuple[Any, Selector]] = {}
        self._sizes: dict[Key, int] = {}
        self.budgets = self.watch_primary(policy_v1.PodDisruptionBudget)
        self.pods = self.watch(core_v1.Pod, self._pod_seen, self._pod_updated, self._touch_budget)
        self.sets = self.watch(apps_v1.ReplicaSet)
        self.deployments = self.watch(apps_v1.Deployment)
        self.stateful_sets = self.watch(apps_v1.StatefulSet)
        self.controllers = self.watch(core_v1.ReplicationController)
        self.crds = self.watch(CRD)

    # -- events ------------------------------------------------------------------------------------------

    def _pod_seen(self, pod: Any) -> None:
        self._touch_budget(pod)
        seconds = stale_in(pod, self.clock.now())
        if seconds is not None:
            self.queue.add_after(StalePod(key_of(pod)), seconds)

    def _pod_updated(self, old: Any, new: Any) -> None:
        if old.metadata.labels != new.metadata.labels:
            self._touch_budget(old)
        self._pod_seen(new)

    def _touch_budget(self, pod: Any) -> None:
        found = [b for b in self.budgets.indexer.list(pod.metadata.namespace) if self._covers(b, pod)]
        if not found:
            return
        if len(found) > 1:
            meta = pod.metadata
            self.events.event(
                pod,
                "Warning",
                "MultiplePodDisruptionBudgets",
                f'Pod "{meta.namespace}"/"{meta.name}" matches multiple PodDisruptionBudgets. '
                f' Chose "{found[0].metadata.name}" arbitrarily.',
            )
        key = key_of(found[0])
        seconds = self._sizes.get(key, 0) * SECONDS_PER_POD
        self.queue.add_after(key, seconds if seconds >= GATHER_SECONDS_MIN else 0)

    def _covers(self, budget: Any, pod: Any) -> bool:
        return self._selector(budget).matches(pod.metadata.labels)

    def _selector(self, budget: Any) -> Selector:
        key, wire = key_of(budget), budget.spec.selector
        known = self._selectors.get(key)
        if known is None or known[0] is not wire:
            parsed = from_label_selector(None if wire is None else msgspec.to_builtins(wire))
            known = self._selectors[key] = wire, parsed
        return known[1]

    # -- work --------------------------------------------------------------------------------------------

    async def reconcile(self, key: Any) -> Requeue | None:
        if type(key) is StalePod:
            return await self.clear_stale(key.pod)
        budget = self.budgets.indexer.get(key)
        if budget is None:
            self._selectors.pop(key, None)
            self._sizes.pop(key, None)
            return None
        pods = [p for p in self.pods.indexer.list(key.namespace) if self._covers(budget, p)]
        self._sizes[key] = len(pods)
        if not pods:
            self.events.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            counts = await self.counts(budget, pods)
        except NoController as error:
            self.events.event(
                budget,
                "Warning",
                "CalculateExpectedPodCountFailed",
                f"Failed to calculate the number of expected pods: {error}",
            )
            await self._fail_safe(budget, str(error))
            return None
        if counts.unmanaged:
            self.events.event(budget, "Warning", "UnmanagedPods", unmanaged_message(self._selector(budget)))
        now = self.clock.now()
        disrupted, late = disruptions(budget, pods, now)
        for pod in late:
            namespace = budget.metadata.namespace
            message = f"Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
            self.events.event(pod, "Warning", "NotDeleted", message)
        status = status_of(budget, counts, healthy(pods, disrupted), disrupted, times.format(now))
        if status != budget.status:
            await self.client.update_status(evolve(budget, status=status))
        if not disrupted:
            return None
        return Requeue(min(times.parse(since) for since in disrupted.values()) + DELETION_SECONDS - now)

    async def _fail_safe(self, budget: Any, why: str) -> None:
        """Nothing is known, so nothing may be taken away."""
        now = times.format(self.clock.now())
        condition = _condition(
            budget.status, "False", "SyncFailed", why, budget.status.observedGeneration, now
        )
        status = evolve(budget.status, disruptionsAllowed=0, conditions=condition)
        if status != budget.status:
            await self.client.update_status(evolve(budget, status=status))

    async def clear_stale(self, key: Key) -> Requeue | None:
        pod = self.pods.indexer.get(key)
        seconds = stale_in(pod, self.clock.now()) if pod is not None else None
        if pod is None or seconds is None:
            return None
        if seconds > 0:
            return Requeue(seconds)
        now = times.format(self.clock.now())
        status = with_condition(pod.status, "DisruptionTarget", "", "", now, state="False")
        try:
            await write_pod_status(self.client, pod, status)
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise
        return None

    # -- how many there should be --------------------------------------------------------------------------

    async def counts(self, budget: Any, pods: Sequence[Any]) -> Counts:
        """Raises NoController."""
        spec = budget.spec
        if spec.maxUnavailable is None and (spec.minAvailable is None or type(spec.minAvailable) is int):
            return counts_of(spec, len(pods), ())
        expected, unmanaged = await self.scale_of(pods)
        return counts_of(spec, expected, unmanaged)

    async def scale_of(self, pods: Iterable[Any]) -> tuple[int, tuple[str, ...]]:
        """What all controllers of the pods want together, and the pods that have none."""
        scales: dict[str, int] = {}
        asked: dict[str, None] = {}
        unmanaged = []
        for pod in pods:
            ref = controller_of(pod)
            if ref is None:
                unmanaged.append(pod.metadata.name)
            elif ref.uid not in asked:
                asked[ref.uid] = None
                found = self._known_scale(ref, pod.metadata.namespace)
                if found is None:
                    found = await self._asked_scale(ref, pod.metadata.namespace)
                if found is None:
                    raise NoController(f'found no controllers for pod "{pod.metadata.name}"')
                scales[found[0]] = found[1]
        return sum(scales.values()), tuple(unmanaged)

    def _known_scale(self, ref: Any, namespace: str) -> tuple[str, int] | None:
        """(uid, replicas) of the one that decides: a deployment for its replica sets."""
        informer = {
            "ReplicaSet": self.sets,
            "StatefulSet": self.stateful_sets,
            "ReplicationController": self.controllers,
        }.get(ref.kind)
        owner = informer.indexer.get((namespace, ref.name)) if informer is not None else None
        if owner is None or owner.metadata.uid != ref.uid:
            return None
        above = controller_of(owner)
        if ref.kind == "ReplicaSet" and above is not None and above.kind == "Deployment":
            deployment = self.deployments.indexer.get((namespace, above.name))
            if deployment is None or deployment.metadata.uid != above.uid:
                return None
            owner = deployment
        return owner.metadata.uid, owner.spec.replicas or 0

    async def _asked_scale(self, ref: Any, namespace: str) -> tuple[str, int] | None:
        """By the scale subresource, of whatever kind has one."""
        group, _, _ = ref.apiVersion.rpartition("/")
        rows = rows_of_kind(group, ref.kind, self.crds.indexer.list())
        if not rows:
            return None
        try:
            scale = await self.client.get_scale(Partial(rows[0]), ref.name, namespace)
        except StatusError as error:
            if error.code in (404, 405):
                raise NoController(
                    f"{rows[0].name}.{group} does not implement the scale subresource"
                ) from error
            raise
        if scale["metadata"].get("uid") != ref.uid:
            return None
        return ref.uid, scale.get("spec", {}).get("replicas", 0)


# -- deciding --------------------------------------------------------------------------------------------------


def counts_of(spec: Any, expected: int, unmanaged: tuple[str, ...]) -> Counts:
    """How many of `expected` pods must be healthy; shares are rounded up."""
    if spec.maxUnavailable is not None:
        return Counts(
            expected, max(0, expected - intstr.scaled(spec.maxUnavailable, expected, True)), unmanaged
        )
    if spec.minAvailable is None:
        return Counts(0, 0, unmanaged)
    return Counts(expected, intstr.scaled(spec.minAvailable, expected, True), unmanaged)


def disruptions(budget: Any, pods: Iterable[Any], now: float) -> tuple[dict[str, str], list[Any]]:
    """The evictions that are still under way, and the pods that should be gone by now."""
    pending, late = {}, []
    for pod in pods:
        since = budget.status.disruptedPods.get(pod.metadata.name)
        if since is None or pod.metadata.deletionTimestamp is not None:
            continue
        if times.parse(since) + DELETION_SECONDS < now:
            late.append(pod)
        else:
            pending[pod.metadata.name] = since
    return pending, late


def healthy(pods: Iterable[Any], disrupted: Mapping[str, str]) -> int:
    """Pods that are ready and stay."""
    return sum(
        pod.metadata.deletionTimestamp is None and pod.metadata.name not in disrupted and is_ready(pod)
        for pod in pods
    )


def status_of(budget: Any, counts: Counts, now_healthy: int, disrupted: dict[str, str], now: str) -> Any:
    """The status that follows from the numbers."""
    allowed = max(0, now_healthy - counts.desired) if counts.expected > 0 else 0
    generation = budget.metadata.generation or 0
    state, reason = ("True", "SufficientPods") if allowed > 0 else ("False", "InsufficientPods")
    return policy_v1.PodDisruptionBudgetStatus(
        currentHealthy=now_healthy,
        desiredHealthy=counts.desired,
        expectedPods=counts.expected,
        disruptionsAllowed=allowed,
        disruptedPods=disrupted,
        observedGeneration=generation,
        conditions=_condition(budget.status, state, reason, "", generation, now),
    )


def _condition(
    status: Any, state: str, reason: str, message: str, generation: int, now: str
) -> tuple[Any, ...]:
    old = find(status.conditions, CONDITION)
    since = old.lastTransitionTime if old is not None and old.status == state else now
    new = meta_v1.Condition(
        type=CONDITION,
        status=state,
        reason=reason,
        message=message,
        observedGeneration=generation,
        lastTransitionTime=since,
    )
    return (*without(status.conditions, CONDITION), new)


def unmanaged_message(selector: Selector) -> str:
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the"
        " status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for"
        ' these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
    )


def stale_in(pod: Any, now: float) -> float | None:
    """Seconds until a pod that was to be disrupted is taken to stay; None where it was not, or goes."""
    if pod.metadata.deletionTimestamp is not None or pod.status.phase in ("Succeeded", "Failed"):
        return None
    condition = find(pod.status.conditions, "DisruptionTarget")
    if condition is None or condition.status != "True" or condition.reason == BY_KUBELET:
        return None
    since = times.parse(condition.lastTransitionTime) if condition.lastTransitionTime else now
    return max(0.0, since + STALE_SECONDS - now)
