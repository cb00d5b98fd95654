"""Who sends this request? Tries a front proxy's word, the client certificate, the bearer token, else it was nobody."""

from __future__ import annotations

import binascii
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from knarr.auth import jwt
from knarr.auth.identity import AuthenticationError, Identity, TokenMethod, authenticated
from knarr.auth.requestheader import RequestHeaders
from knarr.auth.x509 import ClientCertificates
from knarr.meta import errors
from knarr.meta.fielderrors import aggregate
from knarr.meta.metrics import Family, Sample
from knarr.registry.context import ANONYMOUS, UserInfo
from knarr.world.clock import Clock

#: a token that was found good is not looked at again for so long; Kubernetes' own figure
CACHE_SECONDS = 10.0
#: the oldest entry goes first
CACHE_ENTRIES = 4096

INVALID = "invalid bearer token"
EXTRA_SPACE = "the provided Authorization header contains extra space before the bearer token, and is ignored"
WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."


class _Cached(NamedTuple):
    identity: Identity
    until: float


class Authenticator:
    """The union of all methods, with a bounded cache of tokens found good.

    `audiences` are what the API server itself goes by; `anonymous` lets requests without credentials in as
    system:anonymous, where `anonymous_paths` names paths on these alone.
    """

    def __init__(
        self,
        methods: Sequence[TokenMethod],
        clock: Clock,
        audiences: Iterable[str] = (),
        anonymous: bool = True,
        anonymous_paths: Collection[str] = (),
    ) -> None:
        self.audiences = tuple(audiences)
        self.anonymous = anonymous
        self._anonymous_paths = frozenset(anonymous_paths)
        self._clock = clock
        self._certificates = ClientCertificates(clock)
        #: whose word about users is taken (auth/requestheader.py)
        self.front_proxy: RequestHeaders | None = None
        self._steps: list[tuple[Callable[..., Any], bool]] = [
            (m.authenticate, inspect.iscoroutinefunction(m.authenticate)) for m in methods
        ]
        self._cache: dict[tuple[str, tuple[str, ...]], _Cached] = {}
        self._hits = self._misses = self._rejected = 0

    async def authenticate(
        self,
        bearer: str | None,
        peer_certificate: bytes | dict[str, Any] | None = None,
        annotations: dict[str, str] | None = None,
        path: str = "",
        headers: Sequence[tuple[str, str]] = (),
    ) -> UserInfo:
        """The user; StatusError 401 when credentials were sent and none is good.

        `peer_certificate` is what ssl's `getpeercert` returned (DER with `True`, else the dict) for a certificate
        that the TLS layer verified. `annotations` receives notes for the audit log. `path` is that of the request.
        `headers` are believed where a front proxy sends them.
        """
        proxy = self.front_proxy
        shown = bool(peer_certificate)
        if proxy is not None and peer_certificate and proxy.issued(peer_certificate):
            introduced = proxy.identify(peer_certificate, headers)  # type: ignore[arg-type]
            if introduced is not None:
                return introduced
        elif peer_certificate:
            user = self._certificates.identify(peer_certificate)
            if user is not None:
                return user
            shown = not self._certificates.names_nobody(peer_certificate)
        if not bearer:
            if shown or not self._may_be_anonymous(path):
                raise errors.unauthorized()
            return ANONYMOUS
        try:
            identity = await self.review(bearer, self.audiences)
        except AuthenticationError:
            raise errors.unauthorized() from None
        if annotations is not None:
            annotations.update(identity.annotations)
        return identity.user

    def _may_be_anonymous(self, path: str) -> bool:
        return self.anonymous and (not self._anonymous_paths or path in self._anonymous_paths)

    def forget(self) -> None:
        """Look at every token anew: who may come in has changed."""
        self._cache.clear()

    async def review(self, token: str, audiences: tuple[str, ...] = ()) -> Identity:
        """Who the token stands for; AuthenticationError with every method's objection.

        Without `audiences` the token must be meant for the API server.
        """
        wanted = audiences or self.audiences
        key = (token, wanted)
        cached = self._cache.get(key)
        now = self._clock.now()
        if cached is not None and cached.until > now:
            self._hits += 1
            return cached.identity
        self._misses += 1
        identity = await self._ask(token, wanted)
        # a method that knows no audiences stands for the API server's own
        granted = identity.audiences or tuple(a for a in wanted if a in self.audiences)
        if wanted and not granted:
            raise AuthenticationError(INVALID)
        identity = Identity(authenticated(identity.user), granted, identity.annotations)
        self._remember(key, _Cached(identity, now + CACHE_SECONDS))
        return identity

    async def _ask(self, token: str, wanted: tuple[str, ...]) -> Identity:
        objections = [INVALID]
        for step, waits in self._steps:
            try:
                identity = await step(token, wanted) if waits else step(token, wanted)
            except AuthenticationError as objection:
                objections.append(str(objection))
                continue
            if identity is not None:
                return identity
        self._rejected += 1
        raise AuthenticationError(aggregate(objections))

    def metrics(self) -> Iterator[Family]:
        """Of certificates, and of the cache of tokens."""
        yield self._certificates.lifetimes.family()
        rows = (
            ("request", "Tokens that were looked up.", {"hit": self._hits, "miss": self._misses}),
            (
                "fetch",
                "Tokens that were looked at anew.",
                {"ok": self._misses - self._rejected, "error": self._rejected},
            ),
        )
        for name, words, counts in rows:
            samples: list[Sample] = [("", {"status": status}, n) for status, n in counts.items() if n]
            yield Family(f"authentication_token_cache_{name}_total", "counter", words, samples)

    def _remember(self, key: tuple[str, tuple[str, ...]], entry: _Cached) -> None:
        self._cache.pop(key, None)
        while len(self._cache) >= CACHE_ENTRIES:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = entry


def bearer_token(authorization: str, warn: Callable[[str], None] = lambda text: None) -> str | None:
    """The token of an Authorization header; None for another scheme or none at all."""
    if not authorization:
        return None
    parts = authorization.strip().split(" ", 2)
    if len(parts) < 2 or parts[0].lower() != "bearer":
        return None
    if not parts[1] and len(parts) == 3:
        warn(EXTRA_SPACE)
    return parts[1] or None


def websocket_token(protocols: str) -> str | None:
    """A token among the subprotocols of a web socket: browsers cannot send headers.

    Raises StatusError 401 for a token that cannot be decoded, for several, or for one that comes alone: the server
    must be able to choose another protocol.
    """
    offered = [protocol.strip() for protocol in protocols.split(",")]
    tokens = [p.removeprefix(WEBSOCKET_TOKEN) for p in offered if p.startswith(WEBSOCKET_TOKEN)]
    if not tokens:
        return None
    if len(tokens) > 1 or len(offered) == 1:
        raise errors.unauthorized()
    try:
        return jwt.decode(tokens[0]).decode()
    except (ValueError, binascii.Error):
        raise errors.unauthorized() from None


def without_token(protocols: str) -> str:
    """The subprotocols that others may see."""
    offered = [protocol.strip() for protocol in protocols.split(",")]
    return ", ".join(p for p in offered if not p.startswith(WEBSOCKET_TOKEN))
