"""Pods."""

from __future__ import annotations

from typing import Any, ClassVar

from knarr.api.core import podephemeral, podresize, podtable, podupdate
from knarr.api.core.podspec import defaults, qos, warnings
from knarr.api.core.podspec.annotations import validate_fields_match
from knarr.api.core.podspec.apparmor import take_over_annotations
from knarr.api.core.podspec.gates import drop_disabled_status
from knarr.api.core.podspec.matchkeys import merge_match_label_keys
from knarr.api.core.podspec.validate import validate_pod
from knarr.api.core.podstatus import default_status, validate_status_update
from knarr.api.kind import Kind, Object
from knarr.meta.fielderrors import FieldError, forbidden

GATED = "Scheduling is blocked due to non-empty scheduling gates"


class Pod(Kind):
    pod_spec_path = ("spec",)
    tracks_generation = True
    graceful = True
    columns = podtable.COLUMNS
    #: what the first clients of v1 sent
    field_aliases = {"spec.host": "spec.nodeName"}
    subresource_rules: ClassVar[dict[str, tuple[str, str]]] = {
        "ephemeralcontainers": ("prepare_for_ephemeral_update", "validate_ephemeral_update"),
        "resize": ("prepare_for_resize", "validate_resize"),
    }

    # -- create

    def default(self, obj: Object) -> None:
        defaults.default_pod(obj)
        default_status(obj.setdefault("status", {}))

    def prepare_for_create(self, obj: Object) -> list[str]:
        metadata, spec = obj["metadata"], obj["spec"]
        metadata["generation"] = 1
        self._drop_disabled(obj, None)
        self.reset_status(obj)
        defaults.mirror_service_account(spec)
        if spec.get("terminationGracePeriodSeconds", 0) < 0:
            spec["terminationGracePeriodSeconds"] = 1
        merge_match_label_keys(spec, metadata.get("labels") or {})
        return take_over_annotations(metadata, spec)

    def reset_status(self, obj: Object) -> None:
        status: Object = {"phase": "Pending"}
        if obj["spec"].get("schedulingGates"):
            status["conditions"] = [gated_condition(obj["metadata"].get("creationTimestamp"))]
        status["qosClass"] = qos.qos_class(obj["spec"])
        obj["status"] = status

    def validate(self, obj: Object) -> list[FieldError]:
        errors = validate_pod(obj)
        spec = obj["spec"]
        if spec.get("ephemeralContainers"):
            errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
        if spec.get("nodeName") and spec.get("schedulingGates"):
            message = "cannot be set until all schedulingGates have been cleared"
            errors.append(forbidden("spec.nodeName", message))
        annotations = obj["metadata"].get("annotations")
        if annotations:
            validate_fields_match(annotations, spec, "spec", errors)
        return errors

    def warnings_on_create(self, obj: Object) -> list[str]:
        return warnings.for_pod(obj)

    # -- update

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        defaults.mirror_service_account(obj["spec"])
        super().prepare_for_update(obj, old)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return podupdate.validate_update(obj, old)

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        # nobody looks at them: what changes pods is mostly controllers and kubelets
        return []

    def prepare_for_ephemeral_update(self, obj: Object, old: Object) -> None:
        podephemeral.take_over_ephemeral_containers(obj, old)
        self._keep_all_but_spec(obj, old)

    def validate_ephemeral_update(self, obj: Object, old: Object) -> list[FieldError]:
        return podephemeral.validate_ephemeral_update(obj, old)

    def prepare_for_resize(self, obj: Object, old: Object) -> None:
        podresize.take_over_resources(obj, old)
        self._keep_all_but_spec(obj, old)

    def validate_resize(self, obj: Object, old: Object) -> list[FieldError]:
        return podresize.validate_resize(obj, old)

    def _keep_all_but_spec(self, obj: Object, old: Object) -> None:
        managed = obj["metadata"].get("managedFields")
        obj["metadata"] = {**old["metadata"]}
        if managed is not None:
            obj["metadata"]["managedFields"] = managed
        self.keep(obj, old, "status")
        self.count_generation(obj, old)

    # -- status

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
        drop_disabled_status(status, previous)

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        fields = super().reset_fields(subresource)
        if subresource != "status":
            return fields
        return (*fields, ("metadata", "deletionTimestamp"), ("metadata", "ownerReferences"))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_status_update(obj, old)

    def warnings_on_status_update(self, obj: Object, old: Object) -> list[str]:
        return warnings.for_pod_status(obj.get("status", {}))

    # -- deletion

    def grace_period(self, obj: Object, asked: int | None) -> int:
        """The request's, else the pod's; none for pods on no node or done with their work."""
        spec, status = obj["spec"], obj.get("status", {})
        if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
            return 0
        period = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 0)
        return period if period >= 0 else 1

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
    # by type and in order: nothing forbids two conditions of one type
    known: dict[str, list[int]] = {}
    for condition in previous.get("conditions", ()):
        known.setdefault(condition.get("type", ""), []).append(condition.get("observedGeneration", 0))
    for condition in status.get("conditions", ()):
        before = known.get(condition.get("type", ""))
        generation = before.pop(0) if before else 0
        if not condition.get("observedGeneration") and generation:
            condition["observedGeneration"] = generation
