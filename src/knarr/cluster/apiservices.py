"""The APIServices of built-in groups: one per version, as the aggregator registers them when it starts."""

from __future__ import annotations

from collections.abc import Iterator

from knarr.api.resources import RESOURCES
from knarr.apiserver.aggregation.order import GROUP_PRIORITIES, VERSION_PRIORITIES, VERSION_PRIORITY
from knarr.registry.storage import Object

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
