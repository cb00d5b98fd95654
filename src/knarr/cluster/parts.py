"""How each part of a cluster is started; imported, like the parts, when the API already answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.cluster.cluster import Cluster


async def start_controllers(cluster: Cluster) -> Any:
    from knarr import controllers

    return await controllers.start_all(cluster.client, cluster.world)


async def start_scheduler(cluster: Cluster) -> Any:
    from knarr import scheduler

    return await scheduler.start(cluster.client, cluster.world)


async def start_kubelets(cluster: Cluster) -> Any:
    from knarr import kubelet

    return await kubelet.start(cluster)
