"""Tokens that are known from the start: the administrator's, and those of a token file."""

from __future__ import annotations

import csv
from collections.abc import Iterable

from knarr.auth.identity import Identity
from knarr.registry.context import UserInfo


class StaticTokens:
    """A table of tokens; it lives as long as the server."""

    def __init__(self, users: dict[str, UserInfo]) -> None:
        self._identities = {token: Identity(user) for token, user in users.items()}

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        return self._identities.get(token)


def admin(token: str) -> dict[str, UserInfo]:
    """The one user `admin` of system:masters behind a token."""
    return {token: UserInfo("admin", "admin", ("system:masters",))}


def parse_token_file(lines: Iterable[str]) -> dict[str, UserInfo]:
    """Kubernetes' token file: CSV lines of token, user name, uid, and optionally a quoted list of groups.

    A line without a token is skipped, the last of two lines with one token wins; ValueError for fewer columns than
    three.
    """
    users: dict[str, UserInfo] = {}
    for number, row in enumerate(csv.reader(line for line in lines if not line.startswith("#")), 1):
        if not row:
            continue
        if len(row) < 3:
            raise ValueError(
                f"token file line {number}: expected token, user and uid, found {len(row)} columns"
            )
        token, name, uid = (column.strip() for column in row[:3])
        groups = tuple(g.strip() for g in row[3].split(",") if g.strip()) if len(row) > 3 else ()
        if token:
            users[token] = UserInfo(name, uid, groups)
    return users
