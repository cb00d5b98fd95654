"""What writes of resource.k8s.io need besides their object: when a taint was added, and leave for admin access."""

from __future__ import annotations

from typing import Any

from knarr.meta import errors, times
from knarr.meta.fielderrors import FieldError, forbidden
from knarr.registry.context import Request
from knarr.registry.registry import Registry
from knarr.registry.storage import Object

GROUP = "resource.k8s.io"
ADMIN_LABEL = "resource.kubernetes.io/admin-access"
_NOT_FOR_ADMINS = (
    f"admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"
)


def register(registry: Registry) -> None:
    registry.hooks[GROUP, "resourceslices"] = TaintHook(registry)
    registry.hooks[GROUP, "resourceclaims"] = AdminHook(registry, "ResourceClaim")
    registry.hooks[GROUP, "resourceclaimtemplates"] = AdminHook(registry, "ResourceClaimTemplate")


class _Hook:
    """The moments of a write in which nothing happens here."""

    def undo(self, obj: Object) -> None: ...

    def done(self, obj: Object, old: Object | None) -> None: ...

    def after_delete(self, obj: Object) -> None: ...


class TaintHook(_Hook):
    """A taint without a time was added now."""

    def __init__(self, registry: Registry) -> None:
        self._clock = registry.world.clock

    async def before_create(self, request: Request, obj: Object) -> None:
        for device in obj["spec"].get("devices") or ():
            for taint in device.get("taints") or ():
                taint.setdefault("timeAdded", times.format(self._clock.now()))

    async def before_update(self, request: Request, obj: Object, old: Object) -> None:
        await self.before_create(request, obj)


class AdminHook(_Hook):
    """Devices in use may be claimed once more for administration, where the namespace's label says so (KEP-5018)."""

    def __init__(self, registry: Registry, kind: str) -> None:
        self._registry, self._kind = registry, kind

    async def before_create(self, request: Request, obj: Object) -> None:
        spec = obj["spec"] if self._kind == "ResourceClaim" else obj["spec"].get("spec") or {}
        requests = (spec.get("devices") or {}).get("requests") or ()
        for i, wanted in enumerate(requests):
            if (wanted.get("exactly") or {}).get("adminAccess"):
                self._check(request, obj, f"spec.devices.requests[{i}].adminAccess")
                break

    async def before_update(self, request: Request, obj: Object, old: Object) -> None:
        if request.subresource != "status":
            return  # the spec does not change
        before = _results(old)
        for i, result in enumerate(_results(obj)):
            if result.get("adminAccess") and result not in before:
                self._check(request, obj, f"status.allocation.devices.results[{i}].adminAccess")
                break

    def _check(self, request: Request, obj: Object, path: str) -> None:
        namespace = self._registry.get("", "namespaces", "", request.namespace) or {"metadata": {}}
        if (namespace["metadata"].get("labels") or {}).get(ADMIN_LABEL) == "true":
            return
        found: list[FieldError] = [forbidden(path, _NOT_FOR_ADMINS)]
        raise errors.invalid(GROUP, self._kind, obj["metadata"].get("name", ""), found)


def _results(claim: Object) -> list[Any]:
    allocation = (claim.get("status") or {}).get("allocation") or {}
    return (allocation.get("devices") or {}).get("results") or []
