"""The claims of ephemeral volumes: made for a pod from the template in its spec, owned by it, and gone with it."""

from __future__ import annotations

from typing import Any

from knarr.api.scheme import scheme
from knarr.api.types import core_v1
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controlled_by, controller_ref, key_of
from knarr.controllers.base import KubeController
from knarr.controllers.pvcprotection import BY_CLAIM, claims_index
from knarr.meta.errors import StatusError
from knarr.world import World


class EphemeralVolumeController(KubeController):
    """Keys are pods. Their specs do not change, so only new pods and claims that were taken away are looked at."""

    name = "ephemeral-volume-controller"
    component = "ephemeral_volume"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.pods = self.watch(core_v1.Pod, self._pod_seen)
        self.pods.indexer.add_index(BY_CLAIM, claims_index)
        self.claims = self.watch(core_v1.PersistentVolumeClaim, deleted=self._claim_gone)

    def _pod_seen(self, pod: Any) -> None:
        if pod.metadata.deletionTimestamp is None and any(v.ephemeral is not None for v in pod.spec.volumes):
            self.enqueue(pod)

    def _claim_gone(self, claim: Any) -> None:
        for pod in self.pods.indexer.by_index(BY_CLAIM, str(key_of(claim))):
            self._pod_seen(pod)

    async def reconcile(self, key: Key) -> None:
        pod = self.pods.indexer.get(key)
        if pod is None or pod.metadata.deletionTimestamp is not None:
            return
        for volume in pod.spec.volumes:
            if volume.ephemeral is None:
                continue
            try:
                await self._provide(pod, volume)
            except StatusError as error:
                message = f"ephemeral volume {volume.name}: {error}"
                self.events.event(pod, "Warning", "FailedBinding", message)
                raise

    async def _provide(self, pod: Any, volume: Any) -> None:
        namespace, name = pod.metadata.namespace, f"{pod.metadata.name}-{volume.name}"
        claim = self.claims.indexer.get((namespace, name))
        if claim is None:
            try:
                await self.client.create(claim_for(pod, volume))
            except StatusError as error:
                raise StatusError({**error.status, "message": f"create PVC {name}: {error}"}) from error
        elif not controlled_by(claim, pod):
            # somebody else's: the pod waits until it goes away
            owner = f"{namespace}/{pod.metadata.name}"
            message = f"PVC {namespace}/{name} was not created for pod {owner} (pod is not owner)"
            raise StatusError({"message": message})


def claim_for(pod: Any, volume: Any) -> dict[str, Any]:
    """In wire form."""
    template = scheme().to_dict(volume.ephemeral.volumeClaimTemplate)
    given = template.get("metadata") or {}
    metadata: dict[str, Any] = {key: given[key] for key in ("annotations", "labels") if given.get(key)}
    metadata |= {
        "name": f"{pod.metadata.name}-{volume.name}",
        "namespace": pod.metadata.namespace,
        "ownerReferences": [controller_ref(pod)],
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": template["spec"],
    }
