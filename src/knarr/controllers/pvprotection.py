"""A volume that a claim is bound to is not taken away under it."""

from __future__ import annotations

from typing import Any

from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.controllers.pvcprotection import write_finalizers
from knarr.world import World

FINALIZER = "kubernetes.io/pv-protection"


class PVProtectionController(KubeController):
    """Keys are volumes."""

    name = "persistentvolume-protection-controller"
    service_account = "pv-protection-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.volumes = self.watch(core_v1.PersistentVolume, self._look, lambda _, new: self._look(new))

    def _look(self, volume: Any) -> None:
        meta = volume.metadata
        if (meta.deletionTimestamp is not None) == (FINALIZER in meta.finalizers):
            self.enqueue(volume)

    async def reconcile(self, key: Key) -> None:
        volume = self.volumes.indexer.get(key)
        if volume is None:
            return
        meta = volume.metadata
        if meta.deletionTimestamp is None:
            if FINALIZER not in meta.finalizers:
                await self._write(volume, (*meta.finalizers, FINALIZER))
        elif FINALIZER in meta.finalizers and volume.status.phase != "Bound":
            await self._write(volume, tuple(f for f in meta.finalizers if f != FINALIZER))

    async def _write(self, volume: Any, finalizers: tuple[str, ...]) -> None:
        await write_finalizers(self.client, core_v1.PersistentVolume, volume, finalizers)
