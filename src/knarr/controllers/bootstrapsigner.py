"""Signs the config map kube-public/cluster-info with every bootstrap token: by that a machine that joins knows the
kubeconfig in it for the cluster's own (a detached JWS, RFC 7515 appendix F, with the token's secret as key).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

import orjson

from knarr.api.scheme import evolve
from knarr.api.types import core_v1
from knarr.client.client import Client, is_conflict, is_not_found
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key
from knarr.controllers.base import KubeController
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

TYPE = "bootstrap.kubernetes.io/token"
SECRET_PREFIX = "bootstrap-token-"
INFO = Key("kube-public", "cluster-info")
CONTENT, SIGNATURE_PREFIX = "kubeconfig", "jws-kubeconfig-"


class BootstrapSigner(KubeController):
    """There is one key: the config map."""

    name = "bootstrap-signer-controller"
    service_account = "bootstrap-signer"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.config_maps = self.watch(
            core_v1.ConfigMap,
            self._poke,
            lambda _, new: self._poke(new),
            namespace=INFO.namespace,
            field_selector=f"metadata.name={INFO.name}",
        )
        self.secrets = self.watch(
            core_v1.Secret,
            self._poke,
            lambda _, new: self._poke(new),
            self._poke,
            namespace="kube-system",
            field_selector=f"type={TYPE}",
        )

    def _poke(self, obj: Any) -> None:
        self.queue.add(INFO)

    async def reconcile(self, key: Key) -> None:
        info = self.config_maps.indexer.get(key)
        if info is None or CONTENT not in info.data:
            return
        data = signed(info.data, self.secrets.indexer.list(), self.clock.now())
        if data == info.data:
            return
        try:
            await self.client.update(evolve(info, data=data))
        except StatusError as error:
            if not is_conflict(error) and not is_not_found(error):  # another event follows
                raise


def signed(data: dict[str, str], secrets: Iterable[Any], now: float) -> dict[str, str]:
    """The data of the config map with a signature by each token that may sign, and by no other."""
    kept = {key: value for key, value in data.items() if not key.startswith(SIGNATURE_PREFIX)}
    tokens = dict(token for secret in secrets if (token := signing_token(secret, now)) is not None)
    return kept | {
        f"{SIGNATURE_PREFIX}{name}": sign(data[CONTENT], name, tokens[name]) for name in sorted(tokens)
    }


def signing_token(secret: Any, now: float) -> tuple[str, str] | None:
    """(id, secret) of a bootstrap token; None where it may not sign."""
    data = {key: text for key, value in secret.data.items() if (text := _text(value)) is not None}
    identifier = secret.metadata.name.removeprefix(SECRET_PREFIX)
    good = (
        secret.metadata.name.startswith(SECRET_PREFIX)
        and data.get("token-id") == identifier
        and data.get("token-secret")
        and data.get("usage-bootstrap-signing") == "true"
        and not _expired(data.get("expiration", ""), now)
    )
    return (identifier, data["token-secret"]) if good else None


def sign(content: str, identifier: str, secret: str) -> str:
    """Header and signature of a JWS whose content stands elsewhere."""
    header = _base64url(orjson.dumps({"alg": "HS256", "kid": identifier}))
    whole = f"{header}.{_base64url(content.encode())}".encode()
    return f"{header}..{_base64url(hmac.new(secret.encode(), whole, hashlib.sha256).digest())}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _text(value: str) -> str | None:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _expired(text: str, now: float) -> bool:
    """A time that nobody can read counts as past."""
    if not text:
        return False
    try:
        return now >= times.parse(text)
    except ValueError:
        return True
