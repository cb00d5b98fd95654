"""Is this token the issuer's, meant for us, and valid now? The messages are go-oidc's."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import Any

from knarr.auth import jwt
from knarr.auth.identity import AuthenticationError
from knarr.auth.oidc.provider import Provider
from knarr.meta.gofmt import quote

#: how far the clocks may be apart for tokens that are not valid yet
NOT_BEFORE_LEEWAY_SECONDS = 60.0
GOOGLE = "accounts.google.com"


def issuer_of(token: jwt.Parsed) -> str:
    """Who the token says has issued it; Google's two spellings are one."""
    issuer = token.claims.get("iss", "")
    if issuer == GOOGLE:
        return f"https://{GOOGLE}"
    return issuer if isinstance(issuer, str) else ""


async def verify(
    token: jwt.Parsed, provider: Provider, audiences: Collection[str], algorithms: Sequence[str], now: float
) -> dict[str, Any]:
    """The claims; raises AuthenticationError."""
    named = _audience(token.claims.get("aud"))
    if not any(a in audiences for a in named):
        raise AuthenticationError(_wrong_audience(audiences, named))
    _check_times(token.claims, now)
    algorithm = token.header.get("alg", "")
    if algorithm not in algorithms:
        shown = f"[{' '.join(map(quote, algorithms))}]"
        raise AuthenticationError(
            f"oidc: id token signed with unsupported algorithm, expected {shown} got {quote(str(algorithm))}"
        )
    await provider.check(token)
    return token.claims


def _audience(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _wrong_audience(audiences: Collection[str], named: Sequence[str]) -> str:
    got = f"[{' '.join(map(quote, named))}]"
    if len(audiences) == 1:
        return f"oidc: expected audience {quote(next(iter(audiences)))} got {got}"
    return f"oidc: expected audience in [{' '.join(map(quote, sorted(audiences)))}] got {got}"


def _check_times(claims: dict[str, Any], now: float) -> None:
    expires, starts = _number(claims.get("exp")), _number(claims.get("nbf"))
    if expires is None or expires < now:
        raise AuthenticationError(f"oidc: token is expired (Token Expiry: {_go_time(expires)})")
    if starts is not None and starts > now + NOT_BEFORE_LEEWAY_SECONDS:
        raise AuthenticationError(
            f"oidc: current time {_go_time(now)} before the nbf (not before) time: {_go_time(starts)}"
        )


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _go_time(seconds: float | None) -> str:
    if seconds is None:
        return "0001-01-01 00:00:00 +0000 UTC"
    try:
        moment = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return str(seconds)
    return moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
