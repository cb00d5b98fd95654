"""Deployments: replica sets, one after the other."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.columns import AGE, CONTAINERS, IMAGES, container_cells, format_selector
from knarr.api.core.podspec.defaults import default_template
from knarr.api.kind import NAME, Column, Kind, Object
from knarr.api.printing import age


class Deployment(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Ready",
            description="Number of the pod with ready state",
        ),
        Column(
            "Up-to-date",
            description="Total number of non-terminating pods targeted by this deployment that have the desired"
            " template spec.",
        ),
        Column(
            "Available",
            description="Total number of available non-terminating pods (ready for at least minReadySeconds) targeted"
            " by this deployment.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column(
            "Selector",
            description="Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the"
            " ones affected by this deployment. It must match the pod template's labels.",
            priority=1,
        ),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)
        _default_strategy(spec.setdefault("strategy", {}))
        default_template(spec)
        for condition in obj.setdefault("status", {}).get("conditions", ()):
            condition.setdefault("lastUpdateTime", None)
            condition.setdefault("lastTransitionTime", None)

    def count_generation(self, obj: Object, old: Object) -> None:
        """Annotations count too: a rollback to an older revision was once asked for by one."""
        super().count_generation(obj, old)
        if obj["spec"] == old["spec"]:
            if (obj["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {}):
                obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        return [
            obj["metadata"]["name"],
            f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
            status.get("updatedReplicas", 0),
            status.get("availableReplicas", 0),
            age(obj, now),
            *container_cells(spec.get("template", {})),
            format_selector(spec.get("selector")),
        ]


def _default_strategy(strategy: Object) -> None:
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
