"""Who may say what in the status of a resource claim (KEP-4817's granular authorization).

Besides `resourceclaims/status` a writer needs rights on subresources that exist for this alone: `resourceclaims/binding`
to allocate and reserve, `resourceclaims/driver`, by the name of the driver, to report on devices. A driver that runs on
the node of the claim may have the lesser verb `associated-node:update`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from knarr.auth.authorize import PRIVILEGED_GROUP, Authorizers, forbidden
from knarr.auth.satokens import EXTRA, split_username
from knarr.meta import errors, fielderrors
from knarr.meta.fielderrors import FieldError
from knarr.registry.context import Request, UserInfo

Object = dict[str, Any]

GROUP, RESOURCE = "resource.k8s.io", "resourceclaims"
NODE_NAME = f"{EXTRA}node-name"


class ClaimStatusGuard:
    """Has the shape of an admission plugin; in Kubernetes it is part of the kind's validation."""

    name = "ResourceClaimStatus"

    def __init__(self, authorizers: Authorizers) -> None:
        self._authorizers = authorizers

    def handles(self, target: Any) -> bool:
        return tuple(target) == (GROUP, RESOURCE, "status", "UPDATE")

    async def validate(self, attributes: Any) -> None:
        """Raises 422 naming the rights that are missing."""
        request: Request = attributes.request
        if PRIVILEGED_GROUP in request.user.groups:
            return
        new, old = attributes.obj.get("status") or {}, attributes.old.get("status") or {}
        found = [*await self._binding(request, new, old), *await self._devices(request, new, old)]
        if found:
            raise errors.invalid(GROUP, "ResourceClaim", request.name, found)

    async def _binding(self, request: Request, new: Object, old: Object) -> list[FieldError]:
        if all((new.get(key) or None) == (old.get(key) or None) for key in ("allocation", "reservedFor")):
            return []
        why = await self._refusal(replace(request, subresource="binding", namespace="", name=""))
        if not why:
            return []
        words = (
            'changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", '
            f'verb="{request.verb}" permission: {why}'
        )
        return [fielderrors.forbidden("status", words)]

    async def _devices(self, request: Request, new: Object, old: Object) -> list[FieldError]:
        drivers = changed_drivers(new.get("devices") or (), old.get("devices") or ())
        verbs = [f"arbitrary-node:{request.verb}"]
        if drivers and on_the_node(request.user, allocated_node(new.get("allocation"))):
            verbs.insert(0, f"associated-node:{request.verb}")
        found = []
        for driver in sorted(drivers):
            question = replace(request, subresource="driver", name=driver)
            refusals = [await self._refusal(replace(question, verb=verb)) for verb in verbs]
            if all(refusals):
                words = (
                    'changing status.devices requires resource="resourceclaims/driver", '
                    f'verb="[{" ".join(verbs)}]" permission: {refusals[0]}'
                )
                found.append(fielderrors.forbidden("status.devices", words))
        return found

    async def _refusal(self, question: Request) -> str:
        """The message of the 403 that the question would be answered with; "" where it is allowed."""
        decision = await self._authorizers.authorize(question)
        if decision.allowed:
            return ""
        why = ": ".join(part for part in (decision.error, decision.reason) if part)
        return forbidden(question, why).message


def changed_drivers(new: Iterable[Object], old: Iterable[Object]) -> set[str]:
    """The drivers with a device that was added, removed or is told otherwise."""
    before, after = ({_key(device): device for device in devices} for devices in (old, new))
    return {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _key(device: Object) -> tuple[str, ...]:
    return tuple(device.get(word) or "" for word in ("driver", "pool", "device", "shareID"))


def allocated_node(allocation: Object | None) -> str:
    """The one node that an allocation is good for; "" where there may be others."""
    terms = ((allocation or {}).get("nodeSelector") or {}).get("nodeSelectorTerms") or []
    if len(terms) != 1 or terms[0].get("matchExpressions"):
        return ""
    fields = terms[0].get("matchFields") or []
    if len(fields) != 1 or (fields[0].get("key"), fields[0].get("operator")) != ("metadata.name", "In"):
        return ""
    values = fields[0].get("values") or []
    return values[0] if len(values) == 1 else ""


def on_the_node(user: UserInfo, node: str) -> bool:
    """Whether the user is a service account whose token was made for a pod on this node."""
    return bool(node) and split_username(user.name) is not None and user.extra.get(NODE_NAME) == (node,)
