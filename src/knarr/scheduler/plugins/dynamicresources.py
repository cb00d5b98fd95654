"""DynamicResources: a pod goes where the devices are that its claims ask for, and the claims get them.

A pod that asks for extended resources which are devices gets a claim that is made here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import numpy as np

from knarr.api.resource.claimfacts import (
    FINALIZER,
    FIRST_AVAILABLE_MAX,
    allocation_of,
    has_room,
    is_reserved_for,
    reserved_for,
)
from knarr.api.scheme import evolve, scheme
from knarr.api.types import resource_v1
from knarr.client.client import is_conflict
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.devices import claims as rules
from knarr.scheduler.devices import extended
from knarr.scheduler.devices.allocator import AllocationError, FailedOnNode, Solution, allocate
from knarr.scheduler.devices.pools import Node, Pool, gather
from knarr.scheduler.devices.results import allocation
from knarr.scheduler.devices.selectors import Selectors
from knarr.scheduler.framework import (
    ALL,
    MAX_NODE_SCORE,
    TOPOLOGY,
    Broken,
    FilterPlugin,
    PostFilterResult,
    Refusal,
    Rows,
    ScorePlugin,
    Unschedulable,
)
from knarr.scheduler.handle import Handle
from knarr.scheduler.plugins.nodeaffinity import term_holds
from knarr.scheduler.queue.events import (
    DEVICE_CLASS,
    NODE,
    POD,
    RESOURCE_CLAIM,
    RESOURCE_SLICE,
    Action,
    ClusterEvent,
    Interest,
)
from knarr.scheduler.terms import node_terms

CANNOT_ALLOCATE = "cannot allocate all claims"
STALE = "cannot schedule extended resource claim"
ELSEWHERE = "resourceclaim not available on the node"
#: writes that lost a race are tried again
TRIES_MAX = 5
#: how long devices may take until they are prepared for the node
BINDING_SECONDS_MAX, POLL_SECONDS = 600.0, 1.0


class DynamicResources(FilterPlugin, ScorePlugin):
    """spec.resourceClaims, and extended resources that a DeviceClass provides."""

    name = "DynamicResources"
    depends = TOPOLOGY
    costly = True
    weight = 2
    normalizes = True
    interests = (
        Interest(NODE, Action.ADD | Action.NODE_LABEL),
        Interest(RESOURCE_CLAIM, Action.ADD | Action.UPDATE),
        Interest(POD, Action.UPDATE),
        Interest(DEVICE_CLASS, Action.ADD | Action.UPDATE),
        Interest(RESOURCE_SLICE, Action.ADD | Action.UPDATE),
    )

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._claims = handle.informers.of(resource_v1.ResourceClaim).indexer
        self._classes = handle.informers.of(resource_v1.DeviceClass).indexer
        self._slices = handle.informers.of(resource_v1.ResourceSlice).indexer
        self._selectors = Selectors()
        #: by uid of a claim: the allocation that is on its way into the claim's status
        self._in_flight: dict[str, Any] = {}
        #: by uid of a pod: the claim that is to be made for its extended resources, and the one that was made
        self._to_make: dict[str, extended.Made] = {}
        self._made: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.resource_claims) or (
            bool(pod.extended) and bool(self._handle.cluster.from_devices(pod))
        )

    # -- what the pod uses ---------------------------------------------------------------------------------

    def pre_enqueue(self, pod: Any) -> str | None:
        """A pod whose claims are not there yet is not tried."""
        for wanted in rules.pod_claims(pod):
            if wanted.claim is not None:
                claim = self._claims.get((pod.metadata.namespace, wanted.claim))
                if why := rules.problem(pod, wanted, claim):
                    return why
        return None

    def _claims_of(self, pod: Any) -> list[Any]:
        """Raises Unschedulable."""
        found = []
        for wanted in rules.pod_claims(pod):
            if wanted.claim is None:
                continue
            claim = self._claims.get((pod.metadata.namespace, wanted.claim))
            if why := rules.problem(pod, wanted, claim):
                raise Unschedulable(self.name, why)
            found.append(claim)
        return found

    def _unallocated(self, claims: list[Any]) -> list[Any]:
        return [c for c in claims if allocation_of(c) is None]

    # -- filter ------------------------------------------------------------------------------------------

    def pre_filter(self, pod: PodClass, cluster: Cluster) -> None:
        if not self.applies(pod):
            return
        for claim in self._claims_of(pod.pod):
            if allocation_of(claim) is not None:
                if not has_room(claim) and not is_reserved_for(claim, pod.pod):
                    raise Unschedulable(self.name, "resourceclaim in use")
                continue
            if claim.metadata.uid in self._in_flight:
                key = f"{claim.metadata.namespace}/{claim.metadata.name}"
                raise Unschedulable(self.name, f"resource claim {key} is in the process of being allocated")
            for request, device_class in _classes_of(claim):
                if ("", device_class) not in self._classes:
                    message = f"request {request}: device class {device_class} does not exist"
                    raise Unschedulable(self.name, message)

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        mask = np.ones(cluster.nodes.size, bool)
        for refusal in self._refusals(pod, cluster, rows):
            mask &= ~refusal.nodes
        return mask[rows]

    def refusals(self, pod: PodClass, cluster: Cluster) -> list[Refusal]:
        return self._refusals(pod, cluster, ALL)

    def _refusals(self, pod: PodClass, cluster: Cluster, rows: Rows) -> list[Refusal]:
        nodes, claims = cluster.nodes, self._claims_of(pod.pod)
        found = self._unallocated(claims)
        devices = cluster.from_devices(pod)
        if devices and extended.claim_of(pod.pod, self._claims.list()) is not None:
            return [Refusal(np.ones(nodes.size, bool), STALE, True)]
        pools, taken = self._state() if found or devices else ([], None)
        refused: dict[str, Array] = {}
        for row in np.arange(nodes.size)[rows].tolist():
            facts = nodes.facts[row]
            if facts is None:
                continue
            reason = ""
            node = Node(facts.name, facts.labels)
            unallocated = [*found, *(m.claim for m in self._extended(pod.pod, devices, row))]
            if unallocated:
                try:
                    solutions = self._search(unallocated, node, pools, taken)
                    reason = CANNOT_ALLOCATE if solutions is None else ""
                except FailedOnNode as error:
                    reason = str(error)
            if not reason and not all(_available(claim, node) for claim in claims):
                reason = ELSEWHERE
            if reason:
                refused.setdefault(reason, np.zeros(nodes.size, bool))[row] = True
        return [Refusal(mask, reason, True) for reason, mask in refused.items()]

    def _extended(self, pod: Any, devices: list[tuple[int, str]], row: int) -> list[extended.Made]:
        """The claim for the resources that the node does not have itself; none where it has all."""
        cluster = self._handle.cluster
        missing = [name for index, name in devices if not cluster.nodes.allocatable_at[index][row]]
        return [extended.make(pod, missing, cluster.device_classes)] if missing else []

    def _state(self) -> tuple[list[Pool], rules.Taken]:
        """The pools, and what is taken of them."""
        claims = self._claims.list()
        shown = {c.metadata.uid for c in claims if allocation_of(c) is not None}
        hidden = [found for uid, found in self._in_flight.items() if uid not in shown]
        return gather(self._slices.list()), rules.taken_by(claims, hidden)

    def _search(self, claims: list[Any], node: Node, pools: list[Pool], taken: Any) -> list[Solution] | None:
        try:
            return allocate(claims, node, pools, taken, self._class, self._selectors)
        except AllocationError as error:
            raise Broken(f'running "{self.name}" filter plugin: {error}') from None

    def _class(self, name: str) -> Any | None:
        return self._classes.get(("", name))

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        if event.resource != RESOURCE_CLAIM:
            return True
        old, new = event.old, event.new
        if self.pre_enqueue(pod.pod) is not None:
            return False
        freed = old is not None and allocation_of(old) is not None and allocation_of(new) is None
        if freed:
            return True
        ours = new.metadata.namespace == pod.namespace and any(
            wanted.claim == new.metadata.name for wanted in pod.resource_claims
        )
        return ours and (old is None or old.status != new.status)

    # -- score -------------------------------------------------------------------------------------------

    def concerned(self, pod: PodClass) -> bool:
        return bool(pod.resource_claims)

    def score(self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL) -> Array | None:
        """Nodes where requests get the earlier of their alternatives."""
        if not pod.resource_claims:
            return None
        claims = self._unallocated(self._claims_of(pod.pod))
        if not any(request.firstAvailable for c in claims for request in c.spec.devices.requests):
            return None
        pools, taken = self._state()
        devices = cluster.from_devices(pod)
        total = np.zeros(cluster.nodes.size)
        asked = np.zeros(cluster.nodes.size, bool)
        asked[rows] = True
        for row in np.flatnonzero(feasible & asked).tolist():
            facts = cluster.nodes.facts[row]
            assert facts is not None
            wanted = [*claims, *(m.claim for m in self._extended(pod.pod, devices, row))]
            try:
                solutions = self._search(wanted, Node(facts.name, facts.labels), pools, taken)
            except FailedOnNode:
                continue
            total[row] = sum(_preference(solution) for solution in solutions or ())
        return total[rows]

    def normalize(self, raw: Array, highest: int) -> Array:
        return MAX_NODE_SCORE * raw // highest if highest else raw

    # -- nothing fits ------------------------------------------------------------------------------------

    def post_filter(self, queued: Any, diagnosis: Any, framework: Any) -> PostFilterResult:
        """A claim that was allocated elsewhere, and that nobody else uses, is freed for another choice."""
        pod = queued.pod
        if not self.applies(queued.cls) or diagnosis.pre_filter:
            return PostFilterResult("no new claims to deallocate")
        if queued.cls.extended and (stale := extended.claim_of(pod, self._claims.list())) is not None:
            return PostFilterResult("deletion of ResourceClaim completed", work=lambda: self._delete(stale))
        facts = [found for found in self._handle.cluster.nodes.facts if found is not None]
        for claim in self._claims_of(pod):
            if all(_available(claim, Node(found.name, found.labels)) for found in facts):
                continue
            if all(who.uid == pod.metadata.uid for who in reserved_for(claim)):
                return PostFilterResult(
                    "deallocation of ResourceClaim completed", work=lambda claim=claim: self._free(claim)
                )
        return PostFilterResult("still not schedulable")

    async def _free(self, claim: Any) -> None:
        await self._handle.client.update_status(evolve(claim, status={"reservedFor": (), "allocation": None}))

    # -- reserve -----------------------------------------------------------------------------------------

    def reserve(self, pod: Any, node: str) -> None:
        """Decide which devices it will be, so that no other pod counts on them."""
        cluster = self._handle.cluster.nodes
        row = cluster.row_of[node]
        unallocated = self._unallocated(self._claims_of(pod)) if pod.spec.resourceClaims else []
        for made in self._extended(pod, self._devices_of(pod), row):
            self._to_make[pod.metadata.uid] = made
            unallocated.append(made.claim)
        if not unallocated:
            return
        facts = cluster.facts[row]
        assert facts is not None
        try:
            solutions = self._search(unallocated, Node(node, facts.labels), *self._state())
        except FailedOnNode as error:
            raise Unschedulable(self.name, str(error)) from None
        if solutions is None:
            raise Unschedulable(self.name, CANNOT_ALLOCATE)
        for solution in solutions:
            found = allocation(solution, node, self._handle.world.chance.uid)
            uid = solution.claim.metadata.uid
            self._in_flight[uid] = scheme().from_dict(resource_v1.AllocationResult, found)

    def _devices_of(self, pod: Any) -> list[tuple[int, str]]:
        record = self._handle.pods.records.get(pod.metadata.uid)
        return self._handle.cluster.from_devices(record.cls) if record is not None else []

    def unreserve(self, pod: Any, node: str) -> None:
        if self._to_make.pop(pod.metadata.uid, None) is not None:
            self._in_flight.pop(extended.in_flight_key(pod), None)
            if (made := self._made.pop(pod.metadata.uid, None)) is not None:
                self._begin(self._delete(made))
        for wanted in rules.pod_claims(pod):
            claim = self._claims.get((pod.metadata.namespace, wanted.claim or ""))
            if claim is None:
                continue
            self._in_flight.pop(claim.metadata.uid, None)
            if allocation_of(claim) is not None and is_reserved_for(claim, pod):
                self._begin(self._cancel(claim, pod))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _delete(self, claim: Any) -> None:
        """One of our own making."""
        finalizers = [f for f in claim.metadata.finalizers if f != FINALIZER]
        try:
            if len(finalizers) < len(claim.metadata.finalizers):
                await self._handle.client.update(evolve(claim, metadata={"finalizers": finalizers}))
            await self._handle.client.delete(claim)
        except StatusError:
            return  # the next attempt finds it

    async def _cancel(self, claim: Any, pod: Any) -> None:
        """Take back the reservation; where that fails the next attempt finds it and goes on from there."""
        gone = [{"$patch": "delete", "uid": pod.metadata.uid}]
        patch = {"metadata": {"uid": claim.metadata.uid}, "status": {"reservedFor": gone}}
        meta = claim.metadata
        try:
            await self._handle.client.patch(
                resource_v1.ResourceClaim, meta.name, meta.namespace, patch, "strategic", "status"
            )
        except StatusError:
            return

    # -- bind --------------------------------------------------------------------------------------------

    def waits(self, pod: Any) -> bool:
        """Devices may have to be prepared by their drivers."""
        return bool(pod.spec.resourceClaims) or pod.metadata.uid in self._to_make

    async def pre_bind(self, pod: Any, node: str) -> None:
        """Write allocations and reservations. Raises RuntimeError, StatusError, TimeoutError."""
        if (made := self._to_make.get(pod.metadata.uid)) is not None:
            await self._bind_made(made, pod)
        if not pod.spec.resourceClaims:
            return
        for claim in self._claims_of(pod):
            if not is_reserved_for(claim, pod):
                await self._bind_claim(claim, pod, claim.metadata.uid)
        await self._prepared(pod)

    def post_bind(self, pod: Any, node: str) -> None:
        self._to_make.pop(pod.metadata.uid, None)
        self._made.pop(pod.metadata.uid, None)

    async def _bind_made(self, made: extended.Made, pod: Any) -> None:
        """The claim for extended resources, and the pod's status, which says what it is for."""
        client, meta = self._handle.client, pod.metadata
        claim = await client.create(scheme().from_dict(resource_v1.ResourceClaim, made.wire))
        self._made[meta.uid] = claim
        self._made[meta.uid] = await self._bind_claim(claim, pod, extended.in_flight_key(pod))
        told = {"requestMappings": made.mappings, "resourceClaimName": claim.metadata.name}
        patch = {"metadata": {"uid": meta.uid}, "status": {"extendedResourceClaimStatus": told}}
        await client.patch(type(pod), meta.name, meta.namespace, patch, "strategic", "status")

    async def _bind_claim(self, claim: Any, pod: Any, key: str) -> Any:
        """`key`: by which its allocation is in flight. The claim as it is then."""
        found = self._in_flight.get(key)
        try:
            for attempt in range(1, TRIES_MAX + 1):
                try:
                    bound = await self._write(claim, found, pod)
                    break
                except StatusError as error:
                    if not is_conflict(error) or attempt == TRIES_MAX:
                        raise
                meta = claim.metadata
                claim = await self._handle.client.get(resource_v1.ResourceClaim, meta.name, meta.namespace)
            # known at once: the next pod must not be given the same devices before the informer tells
            self._claims.put((bound.metadata.namespace, bound.metadata.name), bound)
            return bound
        finally:
            self._in_flight.pop(key, None)

    async def _write(self, claim: Any, found: Any, pod: Any) -> Any:
        client, meta = self._handle.client, claim.metadata
        key = f"{meta.namespace}/{meta.name}"
        if meta.deletionTimestamp is not None:
            raise RuntimeError(f"claim {key} got deleted in the meantime")
        who = {"resource": "pods", "name": pod.metadata.name, "uid": pod.metadata.uid}
        status: dict[str, Any] = {"reservedFor": [*(scheme().to_dict(r) for r in reserved_for(claim)), who]}
        if found is not None:
            if allocation_of(claim) is not None:
                raise RuntimeError(f"claim {key} got allocated elsewhere in the meantime")
            if FINALIZER not in meta.finalizers:
                finalizers = [*meta.finalizers, FINALIZER]
                claim = await client.update(evolve(claim, metadata={"finalizers": finalizers}))
            status["allocation"] = scheme().to_dict(found)
            if any(result.bindingConditions for result in found.devices.results):
                status["allocation"]["allocationTimestamp"] = times.format(self._handle.world.clock.now())
        return await client.update_status(evolve(claim, status=status))

    async def _prepared(self, pod: Any) -> None:
        """Wait until the drivers have said that the devices are ready for the node."""
        async with asyncio.timeout(BINDING_SECONDS_MAX):
            while not all(self._ready(claim) for claim in self._claims_of(pod)):
                await asyncio.sleep(POLL_SECONDS)

    def _ready(self, claim: Any) -> bool:
        """Raises RuntimeError where a driver says that it never will be."""
        found = allocation_of(claim)
        if found is None:
            raise RuntimeError(f"claim {claim.metadata.namespace}/{claim.metadata.name} is not allocated")
        for result in found.devices.results:
            if not result.bindingConditions:
                continue
            told = _told(claim, result)
            failed = [name for name in result.bindingFailureConditions if told.get(name) == "True"]
            if failed:
                raise RuntimeError(
                    f"device {result.driver}/{result.pool}/{result.device} failed to bind: {failed[0]}"
                )
            if any(told.get(name) != "True" for name in result.bindingConditions):
                return False
        return True


