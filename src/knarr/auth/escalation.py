"""Nobody grants rights that he does not hold: checks on writing roles and bindings.

`EscalationGuard` has the shape of an admission plugin and stands at the end of the mutating ones, where Kubernetes has
its policy-based storage: after admission, before validation.
"""

from __future__ import annotations

from typing import Any

from knarr.auth import rules
from knarr.auth.authorize import PRIVILEGED_GROUP, Authorizers
from knarr.auth.rbac import GROUP, RBAC
from knarr.meta import errors
from knarr.meta.fielderrors import aggregate
from knarr.meta.gofmt import quote
from knarr.registry.context import Request

RESOURCES = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})
FULL_AUTHORITY: list[rules.Rule] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]
#: changes of these alone grant nothing: the garbage collector must be able to make them
COLLECTION_FIELDS = ("ownerReferences", "finalizers", "managedFields", "resourceVersion")


class EscalationGuard:
    name = "RBACEscalation"

    def __init__(self, rbac: RBAC, authorizers: Authorizers) -> None:
        self._rbac = rbac
        self._authorizers = authorizers

    def handles(self, target: Any) -> bool:
        return (
            target.group == GROUP
            and target.resource in RESOURCES
            and not target.subresource
            and target.operation in ("CREATE", "UPDATE")
        )

    async def admit(self, attributes: Any) -> None:
        """Raises 403 naming the rights that are not held, 404 for a binding to a role that does not exist."""
        request, obj, old = attributes.request, attributes.obj, attributes.old
        if PRIVILEGED_GROUP in request.user.groups:
            return
        if old is not None and _collection_only(obj, old):
            return
        if request.resource in ("roles", "clusterroles"):
            await self._check_role(request, obj, old)
        else:
            await self._check_binding(request, obj)

    async def _check_role(self, request: Request, role: dict[str, Any], old: dict[str, Any] | None) -> None:
        if await self._may(request, "escalate", request.resource, request.name):
            return
        name = role["metadata"].get("name", "")
        aggregated = "aggregationRule" in role or (old is not None and "aggregationRule" in old)
        if aggregated and self._missing(request, FULL_AUTHORITY):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise errors.forbidden(GROUP, request.resource, name, why)
        self._confirm(request, name, role.get("rules") or [])

    async def _check_binding(self, request: Request, binding: dict[str, Any]) -> None:
        reference = binding.get("roleRef") or {}
        kind, role = reference.get("kind", ""), reference.get("name", "")
        resource = {"Role": "roles", "ClusterRole": "clusterroles"}.get(kind)
        if resource is None:
            return  # validation says that there is no such kind of role
        if await self._may(request, "bind", resource, role):
            return
        granted = self._rbac.role_rules(kind, role, request.namespace)
        if granted is None:
            raise errors.not_found(GROUP, request.resource, role)
        self._confirm(request, binding["metadata"].get("name", ""), granted)

    async def _may(self, request: Request, verb: str, resource: str, name: str) -> bool:
        question = Request(
            verb,
            group=GROUP,
            version="*",
            resource=resource,
            namespace=request.namespace,
            name=name,
            user=request.user,
        )
        return (await self._authorizers.authorize(question)).allowed

    def _missing(self, request: Request, wanted: list[rules.Rule]) -> list[rules.Rule]:
        held, _ = self._rbac.rules_for(request.user, request.namespace)
        return rules.uncovered(held, wanted)

    def _confirm(self, request: Request, name: str, wanted: list[rules.Rule]) -> None:
        held, faults = self._rbac.rules_for(request.user, request.namespace)
        missing = rules.uncovered(held, wanted)
        if not missing:
            return
        user = request.user
        groups = " ".join(map(quote, user.groups))
        rights = "\n".join(sorted({rules.describe(r) for r in rules.compact(missing)}))
        why = (
            f"user {quote(user.name)} (groups=[{groups}]) is attempting to grant RBAC permissions "
            f"not currently held:\n{rights}"
        )
        if faults:
            why += f"; resolution errors: [{aggregate(faults)}]"
        raise errors.forbidden(GROUP, request.resource, name, why)


def _collection_only(obj: dict[str, Any], old: dict[str, Any]) -> bool:
    return _without(obj) == _without(old)


def _without(obj: dict[str, Any]) -> dict[str, Any]:
    return obj | {"metadata": {k: v for k, v in obj["metadata"].items() if k not in COLLECTION_FIELDS}}
