"""Replication controllers, the first way to keep a number of pods."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.columns import AGE, CONTAINERS, IMAGES, container_cells
from knarr.api.core.podspec.defaults import default_template
from knarr.api.kind import NAME, Column, Kind, Object
from knarr.api.printing import age, format_labels


class ReplicationController(Kind):
    tracks_generation = True
    orphans_by_default = True
    columns = (
        NAME,
        Column(
            "Desired",
            "integer",
            description="Replicas is the number of desired replicas. This is a pointer to distinguish between"
            " explicit zero and unspecified. Defaults to 1. More info:"
            " https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller#what-is-a-replicationcontroller",
        ),
        Column(
            "Current",
            "integer",
            description="Replicas is the most recently observed number of replicas. More info:"
            " https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller#what-is-a-replicationcontroller",
        ),
        Column(
            "Ready",
            "integer",
            description="The number of ready replicas for this replication controller.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column(
            "Selector",
            description="Selector is a label query over pods that should match the Replicas count. If Selector is"
            " empty, it is defaulted to the labels present on the Pod template. Label keys and values that"
            " must match in order to be controlled by this replication controller, if empty defaulted to"
            " labels on Pod template. More info:"
            " https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
            priority=1,
        ),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        if "template" in spec:
            default_template(spec)
            labels = spec["template"]["metadata"].get("labels")
            if labels:
                if not spec.get("selector"):
                    spec["selector"] = dict(labels)
                if not obj.setdefault("metadata", {}).get("labels"):
                    obj["metadata"]["labels"] = dict(labels)
        obj.setdefault("status", {}).setdefault("replicas", 0)

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"replicas": 0}

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.replicas": str(obj.get("status", {}).get("replicas", 0))}

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        return [
            obj["metadata"]["name"],
            spec.get("replicas", 0),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
            age(obj, now),
            *container_cells(spec.get("template", {})),
            format_labels(spec.get("selector")),
        ]
