"""Client certificates: the common name is the user, organizations are its groups."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from knarr.auth import der
from knarr.auth.certificates import COMMON_NAME, ORGANIZATION
from knarr.auth.identity import CREDENTIAL_ID, authenticated
from knarr.meta.metrics import Histograms
from knarr.registry.context import UserInfo
from knarr.world.clock import Clock

#: the subject attribute that carries a user's uid (AllowParsingUserUIDFromCertAuth)
USER_UID = "1.3.6.1.4.1.57683.2"
#: the oldest entry goes first
CACHE_ENTRIES = 1024
HOUR, DAY = 3600.0, 86400.0
#: of apiserver_client_certificate_expiration_seconds
LIFETIME_BOUNDS = (
    *(0.0, 0.5 * HOUR, 1 * HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR),
    *(1 * DAY, 2 * DAY, 4 * DAY, 7 * DAY, 30 * DAY, 90 * DAY, 180 * DAY, 360 * DAY),
)


class _Known(NamedTuple):
    user: UserInfo | None
    not_before: float
    not_after: float
    #: it has no common name at all
    nameless: bool = False


class ClientCertificates:
    """Reads certificates that the TLS layer has already verified against the cluster's authority."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self.lifetimes = Histograms(
            "apiserver_client_certificate_expiration_seconds",
            "How long the certificates that requests came with would last yet, in seconds.",
            LIFETIME_BOUNDS,
        )
        self._lifetime = self.lifetimes.row()

    def identify(self, peer: bytes | dict[str, Any]) -> UserInfo | None:
        """The user, or None when the certificate names none or is out of date.

        Validity is checked anew for each request: a connection may outlive its certificate.
        """
        if isinstance(peer, dict):
            return _from_dict(peer)
        known = self._read(peer)
        self._lifetime.observe(known.not_after - self._clock.now())
        return known.user if self._valid(known) else None

    def names_nobody(self, peer: bytes | dict[str, Any]) -> bool:
        """Whether the certificate is good but nobody's, so that its holder may be known by other means or by none."""
        if isinstance(peer, dict):
            return False
        known = self._read(peer)
        return known.nameless and self._valid(known)

    def _valid(self, known: _Known) -> bool:
        return known.not_before <= self._clock.now() <= known.not_after

    def _read(self, peer: bytes) -> _Known:
        known = self._known.get(peer)
        if known is None:
            known = _from_der(peer)
            while len(self._known) >= CACHE_ENTRIES:
                del self._known[next(iter(self._known))]
            self._known[peer] = known
        return known


def _from_der(data: bytes) -> _Known:
    try:
        certificate = der.read_certificate(data)
    except ValueError:
        return _Known(None, 0.0, 0.0)
    names = certificate.attribute(COMMON_NAME)
    uids = certificate.attribute(USER_UID)
    user = None
    # of several common names Go keeps the last
    if names and names[-1] and len(uids) <= 1 and "" not in uids:
        credential = f"X509SHA256={hashlib.sha256(data).hexdigest()}"
        groups = tuple(certificate.attribute(ORGANIZATION))
        user = UserInfo(names[-1], uids[0] if uids else "", groups, {CREDENTIAL_ID: (credential,)})
        user = authenticated(user)
    nameless = not names or not names[-1]
    return _Known(user, certificate.not_before, certificate.not_after, nameless)


def _from_dict(peer: dict[str, Any]) -> UserInfo | None:
    """From the dict of `ssl.SSLSocket.getpeercert()`, which lacks what the credential id is made of."""
    pairs = [pair for relative in peer.get("subject", ()) for pair in relative]
    names = [value for key, value in pairs if key == "commonName"]
    if not names or not names[-1]:
        return None
    return authenticated(UserInfo(names[-1], groups=tuple(v for k, v in pairs if k == "organizationName")))
