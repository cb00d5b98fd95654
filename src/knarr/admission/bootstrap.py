"""The namespaces and priority classes of a new cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
#: name: value, description
PRIORITY_CLASSES = {
    "system-cluster-critical": (
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    "system-node-critical": (
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
}


def bootstrap_objects() -> Iterator[tuple[str, str, Object]]:
    """(group, resource, object); new dicts each time, without uid and times."""
    for name in NAMESPACES:
        metadata = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
        head = {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata}
        yield "", "namespaces", head | {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    group = "scheduling.k8s.io"
    for name, (value, description) in PRIORITY_CLASSES.items():
        head = {
            "kind": "PriorityClass",
            "apiVersion": f"{group}/v1",
            "metadata": {"name": name, "generation": 1},
        }
        policy = {"preemptionPolicy": "PreemptLowerPriority"}
        yield group, "priorityclasses", head | {"value": value, "description": description} | policy
