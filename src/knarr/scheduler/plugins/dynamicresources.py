"""DynamicResources: a pod goes where the devices are that its claims ask for, and the claims get them.

A pod that asks for extended resources which are devices gets a claim that is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from knarr.api.resource.claimfacts import (
    FIRST_AVAILABLE_MAX,
    allocation_of,
    has_room,
    is_reserved_for,
    reserved_for,
)
from knarr.api.scheme import scheme
from knarr.api.types import resource_v1
from knarr.client.indexer import BY_CONTROLLER, controller_index
from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.devices import claims as rules
from knarr.scheduler.devices import extended
from knarr.scheduler.devices.allocator import AllocationError, FailedOnNode, Search, Solution
from knarr.scheduler.devices.bindings import Bindings
from knarr.scheduler.devices.pools import Node, Pools
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
        self._claims.add_index(BY_CONTROLLER, controller_index)
        self._selectors = Selectors()
        self._bindings = Bindings(handle)

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
            if claim.metadata.uid in self._bindings.in_flight:
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
        if devices and self._left_behind(pod.pod) is not None:
            return [Refusal(np.ones(nodes.size, bool), STALE, True)]
        pools, taken = self._state() if found or devices else (Pools(()), rules.Taken())
        made_for = self._extended(pod.pod, devices)
        refused: dict[str, Array] = {}
        for row in np.arange(nodes.size)[rows].tolist():
            facts = nodes.facts[row]
            if facts is None:
                continue
            reason = ""
            node = Node(facts.name, facts.labels)
            unallocated = [*found, *(m.claim for m in made_for(row))]
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

    def _extended(self, pod: Any, devices: list[tuple[int, str]]) -> Callable[[int], list[extended.Made]]:
        """row -> the claim for the resources that the node does not have itself; none where it has all."""
        cluster = self._handle.cluster

        @cache  # most nodes lack the same
        def made(missing: tuple[str, ...]) -> list[extended.Made]:
            return [extended.make(pod, missing, cluster.device_classes)] if missing else []

        def on(row: int) -> list[extended.Made]:
            return made(tuple(name for i, name in devices if not cluster.nodes.allocatable_at[i][row]))

        return on

    def _left_behind(self, pod: Any) -> Any | None:
        """A claim for extended resources that an earlier attempt has made."""
        return extended.claim_of(pod, self._claims.by_index(BY_CONTROLLER, pod.metadata.uid))

    def _state(self) -> tuple[Pools, rules.Taken]:
        """The pools, and what is taken of them."""
        claims = self._claims.list()
        shown = {c.metadata.uid for c in claims if allocation_of(c) is not None}
        hidden = [found for uid, found in self._bindings.in_flight.items() if uid not in shown]
        return Pools(self._slices.list()), rules.taken_by(claims, hidden)

    def _search(
        self, claims: list[Any], node: Node, pools: Pools, taken: rules.Taken
    ) -> list[Solution] | None:
        try:
            return Search(claims, node, pools.near(node.name), taken, self._class, self._selectors).run()
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
        made_for = self._extended(pod.pod, cluster.from_devices(pod))
        total = np.zeros(cluster.nodes.size)
        asked = np.zeros(cluster.nodes.size, bool)
        asked[rows] = True
        for row in np.flatnonzero(feasible & asked).tolist():
            facts = cluster.nodes.facts[row]
            assert facts is not None
            wanted = [*claims, *(m.claim for m in made_for(row))]
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
        if queued.cls.extended and (stale := self._left_behind(pod)) is not None:
            return PostFilterResult(
                "deletion of ResourceClaim completed", work=lambda: self._bindings.delete(stale)
            )
        facts = [found for found in self._handle.cluster.nodes.facts if found is not None]
        for claim in self._claims_of(pod):
            if all(_available(claim, Node(found.name, found.labels)) for found in facts):
                continue
            if all(who.uid == pod.metadata.uid for who in reserved_for(claim)):
                return PostFilterResult(
                    "deallocation of ResourceClaim completed", work=partial(self._bindings.free, claim)
                )
        return PostFilterResult("still not schedulable")

    # -- reserve -----------------------------------------------------------------------------------------

    def reserve(self, pod: Any, node: str) -> None:
        """Decide which devices it will be, so that no other pod counts on them."""
        cluster = self._handle.cluster.nodes
        row = cluster.row_of[node]
        unallocated = self._unallocated(self._claims_of(pod)) if pod.spec.resourceClaims else []
        for made in self._extended(pod, self._devices_of(pod))(row):
            self._bindings.will_make(pod, made)
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
            self._bindings.in_flight[uid] = scheme().from_dict(resource_v1.AllocationResult, found)

    def _devices_of(self, pod: Any) -> list[tuple[int, str]]:
        record = self._handle.pods.records.get(pod.metadata.uid)
        return self._handle.cluster.from_devices(record.cls) if record is not None else []

    def unreserve(self, pod: Any, node: str) -> None:
        named = [(pod.metadata.namespace, wanted.claim or "") for wanted in rules.pod_claims(pod)]
        self._bindings.take_back(
            pod, [claim for key in named if (claim := self._claims.get(key)) is not None]
        )

    # -- bind --------------------------------------------------------------------------------------------

    def waits(self, pod: Any) -> bool:
        """Devices may have to be prepared by their drivers."""
        return bool(pod.spec.resourceClaims) or self._bindings.makes_for(pod)

    async def pre_bind(self, pod: Any, node: str) -> None:
        """Raises RuntimeError, StatusError, TimeoutError."""
        await self._bindings.make(pod)
        if pod.spec.resourceClaims:
            await self._bindings.bind(pod, self._claims_of)

    def post_bind(self, pod: Any, node: str) -> None:
        self._bindings.forget(pod)


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
