"""Namespace: empty one that is being deleted, pods first, and let it go.

Order and words are those of kube-controller-manager's namespaced resources deleter (ordered deletion, KEP-5080).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from knarr.api.resources import Resource
from knarr.api.scheme import evolve
from knarr.api.types import core_v1
from knarr.client.client import Client, is_conflict, is_not_found
from knarr.client.codec import Partial
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.controllers.conditions import find
from knarr.controllers.served import API_SERVICE, CRD, discover
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

FINALIZER = "kubernetes"
PODS = ("", "pods")
#: how long the owners of finalizers are given
FINALIZER_ESTIMATE_SECONDS = 15

#: condition -> (reason, message) where all is well, in the order in which they are written
GOOD = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
}


class Remaining(NamedTuple):
    """What one resource still holds after its deletion was asked for."""

    count: int = 0
    finalizers: dict[str, int] = {}
    estimate_seconds: int = 0


@dataclass
class Sweep:
    """One pass over a namespace's content."""

    remaining: dict[tuple[str, str], int] = field(default_factory=dict)
    finalizers: Counter[str] = field(default_factory=Counter)
    estimate_seconds: int = 0
    failures: list[str] = field(default_factory=list)
    undiscovered: dict[str, str] = field(default_factory=dict)

    def count(self, resource: tuple[str, str], left: Remaining) -> None:
        self.estimate_seconds = max(self.estimate_seconds, left.estimate_seconds)
        if left.count:
            self.remaining[resource] = left.count
            self.finalizers.update(left.finalizers)


class NamespaceController(KubeController):
    """Deletes the content of namespaces that are being deleted."""

    name = "namespace-controller"
    workers = 10

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.namespaces = self.watch(core_v1.Namespace, self._look, lambda _, new: self._look(new))
        self.pods = self.watch(core_v1.Pod, deleted=self._pod_deleted)
        self.crds = self.watch(CRD)
        self.api_services = self.watch(API_SERVICE)
        self._waited: dict[Key, float] = {}

    def _look(self, namespace: Any) -> None:
        if namespace.metadata.deletionTimestamp is not None:
            self.enqueue(namespace)

    def _pod_deleted(self, pod: Any) -> None:
        """The last pod is gone: the rest may follow at once."""
        key = Key("", pod.metadata.namespace)
        namespace = self.namespaces.indexer.get(key)
        if namespace is None or namespace.metadata.deletionTimestamp is None:
            return
        if not self.pods.indexer.list(pod.metadata.namespace):
            self.queue.add(key)

    async def reconcile(self, key: Key) -> Requeue | None:
        try:
            namespace = await self.client.get(core_v1.Namespace, key.name)
        except StatusError as error:
            if is_not_found(error):
                self._waited.pop(key, None)
                return None
            raise
        if namespace.metadata.deletionTimestamp is None or not namespace.spec.finalizers:
            return None
        sweep = await self.sweep(namespace)
        namespace = await self.report(namespace, sweep)
        if sweep.failures or sweep.undiscovered:
            raise ContentRemains("; ".join([*sweep.undiscovered.values(), *sweep.failures]))
        if sweep.estimate_seconds > 0 or PODS in sweep.remaining:
            return Requeue(self._patience(key, sweep.estimate_seconds))
        self._waited.pop(key, None)
        await self.finalize(namespace)
        return None

    def _patience(self, key: Key, estimate_seconds: float) -> float:
        """Half of what the rest is thought to take, but look early: it is often quicker."""
        wait = min(self._waited.get(key, 0.5) * 2, estimate_seconds / 2 + 1)
        self._waited[key] = wait
        return wait

    # -- content -----------------------------------------------------------------------------------------

    async def sweep(self, namespace: Any) -> Sweep:
        """Delete everything once; other resources only when no pod is left."""
        found = await discover(self.client, self.crds.indexer.list(), self.api_services.indexer.list())
        rows = {(row.group, row.name): row for row in found.rows if row.namespaced}
        sweep = Sweep(undiscovered=found.failures)
        await self._empty(namespace, rows.pop(PODS), sweep)
        if PODS not in sweep.remaining:
            for row in rows.values():
                await self._empty(namespace, row, sweep)
        return sweep

    async def _empty(self, namespace: Any, row: Resource, sweep: Sweep) -> None:
        try:
            left = await self._delete_all(namespace, row)
        except StatusError as error:
            if not _not_served(error):
                sweep.failures.append(error.message or error.reason)
            return
        sweep.count((row.group, row.name), left)
        if left.count and not left.finalizers and not left.estimate_seconds:
            gvr = f"{row.group}/{row.version}, Resource={row.name}"
            sweep.failures.append(
                f"unexpected items still remain in namespace: {namespace.metadata.name} for gvr: {gvr}"
            )

    async def _delete_all(self, namespace: Any, row: Resource) -> Remaining:
        """Ask for the deletion of all objects of a resource, and see what is left."""
        name, target = namespace.metadata.name, Partial(row)
        items = await self._items(target, name)
        if not items:
            return Remaining()
        estimate = 0
        if (row.group, row.name) == PODS:
            since = self.clock.now() - times.parse(namespace.metadata.deletionTimestamp)
            estimate = grace_left((await self.client.list(core_v1.Pod, name)).items, since)
        if "deletecollection" in row.verbs:
            await self.client.delete_collection(target, name, propagation="Background")
        else:
            for item in items:
                await self._delete_one(row, item)
        items = await self._items(target, name)
        finalizers = Counter(f for item in items for f in item.metadata.finalizers)
        if not estimate and finalizers:
            estimate = FINALIZER_ESTIMATE_SECONDS
        return Remaining(len(items), dict(finalizers), estimate)

    async def _items(self, target: Partial, namespace: str) -> list[Any]:
        return (await self.client.list(target, namespace)).items

    async def _delete_one(self, row: Resource, item: Any) -> None:
        try:
            await self.client.delete(item, resource=row, propagation="Background")
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise

    # -- the namespace -----------------------------------------------------------------------------------

    async def report(self, namespace: Any, sweep: Sweep) -> Any:
        """Write the conditions where they changed; the namespace as it is then."""
        conditions = conditions_after(
            namespace.status.conditions, problems(sweep), times.format(self.clock.now())
        )
        if conditions == namespace.status.conditions and namespace.status.phase == "Terminating":
            return namespace
        status = {"phase": "Terminating", "conditions": conditions}
        return await self.client.update_status(evolve(namespace, status=status))

    async def finalize(self, namespace: Any) -> None:
        """Give up our finalizer; a conflict means: somebody changed it, try again."""
        left = tuple(f for f in namespace.spec.finalizers if f != FINALIZER)
        if left == namespace.spec.finalizers:
            return
        try:
            await self.client.update(evolve(namespace, spec={"finalizers": left}), subresource="finalize")
        except StatusError as error:
            if not is_not_found(error):
                raise


