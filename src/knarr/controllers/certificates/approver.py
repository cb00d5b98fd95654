"""Approves what kubelets ask for as clients, if they may ask for it. Serving certificates are for people to approve."""

from __future__ import annotations

from typing import Any

from knarr.api.catalog import BY_GVR
from knarr.api.scheme import evolve
from knarr.api.types import certificates_v1
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.controllers.certificates import rules
from knarr.controllers.certificates.request import Asked, condition, read
from knarr.meta import times
from knarr.world import World

REVIEWS = BY_GVR["authorization.k8s.io", "v1", "subjectaccessreviews"]
#: (permission to ask for it, message), the stricter first
RECOGNIZERS = (
    ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."),
    ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."),
)


class CSRApprovingController(KubeController):
    """Keys are requests."""

    name = "certificatesigningrequest-approving-controller"
    service_account = "certificate-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.requests = self.watch_primary(certificates_v1.CertificateSigningRequest)

    async def reconcile(self, key: Key) -> None:
        csr = self.requests.indexer.get(key)
        if csr is None or csr.status.certificate or is_decided(csr):
            return
        try:
            asked = read(csr)
        except ValueError:
            return  # nothing that could be recognised
        for permission, message in recognized(csr, asked):
            if await self._is_allowed(csr, permission):
                await self._approve(csr, message)
                return

    async def _is_allowed(self, csr: Any, permission: str) -> bool:
        spec = csr.spec
        attributes = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
            "subresource": permission,
            "version": "*",
        }
        question = {
            "user": spec.username,
            "uid": spec.uid,
            "groups": list(spec.groups),
            "extra": {name: list(values) for name, values in spec.extra.items()},
            "resourceAttributes": attributes,
        }
        review = await self.client.create(
            {"apiVersion": REVIEWS.api_version, "kind": REVIEWS.kind, "metadata": {}, "spec": question},
            REVIEWS,
        )
        return bool(review.get("status", {}).get("allowed"))

    async def _approve(self, csr: Any, message: str) -> None:
        now = times.format(self.clock.now())
        approved = certificates_v1.CertificateSigningRequestCondition(
            type="Approved",
            status="True",
            reason="AutoApproved",
            message=message,
            lastUpdateTime=now,
            lastTransitionTime=now,
        )
        changed = evolve(csr, status={"conditions": (*csr.status.conditions, approved)})
        await self.client.update(changed, subresource="approval")


def is_decided(csr: Any) -> bool:
    return condition(csr, "Approved") is not None or condition(csr, "Denied") is not None


def recognized(csr: Any, asked: Asked) -> list[tuple[str, str]]:
    """The permissions by which the request may be approved, each with what is then said."""
    if csr.spec.signerName != rules.KUBELET_CLIENT or rules.kubelet_client(asked, csr.spec.usages):
        return []
    return [r for r in RECOGNIZERS if r[0] != "selfnodeclient" or csr.spec.username == asked.common_name]
