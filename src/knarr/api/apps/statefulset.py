"""Stateful sets: pods with a name and volumes that stay."""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import amount, at_most, non_negative, validate_selector
from knarr.api.core.podspec import warnings
from knarr.api.core.podspec.columns import CONTAINERS, IMAGES, container_cells
from knarr.api.core.podspec.defaults import default_claim_spec, default_template
from knarr.api.core.podspec.paths import Errors, add
from knarr.api.core.podspec.template import matches, mismatch, printed_selector, validate_template
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import age
from knarr.meta import intstr, names
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required

_STATUS = {"replicas": 0, "availableReplicas": 0}
_KEEP = ("whenDeleted", "whenScaled")
#: what an update may change, and the words for it
_CHANGEABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_ONLY = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


class StatefulSet(Kind):
    #: its pods' names are made of it
    validate_name = staticmethod(names.is_dns1123_label)
    pod_spec_path = ("spec", "template", "spec")
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

    def _drop_disabled(self, obj: Object, old: Object | None) -> None:
        super()._drop_disabled(obj, old)
        # v1.36 has closed the gate MaxUnavailableStatefulSet again
        if "maxUnavailable" not in _rolling(old or {}):
            _rolling(obj).pop("maxUnavailable", None)

    def validate(self, obj: Object) -> list[FieldError]:
        return _validate_spec(obj["spec"], creating=True)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = _validate_spec(obj["spec"], creating=False)
        spec, before = obj["spec"], old["spec"]
        if any(spec.get(f) != before.get(f) for f in set(spec) | set(before) if f not in _CHANGEABLE):
            errors.append(forbidden("spec", _ONLY))
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _validate_status(obj.get("status", {}), old.get("status", {}))

    def warnings_on_create(self, obj: Object) -> list[str]:
        found = warnings.for_template(obj["spec"]["template"], "spec.template")
        return found + _spec_warnings(obj["spec"], "")

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        found = warnings.for_update(obj, old, obj["spec"]["template"], "spec.template")
        return found + _spec_warnings(obj["spec"], ".Spec")

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
    claim["kind"], claim["apiVersion"] = "PersistentVolumeClaim", "v1"
    claim.setdefault("metadata", {})
    default_claim_spec(claim.setdefault("spec", {}))
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def _claim_errors(spec: Object) -> list[FieldError]:
    """Of their specs; their names show as those of the volumes they become."""
    from knarr.api.core.persistentvolumeclaim import spec_errors

    return [
        error
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ())
        for error in spec_errors(claim.get("spec", {}), f"spec.volumeClaimTemplates[{index}].spec")
    ]


def _rolling(obj: Object) -> Object:
    return (obj.get("spec", {}).get("updateStrategy") or {}).get("rollingUpdate") or {}


def _spec_warnings(spec: Object, claim_spec: str) -> list[str]:
    """All but the template's; Kubernetes has its own ideas of where a claim's spec is."""
    from knarr.api.core.persistentvolumeclaim import spec_warnings

    found = [
        text
        for index, claim in enumerate(spec.get("volumeClaimTemplates", ()))
        for text in spec_warnings(claim.get("spec", {}), f"spec.volumeClaimTemplates[{index}]{claim_spec}")
    ]
    if spec.get("revisionHistoryLimit", 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {text}")
    return found


def _validate_spec(spec: Object, creating: bool) -> list[FieldError]:
    """What can only be wrong from the beginning, because it never changes, is not judged again."""
    errors: list[FieldError] = []
    policy = spec.get("podManagementPolicy", "")
    if policy not in ("OrderedReady", "Parallel"):
        message = "must be 'OrderedReady' or 'Parallel'"
        errors.append(invalid("spec.podManagementPolicy", policy, message))
    _validate_strategy(spec.get("updateStrategy", {}), "spec.updateStrategy", errors)
    keep = spec.get("persistentVolumeClaimRetentionPolicy", {})
    for when in _KEEP:
        if keep.get(when) not in ("Retain", "Delete"):
            path = f"spec.persistentVolumeClaimRetentionPolicy.{when}"
            errors.append(not_supported(path, keep.get(when, ""), ("Retain", "Delete")))
    if creating:
        errors += _claim_errors(spec)
    non_negative(spec, "spec", errors, "replicas", "minReadySeconds")
    if "ordinals" in spec:
        non_negative(spec["ordinals"], "spec.ordinals", errors, "start")
    service = spec.get("serviceName")
    if service and creating:
        add(errors, "spec.serviceName", service, names.is_dns1123_label(service))
    validate_selector(spec, "statefulset", "spec.selector", errors)
    template = spec.get("template", {})
    selects = matches(spec.get("selector"), template)
    if selects is None:
        errors.append(invalid("spec.selector", printed_selector(spec["selector"]), ""))
        return errors
    if not selects:
        errors.append(mismatch(template, "spec.template"))
    validate_template(_with_claims(template, spec), "spec.template", errors)
    restart = template.get("spec", {}).get("restartPolicy", "")
    if restart != "Always":
        errors.append(not_supported("spec.template.spec.restartPolicy", restart, ("Always",)))
    if "activeDeadlineSeconds" in template.get("spec", ()):
        message = "activeDeadlineSeconds in StatefulSet is not Supported"
        errors.append(forbidden("spec.template.spec.activeDeadlineSeconds", message))
    return errors


def _with_claims(template: Object, spec: Object) -> Object:
    """The template as its pods will be: each claim is a volume, too, and takes the place of one of its name."""
    pod = template.get("spec") or {}
    volumes = pod.get("volumes") or []
    known = {volume.get("name") for volume in volumes}
    claims = (claim.get("metadata", {}).get("name", "") for claim in spec.get("volumeClaimTemplates") or ())
    added = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}}
        for name in dict.fromkeys(claims)
        if name not in known
    ]
    return {**template, "spec": {**pod, "volumes": [*volumes, *added]}} if added else template


def _validate_strategy(strategy: Object, path: str, errors: Errors) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        errors.append(required(path))
    elif kind == "OnDelete":
        if rolling is not None:
            message = "only allowed for updateStrategy 'RollingUpdate'"
            errors.append(invalid(f"{path}.rollingUpdate", _printed(rolling), message))
    elif kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": None if rolling is None else _printed(rolling)}
        errors.append(invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'"))
    elif rolling is not None:
        non_negative(rolling, f"{path}.rollingUpdate", errors, "partition")
        if "maxUnavailable" in rolling:
            _validate_max_unavailable(
                rolling["maxUnavailable"], f"{path}.rollingUpdate.maxUnavailable", errors
            )


def _validate_max_unavailable(value: int | str, path: str, errors: Errors) -> None:
    errors += intstr.validate_positive_int_or_percent(value, path)
    if amount(value) == 0:
        errors.append(invalid(path, value, "cannot be 0"))
    errors += intstr.validate_not_more_than_100_percent(value, path)


def _printed(rolling: Object) -> Object:
    return {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}


_COUNTS = (
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
)


def _validate_status(status: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    non_negative(status, "status", errors, *_COUNTS)
    for field in ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"):
        at_most(status, field, "replicas", "cannot be greater than status.replicas", errors)
    at_most(
        status, "availableReplicas", "readyReplicas", "cannot be greater than status.readyReplicas", errors
    )
    if old.get("collisionCount", 0) > status.get("collisionCount", 0):
        message = "cannot be decremented"
        errors.append(invalid("status.collisionCount", status.get("collisionCount", 0), message))
    return errors
