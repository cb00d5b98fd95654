"""NodeVolumeLimits: a CSI driver attaches only so many volumes to a node."""

from __future__ import annotations

from typing import Any

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, TOPOLOGY, FilterPlugin, Rows
from knarr.scheduler.handle import Handle
from knarr.scheduler.plugins.claims import Claims, claim_names
from knarr.scheduler.queue.events import ASSIGNED_POD, CLAIM, CSI_NODE, Action, Interest


class NodeVolumeLimits(FilterPlugin):
    """CSINode's spec.drivers[].allocatable.count."""

    name = "NodeVolumeLimits"
    depends = TOPOLOGY
    reason = "node(s) exceed max volume count"
    interests = (
        Interest(CSI_NODE, Action.ADD | Action.UPDATE),
        Interest(ASSIGNED_POD, Action.DELETE),
        Interest(CLAIM, Action.ADD),
    )

    def __init__(self, handle: Handle) -> None:
        self._claims = Claims(handle.informers)
        self._pods = handle.pods

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.volumes) and len(self._claims.csi_nodes) > 0 and bool(claim_names(pod.pod))

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        mask = np.ones(cluster.nodes.size, bool)
        wanted = self._volumes(pod.pod)
        for csi_node in self._claims.csi_nodes.list():
            row = cluster.nodes.row_of.get(csi_node.metadata.name)
            limits = {
                d.name: d.allocatable.count
                for d in csi_node.spec.drivers
                if d.allocatable is not None and d.allocatable.count is not None
            }
            if row is not None and any(driver in limits for driver, _ in wanted):
                mask[row] = self._within(limits, wanted, csi_node.metadata.name)
        return mask[rows]

    def _within(self, limits: dict[str, int], wanted: set[tuple[str, str]], node: str) -> bool:
        attached = {
            v for record in self._pods.on(node) if record.cls.volumes for v in self._volumes(record.pod)
        }
        new = wanted - attached
        return all(
            sum(d == driver for d, _ in attached) + added <= limit
            for driver, limit in limits.items()
            if (added := sum(d == driver for d, _ in new))
        )

    def _volumes(self, pod: Any) -> set[tuple[str, str]]:
        """(driver, handle) of each CSI volume; one that is not made yet is known by its claim."""
        found = set()
        for claim in self._claims.known(pod):
            volume = self._claims.volume(claim.spec.volumeName) if claim.spec.volumeName else None
            if volume is not None:
                if volume.spec.csi is not None:
                    found.add((volume.spec.csi.driver, volume.spec.csi.volumeHandle))
            elif (storage_class := self._claims.storage_class(claim)) is not None:
                found.add((storage_class.provisioner, f"{claim.metadata.namespace}/{claim.metadata.name}"))
        return found
