"""What an authentication method finds out."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Protocol

from knarr.registry.context import UserInfo

ALL_AUTHENTICATED = "system:authenticated"
ALL_UNAUTHENTICATED = "system:unauthenticated"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


class AuthenticationError(Exception):
    """The credentials are of this method's kind but not good; the text is for TokenReview, never for a 401."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token belongs to, which of the wanted audiences it is meant for, and notes for the audit log."""

    user: UserInfo
    audiences: tuple[str, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)


class TokenMethod(Protocol):
    """One way to make sense of a bearer token.

    Returns None when the token is none of its own; raises AuthenticationError when it is and is not good. May be a
    coroutine function (OpenID Connect, a webhook). `audiences` are those of which the token must name one.
    """

    def authenticate(
        self, token: str, audiences: tuple[str, ...]
    ) -> Identity | None | Awaitable[Identity | None]: ...


def authenticated(user: UserInfo) -> UserInfo:
    """The user as a member of system:authenticated, which everybody known belongs to."""
    if user.name == "system:anonymous" or not {ALL_AUTHENTICATED, ALL_UNAUTHENTICATED}.isdisjoint(
        user.groups
    ):
        return user
    return replace(user, groups=(*user.groups, ALL_AUTHENTICATED))
