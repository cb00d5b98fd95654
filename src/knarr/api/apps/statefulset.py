"""Stateful sets: pods with a name and volumes that stay."""

from __future__ import annotations

from typing import Any

from knarr.api.core.podspec.columns import AGE, CONTAINERS, IMAGES, container_cells
from knarr.api.core.podspec.defaults import default_claim_spec, default_template
from knarr.api.kind import NAME, Column, Kind, Object
from knarr.api.printing import age

_STATUS = {"replicas": 0, "availableReplicas": 0}
_KEEP = ("whenDeleted", "whenScaled")


class StatefulSet(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Ready",
            description="Number of the pod with ready state",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("podManagementPolicy", "OrderedReady")
        _default_strategy(spec.setdefault("updateStrategy", {}))
        policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        for when in _KEEP:
            policy.setdefault(when, "Retain")
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("serviceName", "")
        default_template(spec)
        for claim in spec.get("volumeClaimTemplates", ()):
            _default_claim(claim)
        status = obj.setdefault("status", {})
        for name, zero in _STATUS.items():
            status.setdefault(name, zero)
        for condition in status.get("conditions", ()):
            condition.setdefault("lastTransitionTime", None)

    def reset_status(self, obj: Object) -> None:
        obj["status"] = dict(_STATUS)

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        return [
            obj["metadata"]["name"],
            f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
            age(obj, now),
            *container_cells(spec.get("template", {})),
        ]


def _default_strategy(strategy: Object) -> None:
    """A partition is filled in where the type was, too, or where rollingUpdate was given."""
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)


def _default_claim(claim: Object) -> None:
    claim.setdefault("kind", "PersistentVolumeClaim")
    claim.setdefault("apiVersion", "v1")
    claim.setdefault("metadata", {})
    default_claim_spec(claim.setdefault("spec", {}))
    claim.setdefault("status", {}).setdefault("phase", "Pending")
