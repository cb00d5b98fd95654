"""VolumeRestrictions: a claim for one pod alone is not shared, nor is a disk that pods name themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, TOPOLOGY, FilterPlugin, Refusal, Rows
from knarr.scheduler.handle import Handle
from knarr.scheduler.plugins.claims import Claims
from knarr.scheduler.queue.events import ASSIGNED_POD, CLAIM, NODE, Action, Interest

NO_DISK = "node(s) had no available disk"
IN_USE = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use "
    "by another pod"
)


class VolumeRestrictions(FilterPlugin):
    """The access mode ReadWriteOncePod, in the whole cluster; disks of old in-tree drivers, on one node."""

    name = "VolumeRestrictions"
    depends = TOPOLOGY
    interests = (
        Interest(ASSIGNED_POD, Action.DELETE),
        Interest(NODE, Action.ADD),
        Interest(CLAIM, Action.ADD | Action.UPDATE),
    )

    def __init__(self, handle: Handle) -> None:
        self._claims = Claims(handle.informers)

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.volumes) and (any(map(_is_disk, pod.volumes)) or bool(self._alone(pod)))

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        disks = self._sharing_disks(pod, cluster)
        return ~(disks | self._in_use(pod, cluster))[rows]

    def refusals(self, pod: PodClass, cluster: Cluster) -> list[Refusal]:
        disks = self._sharing_disks(pod, cluster)
        in_use = np.full(cluster.nodes.size, self._in_use(pod, cluster))
        return [Refusal(disks, NO_DISK), Refusal(in_use & ~disks, IN_USE)]

    def _alone(self, pod: PodClass) -> set[str]:
        """The names of its claims that one pod alone may use."""
        names = _claims_of(pod)
        return {
            n
            for n in names
            if (claim := self._claims.claims.get((pod.namespace, n))) is not None
            and "ReadWriteOncePod" in claim.spec.accessModes
        }

    def _in_use(self, pod: PodClass, cluster: Cluster) -> bool:
        alone = self._alone(pod)
        return bool(alone) and any(
            other.rows and other.namespace == pod.namespace and not alone.isdisjoint(_claims_of(other))
            for other in cluster.classes()
            if other.volumes
        )

    def _sharing_disks(self, pod: PodClass, cluster: Cluster) -> Array:
        found = np.zeros(cluster.nodes.size, bool)
        disks = [v for v in pod.volumes if _is_disk(v)]
        if disks:
            for other in cluster.classes():
                if other.rows and any(_conflict(a, b) for a in disks for b in other.volumes):
                    found[list(other.rows)] = True
        return found


def _claims_of(pod: PodClass) -> set[str]:
    return {v.persistentVolumeClaim.claimName for v in pod.volumes if v.persistentVolumeClaim is not None}


def _is_disk(volume: Any) -> bool:
    return any(
        source is not None
        for source in (volume.gcePersistentDisk, volume.awsElasticBlockStore, volume.rbd, volume.iscsi)
    )


def _conflict(a: Any, b: Any) -> bool:
    """Is it the same disk? Where the driver can, all may read it as long as nobody writes."""
    if a.gcePersistentDisk and b.gcePersistentDisk:
        one, two = a.gcePersistentDisk, b.gcePersistentDisk
        return one.pdName == two.pdName and not (one.readOnly and two.readOnly)
    if a.awsElasticBlockStore and b.awsElasticBlockStore:
        return a.awsElasticBlockStore.volumeID == b.awsElasticBlockStore.volumeID
    if a.iscsi and b.iscsi:
        return a.iscsi.iqn == b.iscsi.iqn and not (a.iscsi.readOnly and b.iscsi.readOnly)
    if a.rbd and b.rbd:
        one, two = a.rbd, b.rbd
        same = (one.pool, one.image) == (two.pool, two.image)
        shared = same and not set(one.monitors).isdisjoint(two.monitors)
        return shared and not (one.readOnly and two.readOnly)
    return False
