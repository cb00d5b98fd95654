"""What both webhook plugins share: which webhooks a request meets."""

from __future__ import annotations

import logging
from typing import Any

from knarr.admission.attributes import Attributes, Target
from knarr.admission.chain import Plugin
from knarr.admission.matching import EXEMPT_GROUP, Matched, requested
from knarr.admission.webhooks.calling import Authorizer, Caller
from knarr.admission.webhooks.counts import Counts
from knarr.admission.webhooks.hooks import Hook, Hooks
from knarr.admission.webhooks.versions import Versions
from knarr.meta import errors
from knarr.meta.errors import StatusError
from knarr.registry.equivalents import Equivalents
from knarr.registry.registry import Registry
from knarr.world import Clock

Object = dict[str, Any]
log = logging.getLogger("knarr.admission")

#: configurations are never shown to webhooks: whoever set them up could not take them down again
EXEMPT = frozenset(
    {
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    }
)


class WebhookPlugin(Plugin):
    """Follows one kind of configuration. `resource` and `type` are the subclass's."""

    resource = ""
    type = ""

    def __init__(
        self, registry: Registry, caller: Caller, clock: Clock, authorizer: Authorizer, counts: Counts
    ) -> None:
        self._registry, self._caller, self._clock = registry, caller, clock
        self._authorizer, self._counts = authorizer, counts
        self._equivalents = Equivalents(registry)
        self._versions = Versions(self._equivalents)
        self._hooks = Hooks(registry, self.resource, lambda: self.forget())
        #: webhooks that may be meant by requests for a target, with their place among all
        self._candidates: dict[Target, list[tuple[int, Hook]]] = {}

    def handles(self, target: Target) -> bool:
        if target.group == EXEMPT_GROUP and target.resource in EXEMPT:
            return False
        found = [
            (index, hook)
            for index, hook in enumerate(self._hooks.all())
            if hook.rules.handles(target, self._equivalents)
        ]
        self._candidates[target] = found
        return bool(found)

    def _candidates_of(self, a: Attributes) -> list[tuple[int, Hook]]:
        """Those that `handles` found when the chain was chosen."""
        return self._candidates[a.target]

    async def _match(self, hook: Hook, a: Attributes) -> Matched | None:
        """How the webhook is meant, if it is. Raises StatusError where that cannot be told."""
        missing: StatusError | None = None
        try:
            if not hook.selectors.match_namespace(a, self._registry):
                return None
        except StatusError as error:
            missing = error  # matters only to a webhook whose rules cover the request
        if not hook.selectors.match_object(a):
            return None
        try:
            matched = hook.rules.match(a, self._equivalents)
        except ValueError as error:
            raise errors.internal(str(error)) from None
        if matched is None:
            return None
        if missing is not None:
            raise missing
        if hook.conditions is not None and not await self._conditions_hold(hook, a, matched):
            return None
        return matched

    async def _conditions_hold(self, hook: Hook, a: Attributes, matched: Matched) -> bool:
        from knarr.admission.cel.authorizer import Decisions, answered, bindings
        from knarr.admission.cel.evaluation import Inputs
        from knarr.admission.cel.request import admission_request

        obj = await self._versions.shown(a.obj, matched)
        old = await self._versions.shown(a.old, matched)
        decisions = Decisions(self._authorizer)
        request = admission_request(a, requested(a), matched.kind)
        inputs = Inputs(obj, old, request, authorizer=bindings(decisions, a))
        found = await answered(decisions, lambda: hook.conditions.match(inputs))
        if found.error:
            log.warning("match conditions of webhook %s failed: %s", hook.name, found.error)
            self._counts.fault(hook.name, self.type, a.operation)
            raise errors.forbidden(a.request.group, a.request.resource, a.name, found.error)
        if not found.matches:
            self._counts.excluded(hook.name, self.type, a.operation)
        return found.matches
