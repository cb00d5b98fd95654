"""NodeVolumeLimits: a CSI driver attaches only so many volumes to a node."""

from __future__ import annotations

from collections.abc import Iterable
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

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.volumes) and len(self._claims.csi_nodes) > 0 and bool(claim_names(pod.pod))

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        mask = np.ones(cluster.nodes.size, bool)
        wanted = self._volumes(pod.pod)
        limits = self._limits({driver for driver, _ in wanted}, cluster, rows)
        attached = self._attached(cluster, limits)
        for row, limit in limits.items():
            mask[row] = self._within(limit, wanted, attached[row])
        return mask[rows]

    def _limits(self, drivers: set[str], cluster: Cluster, rows: Rows) -> dict[int, dict[str, int]]:
        """Of the nodes where one of `drivers` has any."""
        asked = np.zeros(cluster.nodes.size, bool)
        asked[rows] = True
        found = {}
        for csi_node in self._claims.csi_nodes.list():
            row = cluster.nodes.row_of.get(csi_node.metadata.name)
            if row is None or not asked[row]:
                continue
            limits = {
                d.name: d.allocatable.count
                for d in csi_node.spec.drivers
                if d.allocatable is not None and d.allocatable.count is not None
            }
            if not drivers.isdisjoint(limits):
                found[row] = limits
        return found

    def _attached(self, cluster: Cluster, rows: Iterable[int]) -> dict[int, set[tuple[str, str]]]:
        """As it is in the cluster: preemption asks what would be without some pods."""
        found: dict[int, set[tuple[str, str]]] = {row: set() for row in rows}
        if found:
            for other in cluster.classes():
                if other.volumes and (there := found.keys() & other.rows):
                    volumes = self._volumes(other.pod)
                    for row in there:
                        found[row] |= volumes
        return found

    def _within(
        self, limits: dict[str, int], wanted: set[tuple[str, str]], attached: set[tuple[str, str]]
    ) -> bool:
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
