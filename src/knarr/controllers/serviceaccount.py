"""The account "default" of every namespace: what a pod runs as when it names none."""

from __future__ import annotations

from typing import Any

from knarr.api.types import core_v1
from knarr.client.client import Client, is_already_exists, namespace_terminating
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta.errors import StatusError
from knarr.world import World

DEFAULT = "default"


class ServiceAccountController(KubeController):
    """Keys are namespaces."""

    name = "serviceaccount-controller"
    service_account = "service-account-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.namespaces = self.watch(core_v1.Namespace, self.enqueue, lambda _, new: self.enqueue(new))
        self.accounts = self.watch(core_v1.ServiceAccount, deleted=self._account_deleted)

    def _account_deleted(self, account: Any) -> None:
        if account.metadata.name == DEFAULT:
            self.queue.add(Key("", account.metadata.namespace))

    async def reconcile(self, key: Key) -> None:
        namespace = self.namespaces.indexer.get(key)
        if not wants_account(namespace, self.accounts.indexer.get((key.name, DEFAULT))):
            return
        metadata = {"name": DEFAULT, "namespace": key.name}
        try:
            await self.client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        except StatusError as error:
            if not is_already_exists(error) and not namespace_terminating(error):
                raise


def wants_account(namespace: Any | None, account: Any | None) -> bool:
    """A namespace that lives and lacks the account."""
    return namespace is not None and namespace.status.phase == "Active" and account is None
