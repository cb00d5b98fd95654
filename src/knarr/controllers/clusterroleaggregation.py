"""Aggregated cluster roles: their rules are those of the roles that their selectors match."""

from __future__ import annotations

from typing import Any

from knarr.api.catalog import BY_GVR
from knarr.auth.aggregation import reconcile as aggregated
from knarr.client.client import Client
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.world import World

CLUSTER_ROLES = BY_GVR["rbac.authorization.k8s.io", "v1", "clusterroles"]
MANAGER = "clusterrole-aggregation-controller"


class ClusterRoleAggregationController(KubeController):
    """Keys are aggregated roles."""

    name = "clusterrole-aggregation-controller"
    #: two roles that are part of each other, worked out at once, would hand their orders to and fro for ever
    workers = 1

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.roles = self.watch(CLUSTER_ROLES)
        self.roles.add_handler(self._changed, lambda _, new: self._changed(new), self._changed)

    def _changed(self, _: Any) -> None:
        """Any role may be part of any aggregated one; there are few of these."""
        for role in self.roles.indexer.list():
            if role.get("aggregationRule"):
                self.enqueue(role)

    async def reconcile(self, key: Key) -> None:
        role = self.roles.indexer.get(key)
        changed = aggregated(role, self.roles.indexer.list()) if role is not None else None
        if changed is not None:
            body = {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": key.name},
                "rules": changed["rules"],
            }
            await self.client.apply(body, MANAGER, force=True, resource=CLUSTER_ROLES)
