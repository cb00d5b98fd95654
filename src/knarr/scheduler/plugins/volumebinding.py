"""VolumeBinding: a pod goes where its volumes are, or can be made; claims that wait for a pod learn its node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np

from knarr.api.types import core_v1
from knarr.meta.quantity import Quantity
from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, TOPOLOGY, FilterPlugin, Refusal, Rows, Unschedulable
from knarr.scheduler.handle import Handle
from knarr.scheduler.plugins.claims import (
    BOUND_BY_CONTROLLER,
    NO_PROVISIONER,
    SELECTED_NODE,
    Claims,
    affinity_mask,
    claim_names,
    is_bound,
)
from knarr.scheduler.plugins.nodeaffinity import term_mask
from knarr.scheduler.queue.events import (
    CLAIM,
    CSI_CAPACITY,
    CSI_DRIVER,
    CSI_NODE,
    NODE,
    STORAGE_CLASS,
    VOLUME,
    Action,
    ClusterEvent,
    Interest,
)
from knarr.scheduler.terms import NodeTerm, selector_of

NO_VOLUMES = "node(s) didn't find available persistent volumes to bind"
NOT_ENOUGH = "node(s) did not have enough free storage"
ELSEWHERE = "node(s) didn't match PersistentVolume's node affinity"
NO_SUCH_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
#: how long a pod waits for its claims to be bound before it goes back into the queue
BIND_SECONDS_MAX, POLL_SECONDS = 600.0, 1.0


class VolumeBinding(FilterPlugin):
    """spec.volumes with claims, of any sort."""

    name = "VolumeBinding"
    depends = TOPOLOGY
    unresolvable = True
    interests = (
        Interest(CLAIM, Action.ADD | Action.UPDATE),
        Interest(VOLUME, Action.ADD | Action.UPDATE),
        Interest(STORAGE_CLASS, Action.ADD | Action.UPDATE),
        Interest(CSI_NODE, Action.ADD | Action.UPDATE),
        Interest(CSI_DRIVER, Action.UPDATE),
        Interest(CSI_CAPACITY, Action.ADD | Action.UPDATE),
        Interest(NODE, Action.ADD | Action.NODE_LABEL),
    )

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._claims = Claims(handle.informers)
        #: volumes promised to a claim, and nodes promised to one that is to be provisioned, by the claim's uid
        self._volumes: dict[str, str] = {}
        self._nodes: dict[str, str] = {}

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.volumes) and bool(claim_names(pod.pod))

    # -- filter ------------------------------------------------------------------------------------------

    def pre_filter(self, pod: PodClass, cluster: Cluster) -> None:
        if not self.applies(pod):
            return
        for claim in self._claims.all_of(pod.pod, self.name):
            if not is_bound(claim) and not self._claims.waits_for_pod(claim):
                raise Unschedulable(self.name, "pod has unbound immediate PersistentVolumeClaims")

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        mask = np.ones(cluster.nodes.size, bool)
        for refusal in self.refusals(pod, cluster):
            mask &= ~refusal.nodes
        return mask[rows]

    def refusals(self, pod: PodClass, cluster: Cluster) -> list[Refusal]:
        nodes = cluster.nodes
        found = []
        waiting = []
        for claim in self._claims.known(pod.pod):
            if not is_bound(claim):
                waiting.append(claim)
                continue
            volume = self._claims.volume(claim.spec.volumeName)
            if volume is None:
                found.append(Refusal(np.ones(nodes.size, bool), NO_SUCH_VOLUME, True))
            elif (mask := affinity_mask(volume, nodes)) is not None:
                found.append(Refusal(~mask, ELSEWHERE, True))
        if waiting:
            satisfied, enough = self._satisfiable(waiting, cluster)
            found += [Refusal(~satisfied, NO_VOLUMES, True), Refusal(~enough, NOT_ENOUGH, True)]
        return found

    def _satisfiable(self, waiting: list[Any], cluster: Cluster) -> tuple[Array, Array]:
        """Where all claims find a volume of their own, or can have one made; and where there is room for these."""
        nodes = cluster.nodes
        mask = nodes.present.copy()
        enough = np.ones(nodes.size, bool)
        #: volume -> nodes where an earlier claim of the pod takes it
        taken: dict[str, Array] = {}
        for claim in sorted(waiting, key=_by_size):
            chosen = self._selected(claim)
            if chosen:
                mask &= nodes.rows_where(lambda facts, name=chosen: facts.name == name)
            served = np.zeros(nodes.size, bool)
            for volume in self._candidates(claim):
                reach = affinity_mask(volume, nodes)
                free = ~served & ~taken.get(volume.metadata.name, np.zeros(nodes.size, bool))
                here = free if reach is None else free & reach
                served |= here
                taken[volume.metadata.name] = (
                    taken.get(volume.metadata.name, np.zeros(nodes.size, bool)) | here
                )
            mask &= served | self._provisionable(claim, cluster)
            enough &= served | self._roomy(claim, cluster)
        return mask, enough | ~mask

    def _selected(self, claim: Any) -> str:
        return self._nodes.get(claim.metadata.uid) or claim.metadata.annotations.get(SELECTED_NODE, "")

    def _candidates(self, claim: Any) -> Iterator[Any]:
        """Volumes that a claim may be bound to, the smallest first; one that names the claim before all others."""
        if self._selected(claim):
            return  # it is being provisioned
        promised = {name: uid for uid, name in self._volumes.items()}
        ours, others = [], []
        for volume in self._claims.volumes.list():
            if promised.get(volume.metadata.name, claim.metadata.uid) != claim.metadata.uid:
                continue
            if _reserved_for(volume, claim):
                ours.append(volume)
            elif volume.spec.claimRef is None and _suits(volume, claim):
                others.append(volume)
        yield from ours
        yield from sorted(
            others, key=lambda v: (Quantity.parse(v.spec.capacity.get("storage", "0")).nanos, v.metadata.name)
        )

    def _provisionable(self, claim: Any, cluster: Cluster) -> Array:
        nodes = cluster.nodes
        found = self._claims.storage_class(claim)
        if found is None or found.provisioner in ("", NO_PROVISIONER):
            return np.zeros(nodes.size, bool)
        if not found.allowedTopologies:
            return np.ones(nodes.size, bool)
        terms = [
            NodeTerm(tuple((e.key, "In", tuple(e.values)) for e in term.matchLabelExpressions))
            for term in found.allowedTopologies
        ]
        return np.logical_or.reduce([term_mask(term, nodes) for term in terms])

    def _roomy(self, claim: Any, cluster: Cluster) -> Array:
        """Where the driver has that much left. Drivers say so only where their CSIDriver announces it."""
        nodes = cluster.nodes
        kind = self._claims.storage_class(claim)
        driver = self._claims.csi_drivers.get(("", kind.provisioner)) if kind is not None else None
        if driver is None or not driver.spec.storageCapacity:
            return np.ones(nodes.size, bool)
        size = _requested(claim).value
        mask = np.zeros(nodes.size, bool)
        for published in self._claims.csi_capacities.list():
            limit = published.maximumVolumeSize or published.capacity
            if published.storageClassName != kind.metadata.name or published.nodeTopology is None:
                continue
            if limit is not None and Quantity.parse(limit).value >= size:
                selector = selector_of(published.nodeTopology)
                mask |= nodes.rows_where(lambda facts, s=selector: s.matches(facts.labels))
        return mask

    def hint(self, pod: PodClass, event: ClusterEvent, cluster: Cluster) -> bool:
        if event.resource != CLAIM:
            return True
        changed = event.new.metadata
        return changed.namespace == pod.namespace and any(
            c.name == changed.name for c in claim_names(pod.pod)
        )

    # -- reserve -----------------------------------------------------------------------------------------

    def reserve(self, pod: Any, node: str) -> None:
        """Promise volumes to the claims that have none, so that no other pod counts on them."""
        row = self._handle.cluster.nodes.row_of[node]
        for claim in sorted(self._unbound(pod), key=_by_size):
            for volume in self._candidates(claim):
                reach = affinity_mask(volume, self._handle.cluster.nodes)
                if reach is None or reach[row]:
                    self._volumes[claim.metadata.uid] = volume.metadata.name
                    break
            else:
                self._nodes[claim.metadata.uid] = node

    def unreserve(self, pod: Any, node: str) -> None:
        for claim in self._claims.known(pod):
            self._volumes.pop(claim.metadata.uid, None)
            self._nodes.pop(claim.metadata.uid, None)

    def _unbound(self, pod: Any) -> list[Any]:
        return [c for c in self._claims.known(pod) if not is_bound(c)]

    # -- bind --------------------------------------------------------------------------------------------

    def waits(self, pod: Any) -> bool:
        """Will `pre_bind` have to wait for others?"""
        return bool(pod.spec.volumes) and bool(self._unbound(pod))

    async def pre_bind(self, pod: Any, node: str) -> None:
        """Tell the claims, and wait until the volume controller has bound them. Raises TimeoutError."""
        if not pod.spec.volumes or not (unbound := self._unbound(pod)):
            return
        for claim in unbound:
            await self._tell(claim, node)
        async with asyncio.timeout(BIND_SECONDS_MAX):
            while self._unbound(pod):
                await asyncio.sleep(POLL_SECONDS)
        self.unreserve(pod, node)

    async def _tell(self, claim: Any, node: str) -> None:
        meta, client = claim.metadata, self._handle.client
        volume = self._volumes.get(meta.uid)
        if volume is None:
            if meta.annotations.get(SELECTED_NODE) != node:
                patch = {"metadata": {"uid": meta.uid, "annotations": {SELECTED_NODE: node}}}
                await client.patch(core_v1.PersistentVolumeClaim, meta.name, meta.namespace, patch)
            return
        reference = {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
            "resourceVersion": meta.resourceVersion,
        }
        patch = {
            "metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}},
            "spec": {"claimRef": reference},
        }
        await client.patch(core_v1.PersistentVolume, volume, body=patch)


def _requested(claim: Any) -> Quantity:
    requests = claim.spec.resources.requests if claim.spec.resources is not None else {}
    return Quantity.parse(requests.get("storage", "0"))


def _by_size(claim: Any) -> tuple[int, str]:
    """The order of claims that look for volumes: the small ones first."""
    return _requested(claim).nanos, claim.metadata.name


def _reserved_for(volume: Any, claim: Any) -> bool:
    """The volume names the claim itself."""
    ref = volume.spec.claimRef
    return (
        ref is not None
        and (ref.namespace, ref.name) == (claim.metadata.namespace, claim.metadata.name)
        and (not ref.uid or ref.uid == claim.metadata.uid)
    )


def _suits(volume: Any, claim: Any) -> bool:
    """Class, mode, size and labels are what the claim asks for."""
    return (
        volume.metadata.deletionTimestamp is None
        and volume.status.phase == "Available"
        and (volume.spec.storageClassName or "") == (claim.spec.storageClassName or "")
        and (volume.spec.volumeMode or "Filesystem") == (claim.spec.volumeMode or "Filesystem")
        and set(claim.spec.accessModes) <= set(volume.spec.accessModes)
        and Quantity.parse(volume.spec.capacity.get("storage", "0")).nanos >= _requested(claim).nanos
        and (claim.spec.selector is None or selector_of(claim.spec.selector).matches(volume.metadata.labels))
    )
