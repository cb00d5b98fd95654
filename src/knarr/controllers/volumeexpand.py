"""Claims that want more than their volumes have: whoever runs the volume's driver is told, nothing grows by itself."""

from __future__ import annotations

from typing import Any

from knarr.api.scheme import evolve
from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.controllers.persistentvolume.claims import MIGRATED
from knarr.controllers.persistentvolume.match import NOTHING, requested
from knarr.meta.quantity import Quantity
from knarr.world import World

RESIZER = "volume.kubernetes.io/storage-resizer"
WAITING = "waiting for an external controller to expand this PVC"
#: sources of volumes that are left to a driver -> the plugin that was in the tree
PLUGINS = {
    "awsElasticBlockStore": "kubernetes.io/aws-ebs",
    "azureDisk": "kubernetes.io/azure-disk",
    "azureFile": "kubernetes.io/azure-file",
    "cinder": "kubernetes.io/cinder",
    "gcePersistentDisk": "kubernetes.io/gce-pd",
    "portworxVolume": "kubernetes.io/portworx-volume",
    "vsphereVolume": "kubernetes.io/vsphere-volume",
}


class VolumeExpandController(KubeController):
    """Keys are claims."""

    name = "persistentvolume-expander-controller"
    service_account = "expand-controller"
    component = "volume_expand"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.volumes = self.watch(core_v1.PersistentVolume)
        self.claims = self.watch(core_v1.PersistentVolumeClaim, self._look, self._changed)

    def _look(self, claim: Any) -> None:
        if claim.status.phase == "Bound" and requested(claim).compare(held(claim)) > 0:
            self.enqueue(claim)

    def _changed(self, old: Any, new: Any) -> None:
        if requested(new).compare(requested(old)) > 0 or held(new).compare(held(old)) > 0:
            self._look(new)

    async def reconcile(self, key: Key) -> None:
        claim = self.claims.indexer.get(key)
        if claim is None or requested(claim).compare(held(claim)) <= 0:
            return
        volume = self.volumes.indexer.get(("", claim.spec.volumeName))
        ref = volume.spec.claimRef if volume is not None else None
        if ref is None or ref.uid != claim.metadata.uid:
            return
        source = next((name for name in PLUGINS if getattr(volume.spec, name) is not None), "")
        if not source:
            self.events.event(claim, "Normal", "ExternalExpanding", WAITING)
            return
        plugin = PLUGINS[source]
        driver = MIGRATED[plugin]
        message = f"CSI migration enabled for {plugin}; waiting for external resizer to expand the pvc"
        self.events.event(claim, "Normal", "ExternalExpanding", message)
        if claim.metadata.annotations.get(RESIZER) != driver:
            annotations = {**claim.metadata.annotations, RESIZER: driver}
            await self.client.update(evolve(claim, metadata={"annotations": annotations}))


def held(claim: Any) -> Quantity:
    return claim.status.capacity.get("storage", NOTHING)  # type: ignore[no-any-return]
