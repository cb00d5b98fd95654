"""VolumeRestrictions: a claim for one pod alone is not shared."""

from __future__ import annotations

from typing import Any

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, TOPOLOGY, FilterPlugin, Rows
from knarr.scheduler.handle import Handle
from knarr.scheduler.plugins.claims import Claims, claim_names
from knarr.scheduler.queue.events import ASSIGNED_POD, CLAIM, NODE, Action, Interest


class VolumeRestrictions(FilterPlugin):
    """The access mode ReadWriteOncePod. (Conflicts of in-tree disks are not looked at: their drivers are gone.)"""

    name = "VolumeRestrictions"
    depends = TOPOLOGY
    reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    interests = (
        Interest(ASSIGNED_POD, Action.DELETE),
        Interest(NODE, Action.ADD),
        Interest(CLAIM, Action.ADD | Action.UPDATE),
    )

    def __init__(self, handle: Handle) -> None:
        self._claims = Claims(handle.informers)
        self._pods = handle.pods

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.volumes) and any(
            "ReadWriteOncePod" in c.spec.accessModes for c in self._claims.known(pod.pod)
        )

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        mask = np.ones(cluster.nodes.size, bool)
        alone = {
            c.metadata.name for c in self._claims.known(pod.pod) if "ReadWriteOncePod" in c.spec.accessModes
        }
        for record in self._pods.records.values():
            if record.cls.volumes and record.cls.namespace == pod.namespace and _uses(record.pod, alone):
                if (row := cluster.nodes.row_of.get(record.node)) is not None:
                    mask[row] = False
        return mask[rows]


def _uses(pod: Any, claims: set[str]) -> bool:
    return any(found.name in claims for found in claim_names(pod))