class ContentRemains(Exception):
    """Something of a namespace could not be deleted."""


def _not_served(error: StatusError) -> bool:
    """The resource was removed meanwhile, or knows no such verb: nothing of it is here."""
    return error.code in (404, 405)


def grace_left(pods: Iterable[Any], seconds_since_deletion: float) -> int:
    """The longest grace period among the pods that still run, less what has passed of it."""
    longest = max(
        (
            pod.spec.terminationGracePeriodSeconds or 0
            for pod in pods
            if pod.status.phase not in ("Succeeded", "Failed")
        ),
        default=0,
    )
    return max(0, int(longest - seconds_since_deletion))


def problems(sweep: Sweep) -> dict[str, tuple[str, str]]:
    """condition -> (reason, message) of those that are true."""
    found: dict[str, tuple[str, str]] = {}
    if sweep.undiscovered:
        listed = ", ".join(f"{group}: {why}" for group, why in sorted(sweep.undiscovered.items()))
        found["NamespaceDeletionDiscoveryFailure"] = (
            "DiscoveryFailed",
            f"Discovery failed for some groups, {len(sweep.undiscovered)} failing: unable to retrieve the complete"
            f" list of server APIs: {listed}",
        )
    if sweep.failures:
        listed = ", ".join(sorted(sweep.failures))
        found["NamespaceDeletionContentFailure"] = (
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(sweep.failures)} remaining: {listed}",
        )
    if sweep.remaining:
        listed = ", ".join(
            sorted(
                f"{name}.{group} has {n} resource instances" for (group, name), n in sweep.remaining.items()
            )
        )
        found["NamespaceContentRemaining"] = (
            "SomeResourcesRemain",
            f"Some resources are remaining: {listed}",
        )
    if sweep.finalizers:
        listed = ", ".join(
            sorted(f"{name} in {n} resource instances" for name, n in sweep.finalizers.items())
        )
        found["NamespaceFinalizersRemaining"] = (
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {listed}",
        )
    return found


def conditions_after(before: Sequence[Any], found: dict[str, tuple[str, str]], now: str) -> tuple[Any, ...]:
    """Every condition of a deletion, true where `found` names it; a time changes only with the status."""
    after = {condition.type: condition for condition in before}
    for type_, good in GOOD.items():
        status = "True" if type_ in found else "False"
        reason, message = found.get(type_, good)
        old = find(before, type_)
        since = old.lastTransitionTime if old is not None and old.status == status else now
        after[type_] = core_v1.NamespaceCondition(
            type=type_, status=status, reason=reason, message=message, lastTransitionTime=since
        )
    return tuple(after.values())
