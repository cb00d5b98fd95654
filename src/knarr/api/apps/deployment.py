"""Deployments: replica sets, one after the other."""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import (
    amount,
    at_most,
    immutable,
    non_negative,
    printed_strategy,
    validate_selector,
)
from knarr.api.core.podspec import warnings
from knarr.api.core.podspec.columns import CONTAINERS, IMAGES, container_cells, format_selector
from knarr.api.core.podspec.defaults import default_template
from knarr.api.core.podspec.paths import Errors
from knarr.api.core.podspec.template import validate_for_replicas
from knarr.api.decoding import DecodeError
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import age
from knarr.meta import intstr
from knarr.meta.fielderrors import FieldError, forbidden, invalid, not_supported, required
from knarr.meta.strconv import parse_int64

ROLLBACK_TO = "deprecated.deployment.rollback.to"


class Deployment(Kind):
    pod_spec_path = ("spec", "template", "spec")
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Ready",
            description="Number of the pod with ready state",
        ),
        Column("Up-to-date", doc="apps.v1.DeploymentStatus.updatedReplicas"),
        Column("Available", doc="apps.v1.DeploymentStatus.availableReplicas"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", doc="apps.v1.DeploymentSpec.selector", priority=1),
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
        _read_rollback(obj)

    def count_generation(self, obj: Object, old: Object) -> None:
        """Annotations count too: a rollback to an older revision was once asked for by one."""
        super().count_generation(obj, old)
        if obj["spec"] == old["spec"]:
            if (obj["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {}):
                obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        super().prepare_for_status_update(obj, old)
        self.keep(obj["metadata"], old["metadata"], "labels")

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        fields = super().reset_fields(subresource)
        return (*fields, ("metadata", "labels")) if subresource == "status" else fields

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        errors: list[FieldError] = []
        non_negative(spec, "spec", errors, "replicas")
        validate_selector(spec, "deployment", "spec.selector", errors)
        validate_for_replicas(spec, errors)
        _validate_strategy(spec.get("strategy", {}), "spec.strategy", errors)
        non_negative(spec, "spec", errors, "minReadySeconds", "revisionHistoryLimit")
        revision = (obj["metadata"].get("annotations") or {}).get(ROLLBACK_TO, "")
        if revision.startswith("-"):
            message = "must be greater than or equal to 0"
            errors.append(invalid("spec.rollback.version", parse_int64(revision), message))
        non_negative(spec, "spec", errors, "progressDeadlineSeconds")
        deadline = spec.get("progressDeadlineSeconds")
        if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
            message = "must be greater than minReadySeconds"
            errors.append(invalid("spec.progressDeadlineSeconds", deadline, message))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = self.validate(obj)
        immutable(obj["spec"], old["spec"], "selector", errors)
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _validate_status(obj.get("status", {}), old.get("status", {}))

    def warnings_on_create(self, obj: Object) -> list[str]:
        found = warnings.for_owner_name(obj["metadata"].get("name", ""))
        return found + warnings.for_template(obj["spec"]["template"], "spec.template")

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        return warnings.for_update(obj, old, obj["spec"]["template"], "spec.template")

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


def _read_rollback(obj: Object) -> None:
    """The revision to go back to was a field once, a number still. Raises DecodeError."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    if ROLLBACK_TO not in annotations:
        return
    text = annotations[ROLLBACK_TO]
    if not text:
        rest = {name: text for name, text in annotations.items() if name != ROLLBACK_TO}
        obj["metadata"] = {key: value for key, value in metadata.items() if key != "annotations"}
        if rest:
            obj["metadata"]["annotations"] = rest
        return
    try:
        revision = parse_int64(text)
    except ValueError as error:
        raise DecodeError(f"failed to parse annotation[{ROLLBACK_TO}]={text} as int64: {error}") from None
    metadata["annotations"] = {**annotations, ROLLBACK_TO: str(revision)}


def _default_strategy(strategy: Object) -> None:
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _validate_strategy(strategy: Object, path: str, errors: Errors) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            message = "may not be specified when strategy `type` is 'Recreate'"
            errors.append(forbidden(f"{path}.rollingUpdate", message))
    elif kind != "RollingUpdate":
        errors.append(not_supported(path, printed_strategy(kind, rolling), ("Recreate", "RollingUpdate")))
    elif rolling is None:
        errors.append(required(f"{path}.rollingUpdate", "this should be defaulted and never be nil"))
    else:
        _validate_rolling_update(rolling, f"{path}.rollingUpdate", errors)


def _validate_rolling_update(rolling: Object, path: str, errors: Errors) -> None:
    surge, unavailable = rolling.get("maxSurge", 0), rolling.get("maxUnavailable", 0)
    for field, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        errors += intstr.validate_positive_int_or_percent(value, f"{path}.{field}")
    if not amount(surge) and not amount(unavailable):
        message = "may not be 0 when `maxSurge` is 0"
        errors.append(invalid(f"{path}.maxUnavailable", unavailable, message))
    errors += intstr.validate_not_more_than_100_percent(unavailable, f"{path}.maxUnavailable")


_COUNTS = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
)


def _validate_status(status: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    non_negative(status, "status", errors, *_COUNTS)
    if "collisionCount" in status:
        non_negative(status, "status", errors, "collisionCount")
    for field in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        at_most(status, field, "replicas", "cannot be greater than status.replicas", errors)
    at_most(status, "availableReplicas", "readyReplicas", "cannot be greater than readyReplicas", errors)
    before, now = old.get("collisionCount"), status.get("collisionCount")
    if before is not None:
        # a lower count would let a new replica set take the name of an old one
        if now is None or now < before:
            errors.append(invalid("status.collisionCount", now or 0, "cannot be decremented"))
    return errors
