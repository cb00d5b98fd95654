"""Deletes requests that have been decided, or left undecided, for long."""

from __future__ import annotations

import base64
from typing import Any

from knarr.api.types import certificates_v1
from knarr.client.client import Client, is_conflict, is_not_found
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

#: how long a request is kept in each state
KEPT_SECONDS = {"Approved": 3600.0, "Denied": 3600.0, "Failed": 3600.0}
PENDING_SECONDS = 24 * 3600.0


class CSRCleanerController(KubeController):
    """Keys are requests; each is looked at again when its time is up."""

    name = "certificatesigningrequest-cleaner-controller"
    service_account = "certificate-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.requests = self.watch_primary(certificates_v1.CertificateSigningRequest)

    async def reconcile(self, key: Key) -> Requeue | None:
        csr = self.requests.indexer.get(key)
        if csr is None:
            return None
        left = seconds_left(csr, self.clock.now())
        if left > 0:
            return Requeue(left)
        try:
            await self.client.delete(csr)
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise
        return None


def seconds_left(csr: Any, now: float) -> float:
    """Until the request is to be deleted."""
    ends = (
        [times.parse(csr.metadata.creationTimestamp) + PENDING_SECONDS] if not csr.status.conditions else []
    )
    for condition in csr.status.conditions:
        kept = KEPT_SECONDS.get(condition.type)
        since = condition.lastUpdateTime or csr.metadata.creationTimestamp
        # an approved request waits for its certificate
        if kept is not None and (condition.type != "Approved" or csr.status.certificate):
            ends.append(times.parse(since) + kept)
    if csr.status.certificate and (expiry := _expiry(csr.status.certificate)) is not None:
        ends.append(expiry)
    return max(0.0, min(ends) - now) if ends else PENDING_SECONDS


def _expiry(certificate: str) -> float | None:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc.timestamp()
    except ValueError:
        return None
