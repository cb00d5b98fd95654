"""Says in the status of validating admission policies which expressions do not fit the kinds they are for."""

from __future__ import annotations

from typing import Any

from knarr.api.catalog import BY_GVR
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.world import World

POLICIES = BY_GVR["admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"]
DEFINITIONS = BY_GVR["apiextensions.k8s.io", "v1", "customresourcedefinitions"]


class ValidatingAdmissionPolicyStatusController(KubeController):
    """Keys are policies."""

    name = "validatingadmissionpolicy-status-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.policies = self.watch_primary(POLICIES)

    async def reconcile(self, key: Key) -> None:
        policy = self.policies.indexer.get(key)
        if policy is None:
            return
        generation = policy["metadata"].get("generation", 0)
        if generation <= (policy.get("status") or {}).get("observedGeneration", 0):
            return
        checking: dict[str, Any] = {}
        if warnings := await self._check(policy):
            checking["expressionWarnings"] = warnings
        body = {
            "apiVersion": POLICIES.api_version,
            "kind": POLICIES.kind,
            "metadata": {"name": key.name},
            "status": {"observedGeneration": generation, "typeChecking": checking},
        }
        await self.client.apply(body, self.name, force=True, resource=POLICIES, subresource="status")

    async def _check(self, policy: dict[str, Any]) -> list[dict[str, Any]]:
        from knarr.admission.policies.typechecking import TypeChecker

        definitions = (await self.client.list(DEFINITIONS)).items
        return TypeChecker(definitions).check(policy["spec"])
