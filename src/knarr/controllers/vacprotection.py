"""A class of volume attributes that claims or volumes name is not taken away under them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.api.types import core_v1, storage_v1
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.controllers.pvcprotection import write_finalizers
from knarr.world import World

FINALIZER = "kubernetes.io/vac-protection"
#: index of claims and volumes: by the classes they name
BY_CLASS = "volumeAttributesClass"

Names = Callable[[Any], tuple[str, ...]]


class VACProtectionController(KubeController):
    """Keys are classes."""

    name = "volumeattributesclass-protection-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        kind = storage_v1.VolumeAttributesClass
        self.classes = self.watch(kind, self._look, lambda _, new: self._look(new))
        self.claims = self._watch_users(core_v1.PersistentVolumeClaim, named_by_claim)
        self.volumes = self._watch_users(core_v1.PersistentVolume, named_by_volume)

    def _watch_users(self, target: Any, names: Names) -> Any:
        def dropped(old: Any, new: Any | None = None) -> None:
            for name in set(names(old)) - set(names(new) if new is not None else ()):
                self.queue.add(Key("", name))

        informer = self.watch(target, updated=dropped, deleted=dropped)
        informer.indexer.add_index(BY_CLASS, names)
        return informer

    def _look(self, found: Any) -> None:
        meta = found.metadata
        if (meta.deletionTimestamp is not None) == (FINALIZER in meta.finalizers):
            self.enqueue(found)

    async def reconcile(self, key: Key) -> None:
        found = self.classes.indexer.get(key)
        if found is None:
            return
        meta = found.metadata
        if meta.deletionTimestamp is None:
            if FINALIZER not in meta.finalizers:
                await self._write(found, (*meta.finalizers, FINALIZER))
        elif FINALIZER in meta.finalizers and not self._in_use(meta.name):
            await self._write(found, tuple(f for f in meta.finalizers if f != FINALIZER))

    def _in_use(self, name: str) -> bool:
        return any(users.indexer.by_index(BY_CLASS, name) for users in (self.claims, self.volumes))

    async def _write(self, found: Any, finalizers: tuple[str, ...]) -> None:
        await write_finalizers(self.client, storage_v1.VolumeAttributesClass, found, finalizers)


def named_by_claim(claim: Any) -> tuple[str, ...]:
    """What it asks for, what it has, and what it is to get."""
    status = claim.status
    target = status.modifyVolumeStatus.targetVolumeAttributesClassName if status.modifyVolumeStatus else ""
    names = (claim.spec.volumeAttributesClassName, status.currentVolumeAttributesClassName, target)
    return tuple({name for name in names if name})


def named_by_volume(volume: Any) -> tuple[str, ...]:
    return (volume.spec.volumeAttributesClassName,) if volume.spec.volumeAttributesClassName else ()
