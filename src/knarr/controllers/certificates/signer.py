"""Signs approved requests that name one of Kubernetes' own signers."""

from __future__ import annotations

import base64
from typing import Any

from knarr.api.scheme import evolve
from knarr.api.types import certificates_v1
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.controllers.certificates.issue import Authority, issue
from knarr.controllers.certificates.request import condition, read
from knarr.controllers.certificates.rules import SIGNERS
from knarr.meta import times
from knarr.world import World


class CSRSigningController(KubeController):
    """Keys are requests. `cluster_ca`: the authority; without one nothing is signed."""

    name = "certificatesigningrequest-signing-controller"
    service_account = "certificate-controller"
    settings = ("cluster_ca",)

    def __init__(
        self,
        client: Client,
        informers: SharedInformers,
        world: World,
        cluster_ca: Authority | None = None,
    ) -> None:
        super().__init__(client, informers, world)
        self.authority = cluster_ca
        self.requests = self.watch_primary(certificates_v1.CertificateSigningRequest)

    async def reconcile(self, key: Key) -> None:
        csr = self.requests.indexer.get(key)
        if csr is None or self.authority is None or not waits_for_signature(csr):
            return
        serial = int(self.world.chance.token(8), 16) >> 1 | 1
        status = status_of(csr, self.authority, self.clock.now(), serial)
        await self.client.update_status(evolve(csr, status=status))


def status_of(csr: Any, authority: Authority, now: float, serial: int) -> dict[str, Any]:
    """The changes of its status: the certificate, or why there is none."""
    try:
        asked = read(csr)
        why = SIGNERS[csr.spec.signerName](asked, csr.spec.usages)
    except ValueError as error:
        why = f'unable to parse csr "{csr.metadata.name}": {error}'
    if why:
        stamp = times.format(now)
        failed = certificates_v1.CertificateSigningRequestCondition(
            type="Failed",
            status="True",
            reason="SignerValidationFailure",
            message=why,
            lastUpdateTime=stamp,
            lastTransitionTime=stamp,
        )
        return {"conditions": (*csr.status.conditions, failed)}
    pem = issue(asked, csr.spec.usages, csr.spec.expirationSeconds, authority, now, serial)
    return {"certificate": base64.b64encode(pem.encode()).decode()}


def waits_for_signature(csr: Any) -> bool:
    if csr.spec.signerName not in SIGNERS or csr.status.certificate:
        return False
    if condition(csr, "Denied") is not None or condition(csr, "Failed") is not None:
        return False
    return condition(csr, "Approved") is not None
