"""How each part of a cluster is started; imported, like the parts, when the API already answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.client.client import Client
    from knarr.cluster.cluster import Cluster
    from knarr.meta.metrics import Family
    from knarr.registry.registry import Registry

log = logging.getLogger(__name__)


#: with more nodes than this, simulated pods go from Pending to Running without showing ContainerCreating in between:
#: nobody watches thousands of them, and each would cost one more write
SHOWN_NODES_MAX = 100


async def start_controllers(cluster: Cluster) -> Any:
    from knarr import controllers

    manager = await controllers.start_all(
        cluster.client, cluster.world, settings=controller_settings(cluster)
    )
    await create_accounts(cluster.plane.registry, manager.accounts, controllers.MANAGER)
    return manager


async def create_accounts(registry: Registry, names: Iterable[str], writer: str) -> None:
    """The service accounts that controllers act as, where they are not there yet."""
    namespace = "kube-system"
    missing = [name for name in names if registry.get("", "serviceaccounts", namespace, name) is None]
    bodies = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        for name in missing
    ]
    work = (registry.create("", "serviceaccounts", body, manager=writer) for body in bodies)
    for error in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(error, Exception):
            log.warning("the account of a controller could not be created: %s", error)


def controller_settings(cluster: Cluster) -> dict[str, Any]:
    """What some controllers must be told."""
    return {
        "root_ca": cluster.plane.pki.ca_certificate
        if cluster.config.root_ca is None
        else cluster.config.root_ca,
        # A cluster without nodes of its own leaves the networks of those that others register to others.
        "pod_cidrs": (cluster.config.pod_network,) if cluster.config.nodes else (),
        "legacy_token": cluster.plane.identities.issuer.legacy,
        "cluster_ca": cluster.plane.pki.ca,
    }


class SchedulerPart:
    """The scheduler and the informers it watches through."""

    def __init__(self, cluster: Cluster) -> None:
        from knarr.client.informer import SharedInformers
        from knarr.scheduler.scheduler import MANAGER, USER, Scheduler

        client = cluster.client(USER, ("system:authenticated",), MANAGER)
        self._informers = SharedInformers(client)
        self._scheduler = Scheduler(client, self._informers, cluster.world)

        cluster.plane.surface.metrics.sources.append(self.metrics)

    def metrics(self) -> Iterable[Family]:
        return self._scheduler.handle.metrics.families(self._scheduler)

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

    # One client reads for all nodes of this process; what each writes, it writes as itself.
    client, client_of = cluster.client(manager="kubelet"), _clients(cluster)
    real = cluster.config.runtime == "process"
    runtime, specs = _process(cluster, client, client_of) if real else _simulated(cluster)
    settings = Settings(creating_shown=len(specs) <= SHOWN_NODES_MAX)
    kubelets = Kubelets(
        client,
        runtime,
        specs,
        connections=cluster.plane.nodes,
        settings=settings,
        client_of=client_of,
    )
    await kubelets.start()
    return kubelets


def _clients(cluster: Cluster) -> Callable[[str], Client]:
    """The client that acts as a node, by its name."""
    groups = ("system:nodes", "system:authenticated")
    return cache(lambda node: cluster.client(f"system:node:{node}", groups, "kubelet"))


def _names(cluster: Cluster) -> list[str]:
    return [f"{cluster.config.name}-node-{i}" for i in range(cluster.config.nodes)]


def _simulated(cluster: Cluster) -> tuple[Any, list[Any]]:
    from knarr.kubelet.node import NodeSpec
    from knarr.kubelet.simulated.runtime import SimulatedRuntime

    runtime = SimulatedRuntime(cluster.world, pod_cidr=cluster.config.pod_network)
    return runtime, [NodeSpec(name) for name in _names(cluster)]


def _process(cluster: Cluster, client: Any, client_of: Callable[[str], Client]) -> tuple[Any, list[Any]]:
    """Every node of this runtime is this machine; several share what it has."""
    from pathlib import Path
    from tempfile import mkdtemp

    from knarr.kubelet.node import NodeSpec
    from knarr.kubelet.process.runtime import ProcessRuntime, ProcessSettings

    config = cluster.config
    folder = config.data_dir / "kubelet" if config.data_dir is not None else Path(mkdtemp(prefix="knarr-"))
    has = machine_capacity()
    settings = ProcessSettings(
        folder,
        api_host=config.host,
        api_port=cluster.plane.server.port if cluster.plane.server else 6443,
        allocatable={"cpu": has["cpu"], "memory": has["memory"]},
    )
    capacity = {**has, "pods": "110"}
    runtime = ProcessRuntime(client, settings, config.pod_network, client_of=client_of)
    return runtime, [NodeSpec(name, capacity=capacity) for name in _names(cluster)]


def machine_capacity() -> dict[str, str]:
    """This machine's processors, memory and disk as a node's capacity."""
    import os
    import shutil

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage('/').total // 1024}Ki",
    }
