"""Who writes a policy with parameters must be allowed to read them: its messages could tell what they say.

No plugin of Kubernetes': there it is part of the kinds' validation, which does not know who asks here.
"""

from __future__ import annotations

from typing import Any, Protocol

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Object, Target
from knarr.admission.chain import Plugin
from knarr.admission.policies.source import GROUP
from knarr.meta import errors, fielderrors
from knarr.registry.context import Request, UserInfo
from knarr.registry.equivalents import Equivalents
from knarr.registry.reader import Reader

PRIVILEGED_GROUP = "system:masters"
POLICIES = frozenset({"validatingadmissionpolicies", "mutatingadmissionpolicies"})
#: bindings -> their policies
BINDINGS = {
    "validatingadmissionpolicybindings": "validatingadmissionpolicies",
    "mutatingadmissionpolicybindings": "mutatingadmissionpolicies",
}


class Authorizer(Protocol):
    """Its answers have `allowed`."""

    async def authorize(self, request: Request) -> Any: ...


class ParameterAccess(Plugin):
    name = "ParameterAccess"

    def __init__(self, reader: Reader, equivalents: Equivalents, authorizer: Authorizer) -> None:
        self._reader, self._equivalents, self._authorizer = reader, equivalents, authorizer

    def handles(self, target: Target) -> bool:
        return (
            target.group == GROUP
            and (target.resource in POLICIES or target.resource in BINDINGS)
            and not target.subresource
            and target.operation in (CREATE, UPDATE)
        )

    async def validate(self, a: Attributes) -> None:
        """Raises 422 naming the parameters that the user may not read."""
        if PRIVILEGED_GROUP in a.user.groups:
            return
        assert a.obj is not None
        spec, old = a.obj["spec"], (a.old or {}).get("spec") or {}
        if a.request.resource in POLICIES:
            kind = spec.get("paramKind")
            if kind and kind != old.get("paramKind"):
                await self._policy(a, kind)
            return
        same = ("paramRef", "policyName")
        if spec.get("paramRef") and any(spec.get(key) != old.get(key) for key in same):
            await self._binding(a, spec)

    async def _policy(self, a: Attributes, kind: Object) -> None:
        group, version, resource, _ = self._resolved(kind)
        asked = Request("get", group=group, version=version, resource=resource, namespace="*", name="*")
        if await self._may(a, asked):
            return
        shown = f"(kind={kind.get('kind', '')}, apiVersion={kind.get('apiVersion', '')})"
        why = f'must have "get" permission on all objects of the referenced paramKind {shown}'
        raise _forbidden(a, "spec.paramKind", f"user {describe(a.user)} {why}")

    async def _binding(self, a: Attributes, spec: Object) -> None:
        name, ref = spec.get("policyName", ""), spec["paramRef"]
        policy = self._reader.get(GROUP, BINDINGS[a.request.resource], "", name)
        kind = ((policy or {}).get("spec") or {}).get("paramKind")
        group, version, resource, unclear = self._resolved(kind) if kind else ("*", "*", "*", "")
        verb = "get" if ref.get("name") else "list"
        asked = Request(verb, group=group, version=version, resource=resource)
        asked.namespace, asked.name = ref.get("namespace", ""), ref.get("name", "")
        if await self._may(a, asked):
            return
        user = f'user {describe(a.user)} does not have "{verb}" permission'
        if policy is None:
            unclear = f"get policy {name}"
        if unclear:
            why = f"unable to {unclear} to determine minimum required permissions and {user} for all groups, versions and resources"
        else:
            why = f"{user} on the object referenced by paramRef"
        raise _forbidden(a, "spec.paramRef", why)

    def _resolved(self, kind: Object) -> tuple[str, str, str, str]:
        """(group, version, resource, why the resource is not known)."""
        group, _, version = kind.get("apiVersion", "").rpartition("/")
        found = self._equivalents.resource_of((group, version, kind.get("kind", "")))
        if found is not None:
            return group, version, found.name, ""
        shown = f"&{{{kind.get('apiVersion', '')} {kind.get('kind', '')}}}"
        return group, version, "*", f"resolve paramKind {shown}"

    async def _may(self, a: Attributes, asked: Request) -> bool:
        asked.user = a.user
        return (await self._authorizer.authorize(asked)).allowed


def describe(user: UserInfo) -> str:
    """As Go prints a user."""
    extra = " ".join(f"{key}:[{' '.join(values)}]" for key, values in sorted(user.extra.items()))
    return f"&{{{user.name} {user.uid} [{' '.join(user.groups)}] map[{extra}]}}"


def _forbidden(a: Attributes, path: str, why: str) -> Any:
    return errors.invalid(a.kind[0], a.kind[2], a.name, [fielderrors.forbidden(path, why)])
