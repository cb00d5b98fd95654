"""Deletes bootstrap tokens when they expire."""

from __future__ import annotations

import base64
from typing import Any

from knarr.api.types import core_v1
from knarr.client.client import Client, is_conflict, is_not_found
from knarr.client.controller import Requeue
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

TYPE = "bootstrap.kubernetes.io/token"


class TokenCleanerController(KubeController):
    """Keys are the secrets that hold them."""

    name = "token-cleaner-controller"
    service_account = "token-cleaner"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.secrets = self.watch(
            core_v1.Secret,
            self.enqueue,
            lambda _, new: self.enqueue(new),
            namespace="kube-system",
            field_selector=f"type={TYPE}",
        )

    async def reconcile(self, key: Key) -> Requeue | None:
        secret = self.secrets.indexer.get(key)
        expiry = expiry_of(secret) if secret is not None else None
        if expiry is None:
            return None
        left = expiry - self.clock.now()
        if left > 0:
            return Requeue(left)
        try:
            await self.client.delete(secret)
        except StatusError as error:
            if not is_not_found(error) and not is_conflict(error):
                raise
        return None


def expiry_of(secret: Any) -> float | None:
    """Epoch seconds; None for a token that lasts, or whose expiration nobody can read."""
    text = secret.data.get("expiration")
    if not text:
        return None
    try:
        return times.parse(base64.b64decode(text).decode())
    except ValueError:
        return None
