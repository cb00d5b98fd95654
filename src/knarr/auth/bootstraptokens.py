"""Bootstrap tokens: `id.secret`, kept in Secrets kube-system/bootstrap-token-<id>, for machines that join."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import Any

from knarr.auth.identity import Identity
from knarr.meta import times
from knarr.registry.context import UserInfo
from knarr.registry.reader import Reader
from knarr.world.clock import Clock

TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
DEFAULT_GROUP = "system:bootstrappers"
TYPE = "bootstrap.kubernetes.io/token"


class BootstrapTokens:
    """Reads the Secret anew for each token that the cache does not know."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """None unless the token is exactly as its Secret wants it: why not is nobody's business."""
        match = TOKEN.fullmatch(token)
        if match is None:
            return None
        identifier, secret = match.groups()
        stored = self._reader.get("", "secrets", "kube-system", f"bootstrap-token-{identifier}")
        if stored is None or stored.get("type") != TYPE or stored["metadata"].get("deletionTimestamp"):
            return None
        data = _decode(stored.get("data") or {})
        good = (
            hmac.compare_digest(data.get("token-secret", "").encode(), secret.encode())
            and data.get("token-id") == identifier
            and data.get("usage-bootstrap-authentication") == "true"
            and not self._expired(data.get("expiration", ""))
        )
        groups = [g.strip() for g in data.get("auth-extra-groups", "").split(",") if g.strip()]
        if not good or not all(EXTRA_GROUP.fullmatch(g) for g in groups):
            return None
        return Identity(
            UserInfo(f"system:bootstrap:{identifier}", groups=(*sorted({*groups}), DEFAULT_GROUP))
        )

    def _expired(self, expiration: str) -> bool:
        if not expiration:
            return False
        try:
            return self._clock.now() >= times.parse(expiration)
        except ValueError:
            return True


def _decode(data: dict[str, Any]) -> dict[str, str]:
    decoded = {}
    for key, value in data.items():
        try:
            decoded[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return decoded
