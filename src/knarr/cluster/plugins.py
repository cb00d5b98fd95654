"""The admission of a cluster: Kubernetes' default plugins, then what rights forbid that only a whole object shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.admission.chain import Chain
from knarr.admission.defaults import default_plugins
from knarr.admission.policies.access import ParameterAccess
from knarr.admission.webhooks.counts import Counts
from knarr.auth.claimstatus import ClaimStatusGuard
from knarr.auth.escalation import EscalationGuard
from knarr.cluster.identities import Identities
from knarr.egress import Egress
from knarr.meta.metrics import Family
from knarr.registry.equivalents import Equivalents
from knarr.registry.registry import Registry
from knarr.world import World


class Plugins:
    """All of them, in order, and what they count."""

    def __init__(self, registry: Registry, world: World, identities: Identities, egress: Egress) -> None:
        authorizers = identities.authorizers
        self._webhooks = Counts()
        plugins = default_plugins(registry, world, authorizers, egress.post, self._webhooks)
        # shaped like plugins, by parts that do not know of admission
        guards: list[Any] = [EscalationGuard(identities.rbac, authorizers), ClaimStatusGuard(authorizers)]
        access = ParameterAccess(registry, Equivalents(registry), authorizers)
        self.chain = Chain([*plugins, *guards, access], world.clock)

    def metrics(self) -> Iterator[Family]:
        yield from self._webhooks.families()
        yield from self.chain.metrics()
