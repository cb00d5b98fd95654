"""Which authorizers are asked, in which order: what flags and configuration files come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knarr.auth.configuration.expressions import Compiled

WEBHOOK = "Webhook"
MODES = ("ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", WEBHOOK)
AUTHORIZED_SECONDS, UNAUTHORIZED_SECONDS = 300.0, 30.0
TIMEOUT_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Webhook:
    """How one webhook is asked. Times are seconds; a time to keep answers of 0 keeps none."""

    kubeconfig: str
    version: str = "v1"
    authorized_seconds: float = AUTHORIZED_SECONDS
    unauthorized_seconds: float = UNAUTHORIZED_SECONDS
    timeout: float = TIMEOUT_SECONDS_MAX
    deny_on_failure: bool = False
    conditions: Sequence[Compiled] = ()


@dataclass(frozen=True)
class Mode:
    """One authorizer of the chain; `webhook` is set for that type alone."""

    type: str
    name: str
    webhook: Webhook | None = None
