"""A claim that pods use is not taken away under them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from knarr.api.types import core_v1
from knarr.client.client import Client, is_not_found
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controlled_by
from knarr.controllers.base import KubeController
from knarr.meta.errors import StatusError
from knarr.world import World

FINALIZER = "kubernetes.io/pvc-protection"
#: index of pods: by the claims they may use
BY_CLAIM = "pvc"


class PVCProtectionController(KubeController):
    """Keys are claims."""

    name = "persistentvolumeclaim-protection-controller"
    service_account = "pvc-protection-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.pods = self.watch(
            core_v1.Pod, self._pod_seen, lambda _, new: self._pod_seen(new), self._pod_gone
        )
        self.pods.indexer.add_index(BY_CLAIM, claims_index)
        self.claims = self.watch(core_v1.PersistentVolumeClaim, self._look, lambda _, new: self._look(new))

    def _look(self, claim: Any) -> None:
        meta = claim.metadata
        if (meta.deletionTimestamp is not None) == (FINALIZER in meta.finalizers):
            self.enqueue(claim)

    def _pod_seen(self, pod: Any) -> None:
        if pod.spec.volumes and (pod.status.phase in ("Succeeded", "Failed") or not pod.spec.nodeName):
            self._pod_gone(pod)

    def _pod_gone(self, pod: Any) -> None:
        for name in claim_names(pod):
            claim = self.claims.indexer.get((pod.metadata.namespace, name))
            if claim is not None and claim.metadata.deletionTimestamp is not None:
                self.enqueue(claim)

    async def reconcile(self, key: Key) -> None:
        claim = self.claims.indexer.get(key)
        if claim is None:
            return
        meta = claim.metadata
        if meta.deletionTimestamp is None:
            if FINALIZER not in meta.finalizers:
                await self._write(claim, (*meta.finalizers, FINALIZER))
        elif FINALIZER in meta.finalizers:
            users = self.pods.indexer.by_index(BY_CLAIM, f"{key.namespace}/{key.name}")
            if not in_use(claim, users):
                await self._write(claim, tuple(f for f in meta.finalizers if f != FINALIZER))

    async def _write(self, claim: Any, finalizers: tuple[str, ...]) -> None:
        await write_finalizers(self.client, core_v1.PersistentVolumeClaim, claim, finalizers)


async def write_finalizers(client: Client, target: Any, obj: Any, finalizers: tuple[str, ...]) -> None:
    """Of exactly this state of the object; nothing happens where it is gone."""
    meta = obj.metadata
    body = {
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resourceVersion,
            "finalizers": list(finalizers) or None,
        }
    }
    try:
        await client.patch(target, meta.name, meta.namespace or "", body)
    except StatusError as error:
        if not is_not_found(error):
            raise


def claim_names(pod: Any) -> Iterator[str]:
    """The claims a pod names, and those made for it."""
    for volume in pod.spec.volumes:
        if volume.persistentVolumeClaim is not None:
            yield volume.persistentVolumeClaim.claimName
        elif volume.ephemeral is not None:
            yield f"{pod.metadata.name}-{volume.name}"


def claims_index(pod: Any) -> tuple[str, ...]:
    return tuple(f"{pod.metadata.namespace}/{name}" for name in claim_names(pod)) if pod.spec.volumes else ()


def in_use(claim: Any, pods: Iterable[Any]) -> bool:
    """By a pod that is on a node. One that is not yet will not be started with a claim that goes."""
    name = claim.metadata.name
    for pod in pods:
        if not pod.spec.nodeName:
            continue
        for volume in pod.spec.volumes:
            named = volume.persistentVolumeClaim
            if named is not None and named.claimName == name:
                return True
            own = volume.ephemeral is not None and f"{pod.metadata.name}-{volume.name}" == name
            if own and controlled_by(claim, pod):
                return True
    return False
