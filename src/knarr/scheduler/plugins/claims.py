"""What the volume plugins read: a pod's claims, their volumes and classes, as the informers hold them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from knarr.api.types import core_v1, storage_v1
from knarr.client.informer import SharedInformers
from knarr.client.objects import controller_of
from knarr.scheduler.cache.nodes import Array, Nodes
from knarr.scheduler.framework import Unschedulable
from knarr.scheduler.plugins.nodeaffinity import term_mask
from knarr.scheduler.terms import node_terms

SELECTED_NODE = "volume.kubernetes.io/selected-node"
BIND_COMPLETED, BOUND_BY_CONTROLLER = (
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
)
WAIT = "WaitForFirstConsumer"
#: the provisioner of classes whose volumes are all made by hand
NO_PROVISIONER = "kubernetes.io/no-provisioner"


class ClaimName(NamedTuple):
    name: str
    #: made by the ephemeral volume controller for this pod
    ephemeral: bool


def claim_names(pod: Any) -> list[ClaimName]:
    found = []
    for volume in pod.spec.volumes:
        if volume.persistentVolumeClaim is not None:
            found.append(ClaimName(volume.persistentVolumeClaim.claimName, False))
        elif volume.ephemeral is not None:
            found.append(ClaimName(f"{pod.metadata.name}-{volume.name}", True))
    return found


def is_bound(claim: Any) -> bool:
    """The claim and its volume know of each other."""
    return bool(claim.spec.volumeName) and BIND_COMPLETED in claim.metadata.annotations


def affinity_mask(volume: Any, nodes: Nodes) -> Array | None:
    """Nodes that can reach the volume; None: all."""
    affinity = volume.spec.nodeAffinity
    if affinity is None or affinity.required is None:
        return None
    terms = node_terms(affinity.required)

    def build() -> Array:
        return np.logical_or.reduce([np.zeros(nodes.size, bool), *(term_mask(t, nodes) for t in terms)])

    return nodes.memo(("volume affinity", terms), build)


class Claims:
    """Look-ups in the informers' stores."""

    def __init__(self, informers: SharedInformers) -> None:
        self.claims = informers.of(core_v1.PersistentVolumeClaim).indexer
        self.volumes = informers.of(core_v1.PersistentVolume).indexer
        self.classes = informers.of(storage_v1.StorageClass).indexer
        self.csi_nodes = informers.of(storage_v1.CSINode).indexer
        self.csi_drivers = informers.of(storage_v1.CSIDriver).indexer
        self.csi_capacities = informers.of(storage_v1.CSIStorageCapacity).indexer

    def volume(self, name: str) -> Any | None:
        return self.volumes.get(("", name))

    def storage_class(self, claim: Any) -> Any | None:
        name = claim.spec.storageClassName
        return self.classes.get(("", name)) if name else None

    def waits_for_pod(self, claim: Any) -> bool:
        found = self.storage_class(claim)
        return found is not None and found.volumeBindingMode == WAIT

    def known(self, pod: Any) -> list[Any]:
        """The pod's claims that exist."""
        namespace = pod.metadata.namespace
        return [c for n in claim_names(pod) if (c := self.claims.get((namespace, n.name))) is not None]

    def all_of(self, pod: Any, plugin: str) -> list[Any]:
        """The pod's claims. Raises Unschedulable where one is missing, lost, leaving or another pod's."""
        found = []
        for wanted in claim_names(pod):
            claim = self.claims.get((pod.metadata.namespace, wanted.name))
            if problem := _problem(wanted, claim, pod):
                raise Unschedulable(plugin, problem)
            found.append(claim)
        return found


def _problem(wanted: ClaimName, claim: Any | None, pod: Any) -> str:
    if claim is None:
        if wanted.ephemeral:
            return (
                f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{wanted.name}"'
            )
        return f'persistentvolumeclaim "{wanted.name}" not found'
    if claim.status.phase == "Lost":
        return f'persistentvolumeclaim "{wanted.name}" bound to non-existent persistentvolume "{claim.spec.volumeName}"'
    if claim.metadata.deletionTimestamp is not None:
        return f'persistentvolumeclaim "{wanted.name}" is being deleted'
    owner = controller_of(claim)
    if wanted.ephemeral and (owner is None or owner.uid != pod.metadata.uid):
        where = f"{pod.metadata.namespace}/{wanted.name}"
        return f"PVC {where} was not created for pod {pod.metadata.namespace}/{pod.metadata.name} (pod is not owner)"
    return ""
