"""Token secrets of the old kind: a Secret that names an account is filled with a token, and goes with the account."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from knarr.api.scheme import evolve, scheme
from knarr.api.types import core_v1
from knarr.client.client import Client, is_conflict, is_not_found
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta.errors import StatusError
from knarr.world import World

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"

#: (account, secret) in wire form -> token
Issue = Callable[[dict[str, Any], dict[str, Any]], Awaitable[str]]


class ServiceAccountTokenController(KubeController):
    """Keys are secrets. `legacy_token` signs; without it secrets only follow their accounts."""

    name = "serviceaccount-token-controller"
    service_account = "tokens-controller"
    settings = ("root_ca", "legacy_token")

    def __init__(
        self,
        client: Client,
        informers: SharedInformers,
        world: World,
        root_ca: str = "",
        legacy_token: Issue | None = None,
    ) -> None:
        super().__init__(client, informers, world)
        self.root_ca = root_ca
        self.issue = legacy_token
        self.secrets = self.watch(
            core_v1.Secret,
            self.enqueue,
            lambda _, new: self.enqueue(new),
            self._secret_deleted,
            field_selector=f"type={TYPE}",
        )
        self.accounts = self.watch(
            core_v1.ServiceAccount, self._account_changed, deleted=self._account_changed
        )

    def _account_changed(self, account: Any) -> None:
        meta = account.metadata
        for secret in self.secrets.indexer.list(meta.namespace):
            if secret.metadata.annotations.get(ACCOUNT_NAME) == meta.name:
                self.enqueue(secret)

    def _secret_deleted(self, secret: Any) -> None:
        """An account that lists it is to forget it."""
        meta = secret.metadata
        account = self.accounts.indexer.get((meta.namespace, meta.annotations.get(ACCOUNT_NAME, "")))
        if account is not None and any(ref.name == meta.name for ref in account.secrets):
            self.enqueue(secret)

    async def reconcile(self, key: Key) -> None:
        secret = self.secrets.indexer.get(key)
        if secret is None:
            await self._forget(key)
            return
        account = await self._account_of(secret)
        if account is None:
            await self._delete(secret)
        elif self.issue is not None:
            filled = await filled_secret(secret, account, self.root_ca, self.issue)
            if filled is not None:
                await self._update(filled)

    async def _account_of(self, secret: Any) -> Any | None:
        """The account it names, looked for at the server too: the secret may be news and the account not yet."""
        annotations, namespace = secret.metadata.annotations, secret.metadata.namespace
        name, uid = annotations.get(ACCOUNT_NAME, ""), annotations.get(ACCOUNT_UID, "")
        if not name:
            return None
        account = self.accounts.indexer.get((namespace, name))
        if account is None or (uid and account.metadata.uid != uid):
            try:
                account = await self.client.get(core_v1.ServiceAccount, name, namespace)
            except StatusError as error:
                if is_not_found(error):
                    return None
                raise
        return account if not uid or account.metadata.uid == uid else None

    async def _forget(self, key: Key) -> None:
        for account in self.accounts.indexer.list(key.namespace):
            if any(ref.name == key.name for ref in account.secrets):
                rest = tuple(ref for ref in account.secrets if ref.name != key.name)
                await self._update(evolve(account, secrets=rest))

    async def _delete(self, secret: Any) -> None:
        try:
            await self.client.delete(secret)
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise

    async def _update(self, obj: Any) -> None:
        try:
            await self.client.update(obj)
        except StatusError as error:
            # changed: the event brings the key back; gone: nothing is to be done
            if not is_not_found(error) and not is_conflict(error):
                raise


async def filled_secret(secret: Any, account: Any, root_ca: str, issue: Issue) -> Any | None:
    """The secret with what it lacks; None where it has everything."""
    before = {name: str(value) for name, value in secret.data.items()}
    data = dict(before)
    if root_ca:
        data["ca.crt"] = _base64(root_ca)
    if not data.get("namespace"):
        data["namespace"] = _base64(secret.metadata.namespace)
    if not data.get("token"):
        data["token"] = _base64(await issue(scheme().to_dict(account), scheme().to_dict(secret)))
    if data == before:
        return None
    named = {ACCOUNT_NAME: account.metadata.name, ACCOUNT_UID: account.metadata.uid}
    annotations = {**secret.metadata.annotations, **named}
    return evolve(secret, data=data, metadata={"annotations": annotations})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
