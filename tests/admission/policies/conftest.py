"""A registry whose admission chain is the policies', spoken to as over HTTP by users with few rights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from knarr.admission.chain import Chain
from knarr.admission.policies.access import ParameterAccess
from knarr.admission.policies.plugins import MutatingAdmissionPolicy, ValidatingAdmissionPolicy
from knarr.apiserver import requestinfo
from knarr.cluster.admission import AdmissionGate
from knarr.registry.context import Request, UserInfo
from knarr.registry.custom.establish import CustomResources
from knarr.registry.equivalents import Equivalents
from knarr.registry.result import Result

from ...registry.conftest import API, loop, run, world  # noqa: F401 (fixtures)

Object = dict[str, Any]
ROOT = UserInfo("root", groups=("system:masters",))
GROUP = "/apis/admissionregistration.k8s.io/v1"
VALIDATING, MUTATING = f"{GROUP}/validatingadmissionpolicies", f"{GROUP}/mutatingadmissionpolicies"
BINDINGS = {VALIDATING: f"{VALIDATING[:-3]}ybindings", MUTATING: f"{MUTATING[:-3]}ybindings"}
CONFIGMAPS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}


class RightsTable:
    """Allows (verb, resource or path, namespace, name) that were put in; counts what it was asked."""

    def __init__(self) -> None:
        self.allowed: set[tuple[str, ...]] = set()
        self.asked: list[Request] = []

    async def authorize(self, request: Request) -> Any:
        self.asked.append(request)
        key = request.verb, request.resource or request.path, request.namespace, request.name
        if key in self.allowed:
            return SimpleNamespace(allowed=True, reason="in the table", error="")
        return SimpleNamespace(
            allowed=False, reason="", error="table broken" if request.verb == "break" else ""
        )


class PolicyAPI(API):
    """`policy` and `mutation` make a policy with a binding; what is set of `user` writes."""

    def __init__(self, world: Any) -> None:  # noqa: F811
        super().__init__(world)
        self.rights = RightsTable()
        self.equivalents = Equivalents(self.registry)
        parts = self.registry, self.equivalents, self.rights
        self.mutating = MutatingAdmissionPolicy(*parts, world.clock)
        self.validating = ValidatingAdmissionPolicy(*parts, world.clock)
        self.chain = Chain([self.mutating, self.validating, ParameterAccess(*parts)])
        self.registry.admission = AdmissionGate(self.chain)
        self.custom = CustomResources(self.operations)
        self.custom.start()
        self.user = UserInfo("jane", "u1", ("readers",), {"team": ("blue",)})
        #: policies are written by an administrator unless this is set
        self.asks_as_user = False
        self.annotations: dict[str, str] = {}

    async def result(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: str
    ) -> Result:
        request = requestinfo.parse(method, path, query)
        request.user_agent = "tests/1.0"
        request.user = self.user if self.asks_as_user or not path.startswith(GROUP) else ROOT
        self.warnings, self.annotations = request.warnings, request.annotations
        return await self.operations.serve(request, b"" if body is None else orjson.dumps(body), content_type)

    async def namespace(self, name: str = "ns", **labels: str) -> None:
        labels = {"kubernetes.io/metadata.name": name, **labels}
        await self("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})

    async def policy(self, name: str = "p", binding: Object | None = None, **spec: Any) -> None:
        """A ValidatingAdmissionPolicy on config maps unless `matchConstraints` say otherwise, and its binding."""
        binding = {"validationActions": ["Deny"], **(binding or {})}
        await self._bound(VALIDATING, name, spec, binding)

    async def mutation(
        self, *mutations: Any, name: str = "m", binding: Object | None = None, **spec: Any
    ) -> None:
        """Texts are ApplyConfigurations, lists of one text are JSONPatches."""
        spec.setdefault("reinvocationPolicy", "Never")
        spec["mutations"] = [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": m}}
            if isinstance(m, str)
            else {"patchType": "JSONPatch", "jsonPatch": {"expression": m[0]}}
            for m in mutations
        ]
        await self._bound(MUTATING, name, spec, binding or {})

    async def _bound(self, kind: str, name: str, spec: Object, binding: Object) -> None:
        spec.setdefault("matchConstraints", rules(CONFIGMAPS))
        await self("POST", kind, {"metadata": {"name": name}, "spec": spec})
        bound = {"policyName": name, **binding}
        await self("POST", BINDINGS[kind], {"metadata": {"name": name}, "spec": bound})

    async def configmap(self, name: str = "c", namespace: str = "ns", **fields: Any) -> Object:
        """Create one; `metadata` is merged with the name."""
        metadata = {"name": name, **fields.pop("metadata", {})}
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        return await self("POST", path, {"metadata": metadata, **fields}, dryRun="All")

    async def refusal(self, name: str = "c", **fields: Any) -> str:
        """The message of the refusal of a config map, without what all of them begin with; "" if it is accepted."""
        from knarr.meta.errors import StatusError

        try:
            await self.configmap(name, **fields)
        except StatusError as error:
            return error.message.partition(" denied request: ")[2] or error.message
        return ""


def rules(*resources: Object, operations: tuple[str, ...] = ("CREATE", "UPDATE"), **more: Any) -> Object:
    """matchConstraints."""
    return {"resourceRules": [{"operations": list(operations), **r} for r in resources], **more}


def valid(*expressions: Any) -> list[Object]:
    """validations of texts or dicts."""
    return [e if isinstance(e, dict) else {"expression": e} for e in expressions]


@pytest.fixture
def api(world: Any) -> PolicyAPI:  # noqa: F811
    return PolicyAPI(world)
