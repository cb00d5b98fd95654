"""Request headers of a front proxy: it has authenticated the user itself and says who it is.

Believed only from who shows a client certificate of the front proxy's authority, with one of the allowed names. That is
how this API server introduces users to aggregated API servers, and how a proxy in front of it may introduce them here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from knarr.auth import der
from knarr.auth.certificates import COMMON_NAME
from knarr.auth.identity import authenticated
from knarr.registry.context import UserInfo
from knarr.world.clock import Clock

USER, UID, GROUP, EXTRA_PREFIX = "X-Remote-User", "X-Remote-Uid", "X-Remote-Group", "X-Remote-Extra-"
#: the subject of the certificate that kubeadm makes for it
ALLOWED_NAMES = ("front-proxy-client",)
#: certificates that are remembered; the oldest entry goes first
CACHE_ENTRIES = 1024
#: what of a header's name is not escaped (RFC 7230's token, without "%")
SAFE = "!#$&'*+-.^_`|~"


class _Known(NamedTuple):
    issued: bool
    names: frozenset[str]
    not_before: float
    not_after: float


class RequestHeaders:
    """`authority` is the DER subject of the front proxy's authority; no `allowed_names` allow any."""

    def __init__(
        self, authority: bytes, clock: Clock, allowed_names: Collection[str] = ALLOWED_NAMES
    ) -> None:
        self._authority, self._clock, self._allowed = authority, clock, frozenset(allowed_names)
        self._known: dict[bytes, _Known] = {}

    def issued(self, peer: bytes | dict[str, Any]) -> bool:
        """Whether a certificate that TLS has verified is a front proxy's, and so no client's."""
        return isinstance(peer, bytes) and self._read(peer).issued

    def identify(self, peer: bytes, headers: Iterable[tuple[str, str]]) -> UserInfo | None:
        """Whom the proxy introduces; None where it may not, or names nobody. Names of headers in lower case."""
        known = self._read(peer)
        if not known.not_before <= self._clock.now() <= known.not_after:
            return None
        if self._allowed and not self._allowed & known.names:
            return None
        user = user_of(headers)
        return authenticated(user) if user is not None else None

    def _read(self, peer: bytes) -> _Known:
        known = self._known.get(peer)
        if known is None:
            known = self._parse(peer)
            while len(self._known) >= CACHE_ENTRIES:
                del self._known[next(iter(self._known))]
            self._known[peer] = known
        return known

    def _parse(self, peer: bytes) -> _Known:
        try:
            certificate = der.read_certificate(peer)
        except ValueError:
            return _Known(False, frozenset(), 0.0, 0.0)
        # of several common names Go keeps the last
        names = frozenset(certificate.attribute(COMMON_NAME)[-1:])
        issued = certificate.issuer == self._authority
        return _Known(issued, names, certificate.not_before, certificate.not_after)


def user_of(headers: Iterable[tuple[str, str]]) -> UserInfo | None:
    """The user that the headers name; None where they name none."""
    name = uid = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for key, value in headers:
        lower = key.lower()
        if lower == USER.lower():
            name = name or value
        elif lower == UID.lower():
            uid = uid or value
        elif lower == GROUP.lower():
            if value:
                groups.append(value)
        elif lower.startswith(EXTRA_PREFIX.lower()):
            extra.setdefault(unquote(lower[len(EXTRA_PREFIX) :]), []).append(value)
    if not name:
        return None
    return UserInfo(name, uid, tuple(groups), {key: tuple(values) for key, values in extra.items()})


def headers_of(user: UserInfo) -> list[tuple[str, str]]:
    """The headers by which an aggregated API server learns who asks."""
    found = [(USER, user.name)]
    if user.uid:
        found.append((UID, user.uid))
    found += [(GROUP, group) for group in user.groups]
    for key, values in user.extra.items():
        found += [(EXTRA_PREFIX + quote(key, safe=SAFE), value) for value in values]
    return found
