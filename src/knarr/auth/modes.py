"""The authorizers of --authorization-mode that decide without looking at anything."""

from __future__ import annotations

from knarr.auth.authorize import Decision, Rules
from knarr.registry.context import Request, UserInfo

FORBIDDEN = Decision(False, "Everything is forbidden.")


class AlwaysAllow:
    def authorize(self, request: Request) -> Decision:
        return Decision(True)

    def resolve(self, user: UserInfo, namespace: str) -> Rules:
        every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        return Rules((every, {"verbs": ["*"], "nonResourceURLs": ["*"]}))


class AlwaysDeny:
    """It has no opinion, as upstream's: what a later authorizer allows is allowed."""

    def authorize(self, request: Request) -> Decision:
        return FORBIDDEN

    def resolve(self, user: UserInfo, namespace: str) -> Rules:
        return Rules()