def _told(claim: Any, result: Any) -> dict[str, str]:
    """The conditions of an allocated device."""
    which = (result.driver, result.pool, result.device, result.shareID)
    return {
        condition.type: condition.status
        for device in claim.status.devices
        if (device.driver, device.pool, device.device, device.shareID) == which
        for condition in device.conditions
    }


def _preference(solution: Solution) -> int:
    """More for earlier alternatives."""
    chosen = {wanted.full_name for wanted in solution.requests}
    return sum(
        FIRST_AVAILABLE_MAX - index
        for request in solution.claim.spec.devices.requests
        for index, alternative in enumerate(request.firstAvailable)
        if f"{request.name}/{alternative.name}" in chosen
    )


def _classes_of(claim: Any) -> Iterator[tuple[str, str]]:
    """(request, class)"""
    for request in claim.spec.devices.requests:
        if request.exactly is not None:
            yield request.name, request.exactly.deviceClassName
        for sub in request.firstAvailable:
            yield f"{request.name}/{sub.name}", sub.deviceClassName


def _available(claim: Any, node: Node) -> bool:
    """Can its devices, if it has any, be reached from the node?"""
    found = allocation_of(claim)
    if found is None or found.nodeSelector is None:
        return True
    return any(term_holds(term, node.labels, node.name) for term in node_terms(found.nodeSelector))
