"""Pods."""

from __future__ import annotations

from typing import Any, ClassVar

from knarr.api.core import podtable
from knarr.api.core.podspec import defaults, qos
from knarr.api.core.podspec.apparmor import sync_apparmor
from knarr.api.core.podspec.matchkeys import merge_match_label_keys
from knarr.api.core.podstatus import default_status
from knarr.api.kind import Kind, Object

GATED = "Scheduling is blocked due to non-empty scheduling gates"


class Pod(Kind):
    tracks_generation = True
    graceful = True
    columns = podtable.COLUMNS
    subresource_rules: ClassVar[dict[str, tuple[str, str]]] = {
        "ephemeralcontainers": ("prepare_for_ephemeral_update", "validate_ephemeral_update"),
        "resize": ("prepare_for_resize", "validate_resize"),
    }

    # -- create

    def default(self, obj: Object) -> None:
        defaults.default_pod(obj)
        default_status(obj.setdefault("status", {}))

    def prepare_for_create(self, obj: Object) -> None:
        metadata, spec = obj["metadata"], obj["spec"]
        metadata["generation"] = 1
        self.reset_status(obj)
        defaults.mirror_service_account(spec)
        if spec.get("terminationGracePeriodSeconds", 0) < 0:
            spec["terminationGracePeriodSeconds"] = 1
        merge_match_label_keys(spec, metadata.get("labels") or {})
        sync_apparmor(metadata, spec)

    def reset_status(self, obj: Object) -> None:
        status: Object = {"phase": "Pending"}
        if obj["spec"].get("schedulingGates"):
            status["conditions"] = [gated_condition(obj["metadata"].get("creationTimestamp"))]
        status["qosClass"] = qos.qos_class(obj["spec"])
        obj["status"] = status

    # -- update

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        defaults.mirror_service_account(obj["spec"])
        super().prepare_for_update(obj, old)

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        self.keep(obj, old, "spec")
        metadata = obj["metadata"]
        metadata.pop("deletionTimestamp", None)
        # old kubelets wrote owner references back in a form that had lost fields
        self.keep(metadata, old["metadata"], "ownerReferences")
        self.keep(metadata, old["metadata"], "deletionTimestamp")
        status, previous = obj.setdefault("status", {}), old.get("status", {})
        if "qosClass" in previous:
            status.setdefault("qosClass", previous["qosClass"])
        _keep_observed_generation(status, previous)

    # -- reading

    def fields(self, obj: Object) -> dict[str, str]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        ips = status.get("podIPs")
        return {
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.restartPolicy": spec.get("restartPolicy", ""),
            "spec.schedulerName": spec.get("schedulerName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase", ""),
            "status.podIP": ips[0].get("ip", "") if ips else "",
            # accepted in selectors, but never filled in by Kubernetes either
            "status.podIPs": "",
            "status.nominatedNodeName": status.get("nominatedNodeName", ""),
        }

    def cells(self, obj: Object, now: float) -> list[Any]:
        return podtable.cells(obj, now)

    def row_conditions(self, obj: Object) -> list[Object]:
        """What a table row says beside its cells: that the pod is done."""
        return podtable.CONDITIONS.get(obj.get("status", {}).get("phase", ""), [])


def gated_condition(when: str | None) -> Object:
    """Only a pod without gates is given to the scheduler."""
    return {
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": when,
        "reason": "SchedulingGated",
        "message": GATED,
    }


def _keep_observed_generation(status: Object, previous: Object) -> None:
    """Writers that do not know observedGeneration must not erase it."""
    if "observedGeneration" in previous:
        status.setdefault("observedGeneration", previous["observedGeneration"])
    known = {c.get("type"): c.get("observedGeneration") for c in previous.get("conditions", ())}
    for condition in status.get("conditions", ()):
        if not condition.get("observedGeneration") and known.get(condition.get("type")):
            condition["observedGeneration"] = known[condition["type"]]
