"""VolumeZone: volumes that are labelled with a zone or region are for nodes of that zone or region."""

from __future__ import annotations

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, TOPOLOGY, FilterPlugin, Rows
from knarr.scheduler.handle import Handle
from knarr.scheduler.plugins.claims import Claims, claim_names, is_bound
from knarr.scheduler.plugins.nodeaffinity import term_mask
from knarr.scheduler.queue.events import CLAIM, NODE, STORAGE_CLASS, VOLUME, Action, Interest
from knarr.scheduler.terms import NodeTerm

KEYS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
#: a volume in several zones lists them in one label
SEPARATOR = "__"


class VolumeZone(FilterPlugin):
    """Labels of bound volumes. Nodes without any of the labels take everything: such a cluster has one zone."""

    name = "VolumeZone"
    depends = TOPOLOGY
    reason = "node(s) had no available volume zone"
    unresolvable = True
    interests = (
        Interest(STORAGE_CLASS, Action.ADD),
        Interest(NODE, Action.ADD | Action.NODE_LABEL),
        Interest(CLAIM, Action.ADD | Action.UPDATE),
        Interest(VOLUME, Action.ADD | Action.UPDATE),
    )

    def __init__(self, handle: Handle) -> None:
        self._claims = Claims(handle.informers)

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.volumes) and bool(claim_names(pod.pod))

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        nodes = cluster.nodes
        mask = np.ones(nodes.size, bool)
        for claim in self._claims.known(pod.pod):
            volume = self._claims.volume(claim.spec.volumeName) if is_bound(claim) else None
            if volume is None:
                continue
            for key in KEYS:
                if (value := volume.metadata.labels.get(key)) is not None:
                    mask &= term_mask(NodeTerm(((key, "In", tuple(value.split(SEPARATOR))),)), nodes)
        zoneless = nodes.memo(
            "zoneless", lambda: np.logical_and.reduce([nodes.column(key).ids < 0 for key in KEYS])
        )
        return (mask | zoneless)[rows]
