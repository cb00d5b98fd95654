"""The API's classes by group and version: `from knarr.api.types import core_v1, apps_v1`; then `core_v1.Pod`.

A class is built when its name is first used.
"""

from __future__ import annotations

from typing import Any

from knarr.api import schema
from knarr.api.scheme import scheme


class Group:
    """The classes of one package of the schema."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __getattr__(self, name: str) -> Any:
        definition = f"{self._package}.{name}"
        if name.startswith("_") or definition not in schema.load():
            raise AttributeError(f"{self._package} has no {name}")
        cls = scheme().type(definition)
        setattr(self, name, cls)
        return cls

    def __dir__(self) -> list[str]:
        prefix = self._package + "."
        return sorted(name.removeprefix(prefix) for name in schema.load() if name.startswith(prefix))


def _api(name: str) -> Group:
    return Group("io.k8s.api." + name)


admission_v1 = _api("admission.v1")
admissionregistration_v1 = _api("admissionregistration.v1")
apidiscovery_v2 = _api("apidiscovery.v2")
apps_v1 = _api("apps.v1")
authentication_v1 = _api("authentication.v1")
authorization_v1 = _api("authorization.v1")
autoscaling_v1 = _api("autoscaling.v1")
autoscaling_v2 = _api("autoscaling.v2")
batch_v1 = _api("batch.v1")
certificates_v1 = _api("certificates.v1")
coordination_v1 = _api("coordination.v1")
core_v1 = _api("core.v1")
discovery_v1 = _api("discovery.v1")
events_v1 = _api("events.v1")
flowcontrol_v1 = _api("flowcontrol.v1")
networking_v1 = _api("networking.v1")
node_v1 = _api("node.v1")
policy_v1 = _api("policy.v1")
rbac_v1 = _api("rbac.v1")
resource_v1 = _api("resource.v1")
scheduling_v1 = _api("scheduling.v1")
storage_v1 = _api("storage.v1")
meta_v1 = Group(schema.META.rstrip("."))
apiextensions_v1 = Group(schema.EXT.rstrip("."))
apiregistration_v1 = Group(schema.PREFIXES["%"] + "apiregistration.v1")
