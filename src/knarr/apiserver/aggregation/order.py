"""In which order groups and their versions are listed: by the priorities of their APIServices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from knarr.api import catalog
from knarr.meta.versions import version_priority

Object = dict[str, Any]
#: kube-apiserver's groupPriorityMinimum of each group
GROUP_PRIORITIES = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
}
#: versionPriority where it is not 15
VERSION_PRIORITIES = {("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21}
VERSION_PRIORITY = 15
#: the aggregator's own group, which has no APIService, comes first
OWN_GROUP, OWN_PRIORITY = "apiregistration.k8s.io", 20_001
BUILT_IN_GROUPS = frozenset(group for group, _, _ in catalog.BY_GVR)
CUSTOM_GROUP_PRIORITY, CUSTOM_VERSION_PRIORITY = 1000, 100


class Ranked(NamedTuple):
    """One version of a group with what it is ordered by."""

    group: str
    version: str
    group_priority: int
    version_priority: int

    @property
    def name(self) -> str:
        """The APIService's."""
        return f"{self.version}.{self.group}"


def ranked(group: str, version: str, service: Object | None) -> Ranked:
    if service is None and group in BUILT_IN_GROUPS:
        priority = OWN_PRIORITY if group == OWN_GROUP else GROUP_PRIORITIES.get(group, CUSTOM_GROUP_PRIORITY)
        return Ranked(group, version, priority, VERSION_PRIORITIES.get((group, version), VERSION_PRIORITY))
    if service is None:
        return Ranked(group, version, CUSTOM_GROUP_PRIORITY, CUSTOM_VERSION_PRIORITY)
    spec = service["spec"]
    return Ranked(group, version, spec.get("groupPriorityMinimum") or 0, spec.get("versionPriority") or 0)


def versions(rows: Iterable[Ranked]) -> list[Ranked]:
    """A group's versions, the preferred first."""
    by_version = sorted(rows, key=lambda row: version_priority(row.version), reverse=True)
    return sorted(by_version, key=lambda row: -row.version_priority)


def grouped(rows: Iterable[Ranked], aggregated: bool = False) -> dict[str, list[str]]:
    """{group: its versions} in order. Among equals the plain list goes by the names of APIServices, the aggregated
    one by those of groups.
    """
    rows = list(rows)
    if aggregated:
        best: dict[str, int] = {}
        for row in rows:
            best[row.group] = max(best.get(row.group, 0), row.group_priority)
        names: Iterable[str] = sorted(best, key=lambda group: (-best[group], group))
    else:
        names = dict.fromkeys(
            row.group for row in sorted(rows, key=lambda row: (-row.group_priority, row.name))
        )
    return {
        name: [row.version for row in versions(row for row in rows if row.group == name)] for name in names
    }
