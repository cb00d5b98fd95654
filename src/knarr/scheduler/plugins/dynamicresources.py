"""DynamicResources: pods that ask for devices through claims. Nothing here allocates any, so such pods wait."""

from __future__ import annotations

from typing import Any

import numpy as np

from knarr.scheduler.cache.classes import PodClass
from knarr.scheduler.cache.cluster import Cluster
from knarr.scheduler.cache.nodes import Array
from knarr.scheduler.framework import ALL, FilterPlugin, PostFilterResult, Rows


class DynamicResources(FilterPlugin):
    """spec.resourceClaims."""

    name = "DynamicResources"
    reason = "cannot allocate all claims"

    def applies(self, pod: PodClass) -> bool:
        return bool(pod.pod.spec.resourceClaims)

    def filter(self, pod: PodClass, cluster: Cluster, rows: Rows = ALL) -> Array:
        return np.zeros(cluster.nodes.size, bool)[rows]

    def post_filter(self, queued: Any, diagnosis: Any, framework: Any) -> PostFilterResult:
        return PostFilterResult("no new claims to deallocate")
