"""TTL after finished: delete jobs some time after they have ended, as spec.ttlSecondsAfterFinished says."""

from __future__ import annotations

from typing import Any

from knarr.api.types import batch_v1
from knarr.client.client import Client, is_not_found
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World


class TTLAfterFinishedController(KubeController):
    """Owns nothing; deletes finished jobs with their pods."""

    name = "ttl-after-finished-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.jobs = self.watch(batch_v1.Job, self._seen, lambda _, new: self._seen(new))

    def _seen(self, job: Any) -> None:
        if expires_at(job) is not None:
            self.enqueue(job)

    async def reconcile(self, key: Key) -> Requeue | None:
        job = self.jobs.indexer.get(key)
        expiry = expires_at(job) if job is not None else None
        if expiry is None:
            return None
        if (wait := expiry - self.clock.now()) > 0:
            return Requeue(wait)
        try:
            # the ttl may have been raised since: asked of the server before anything is lost
            fresh = await self.client.get(batch_v1.Job, key.name, key.namespace)
            expiry = expires_at(fresh)
            if expiry is not None and expiry <= self.clock.now():
                await self.client.delete(fresh, propagation="Foreground")
        except StatusError as error:
            if not is_not_found(error):
                raise
        return None


def expires_at(job: Any) -> float | None:
    """Epoch seconds; None for a job that runs, is to be kept, or is being deleted."""
    ttl = job.spec.ttlSecondsAfterFinished
    if ttl is None or job.metadata.deletionTimestamp:
        return None
    for condition in job.status.conditions:
        if condition.type in ("Complete", "Failed") and condition.status == "True":
            return times.parse(condition.lastTransitionTime) + ttl
    return None
