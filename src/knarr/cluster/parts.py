"""How each part of a cluster is started; imported, like the parts, when the API already answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.cluster.cluster import Cluster


#: with more nodes than this, simulated pods go from Pending to Running without showing ContainerCreating in between:
#: nobody watches thousands of them, and each would cost one more write
SHOWN_NODES_MAX = 100


async def start_controllers(cluster: Cluster) -> Any:
    from knarr import controllers

    return await controllers.start_all(cluster.client, cluster.world, settings=controller_settings(cluster))


def controller_settings(cluster: Cluster) -> dict[str, Any]:
    """What some controllers must be told."""
    return {
        "root_ca": cluster.plane.pki.ca_certificate,
        "pod_cidrs": (cluster.config.pod_network,),
        "legacy_token": cluster.plane.issuer.legacy,
    }


class SchedulerPart:
    """The scheduler and the informers it watches through."""

    def __init__(self, cluster: Cluster) -> None:
        from knarr.client.informer import SharedInformers
        from knarr.scheduler.scheduler import MANAGER, USER, Scheduler

        client = cluster.client(USER, ("system:authenticated",), MANAGER)
        self._informers = SharedInformers(client)
        self._scheduler = Scheduler(client, self._informers, cluster.world)

    async def start(self) -> SchedulerPart:
        self._scheduler.start()
        self._informers.start()
        await self._informers.wait_for_sync()
        return self

    async def stop(self) -> None:
        await self._scheduler.stop()
        await self._informers.stop()


async def start_scheduler(cluster: Cluster) -> Any:
    return await SchedulerPart(cluster).start()


async def start_kubelets(cluster: Cluster) -> Any:
    from knarr.kubelet.kubelet import Kubelets
    from knarr.kubelet.settings import Settings

    runtime, specs = await _runtime(cluster)
    # One client serves all nodes of this process, so it cannot act as any single one of them.
    client = cluster.client(manager="kubelet")
    settings = Settings(creating_shown=len(specs) <= SHOWN_NODES_MAX)
    kubelets = Kubelets(client, runtime, specs, connections=cluster.plane.nodes, settings=settings)
    await kubelets.start()
    return kubelets


async def _runtime(cluster: Cluster) -> tuple[Any, list[Any]]:
    from knarr.kubelet.node import NodeSpec

    config = cluster.config
    names = [f"{config.name}-node-{i}" for i in range(config.nodes)]
    from knarr.kubelet.simulated.runtime import SimulatedRuntime

    return SimulatedRuntime(cluster.world, pod_cidr=config.pod_network), [NodeSpec(name) for name in names]
