"""The APIServices of built-in groups: one per version, as the aggregator registers them when it starts."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.api.resources import RESOURCES
from knarr.registry.storage import Object

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
LABELS = {"kube-aggregator.kubernetes.io/automanaged": "onstart"}


def objects() -> Iterator[tuple[str, str, Object]]:
    """(group, resource, object)."""
    for group, version in dict.fromkeys((row.group, row.version) for row in RESOURCES):
        if group not in GROUP_PRIORITIES:
            continue  # apiregistration.k8s.io: the aggregator does not register itself
        spec: Object = {
            "version": version,
            "groupPriorityMinimum": GROUP_PRIORITIES[group],
            "versionPriority": VERSION_PRIORITIES.get((group, version), VERSION_PRIORITY),
        }
        if group:
            spec["group"] = group
        yield (
            "apiregistration.k8s.io",
            "apiservices",
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{version}.{group}", "labels": dict(LABELS)},
                "spec": spec,
            },
        )
