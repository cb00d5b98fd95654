"""ImageLocality: prefers nodes that hold the pod's images already."""

from __future__ import annotations

from collections import Counter

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array, Nodes
from knarr.scheduler.framework import ALL, MAX_NODE_SCORE, Rows, ScorePlugin

MIB = 1024 * 1024
#: sizes below the first count as nothing; above the second (per container) as enough
MIN_BYTES, MAX_BYTES = 23 * MIB, 1000 * MIB


def normalized(image: str) -> str:
    """With the tag `latest` where there is none: as nodes report images."""
    return image if image.rfind(":") > image.rfind("/") else image + ":latest"


class ImageLocality(ScorePlugin):
    """The bytes of the pod's images on the node, each weighted by the share of nodes that have it: an image that is
    everywhere says more about speed than one on a single node, where all pods would then flock."""

    name = "ImageLocality"

    def score(self, pod: PodClass, cluster: Cluster, feasible: Array, rows: Rows = ALL) -> Array | float:
        nodes = cluster.nodes
        holders = nodes.memo("image holders", lambda: _holders(nodes))
        images = tuple(image for image in map(normalized, pod.images) if image in holders)
        if not images:
            return 0.0
        return nodes.memo(
            ("images", images, len(pod.images)), lambda: _scores(images, len(pod.images), nodes)
        )[rows]


def _holders(nodes: Nodes) -> Counter[str]:
    return Counter(image for facts in nodes.facts if facts is not None for image in facts.images)


def _scores(images: tuple[str, ...], containers: int, nodes: Nodes) -> Array:
    holders = nodes.memo("image holders", lambda: _holders(nodes))
    total = np.zeros(nodes.size, np.int64)
    for image in images:
        spread = holders[image] / nodes.count
        sizes = np.fromiter(
            (f.images.get(image, 0) if f is not None else 0 for f in nodes.facts), np.float64, nodes.size
        )
        total += (sizes * spread).astype(np.int64)
    highest = MAX_BYTES * max(containers, 1)
    total = np.clip(total, MIN_BYTES, highest)
    return (MAX_NODE_SCORE * (total - MIN_BYTES) // (highest - MIN_BYTES)).astype(float)
