"""Jobs: pods that run until enough of them have succeeded."""

from __future__ import annotations

from typing import Any

from knarr.api.batch.jobstatus import validate_status_update
from knarr.api.batch.jobupdate import validate_spec_update
from knarr.api.batch.jobvalidation import (
    CONTROLLER_UID,
    JOB_NAME,
    validate_generated_selector,
    validate_spec,
)
from knarr.api.core.podspec import warnings
from knarr.api.core.podspec.columns import CONTAINERS, IMAGES, container_cells, format_selector
from knarr.api.core.podspec.defaults import default_template
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import age
from knarr.meta import names, times
from knarr.meta.fielderrors import FieldError, invalid

MAX_INT32 = 2**31 - 1
_TOO_MANY = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes"
    " might not be able to track completedIndexes when a big number of indexes fail"
)
#: a job's STATUS is the first of these conditions that holds; None asks whether it is being deleted
_STATUS_ORDER = ("Complete", "Failed", None, "Suspended", "FailureTarget", "SuccessCriteriaMet")


class Job(Kind):
    pod_spec_path = ("spec", "template", "spec")
    tracks_generation = True
    orphans_by_default = True
    #: told to who deletes a job without saying what shall become of its pods
    orphan_warning = (
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them"
        " or set propagationPolicy=Orphan to suppress this warning"
    )
    columns = (
        NAME,
        Column(
            "Status",
            description="Status of the job.",
        ),
        Column("Completions", doc="batch.v1.JobStatus.succeeded"),
        Column(
            "Duration",
            description="Time required to complete the job.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", doc="batch.v1.JobSpec.selector", priority=1),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if "completions" not in spec and "parallelism" not in spec:
            spec["completions"] = 1
        spec.setdefault("parallelism", 1)
        spec.setdefault("backoffLimit", MAX_INT32 if "backoffLimitPerIndex" in spec else 6)
        spec.setdefault("completionMode", "NonIndexed")
        spec.setdefault("suspend", False)
        spec.setdefault("manualSelector", False)
        spec.setdefault(
            "podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
        )
        default_job_spec(spec)
        self._inherit_labels(obj)
        for condition in obj.setdefault("status", {}).get("conditions", ()):
            condition.setdefault("lastProbeTime", None)
            condition.setdefault("lastTransitionTime", None)

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        if not obj["spec"].get("manualSelector"):
            _generate_selector(obj)
        self._inherit_labels(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        errors: list[FieldError] = []
        validate_generated_selector(obj, errors)
        validate_spec(obj["spec"], errors)
        _validate_pod_names(obj, errors)
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        # Kubernetes validates the spec as a new one and then again as an update of the old one
        errors = self.validate(obj)
        validate_spec_update(obj["spec"], old["spec"], old.get("status", {}), errors)
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_status_update(obj, old)

    def warnings_on_create(self, obj: Object) -> list[str]:
        found = warnings.for_owner_name(obj["metadata"].get("name", ""))
        return found + spec_warnings(obj["spec"], "spec")

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        return spec_warnings(obj["spec"], "spec") if warnings.is_changed(obj, old) else []

    @staticmethod
    def _inherit_labels(obj: Object) -> None:
        labels = obj["spec"]["template"]["metadata"].get("labels")
        if labels and not obj.setdefault("metadata", {}).get("labels"):
            obj["metadata"]["labels"] = dict(labels)

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.successful": str(obj.get("status", {}).get("succeeded", 0))}

    def unsupported_field(self, field: str) -> str:
        return f'field label "{field}" not supported for Job'

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        return [
            obj["metadata"]["name"],
            _shown_status(obj),
            _shown_completions(spec, status),
            _shown_duration(status, now),
            age(obj, now),
            *container_cells(spec.get("template", {})),
            format_selector(spec.get("selector")),
        ]


def default_job_spec(spec: Object) -> None:
    """What jobs and the templates of cron jobs share."""
    default_template(spec)
    for rule in spec.get("podFailurePolicy", {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            if not pattern.get("status"):
                pattern["status"] = "True"


def _generate_selector(obj: Object) -> None:
    """Labels that only this job's pods have, and the selector for them; what was given is left to validation."""
    metadata, spec = obj["metadata"], obj["spec"]
    labels = spec["template"]["metadata"].setdefault("labels", {})
    for key in JOB_NAME:
        labels.setdefault(key, metadata.get("name", ""))
    for key in CONTROLLER_UID:
        labels.setdefault(key, metadata["uid"])
    chosen = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    chosen.setdefault(CONTROLLER_UID[1], metadata["uid"])


def _validate_pod_names(obj: Object, errors: list[FieldError]) -> None:
    """An indexed job's pods are named after it and their index; the last one has the longest name."""
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    if spec.get("completionMode") == "Indexed" and spec.get("completions", 0) > 0:
        pod = f"{name}-{spec['completions'] - 1}"
        if names.is_dns1123_label(pod):
            message = f"will not able to create pod with invalid DNS label: {pod}"
            errors.append(invalid("metadata.name", name, message))


def spec_warnings(spec: Object, path: str) -> list[str]:
    """Also of jobs in templates."""
    found = []
    if spec.get("completionMode") == "Indexed" and spec.get("completions", 0) > 100_000:
        if spec.get("parallelism", 0) > 10_000:
            found.append(f"{path}: {_TOO_MANY}")
    return found + warnings.for_template(spec["template"], f"{path}.template")


def _shown_status(obj: Object) -> str:
    true = {c.get("type") for c in obj.get("status", {}).get("conditions", ()) if c.get("status") == "True"}
    for name in _STATUS_ORDER:
        if name is None:
            if "deletionTimestamp" in obj["metadata"]:
                return "Terminating"
        elif name in true:
            return name
    return "Running"


def _shown_completions(spec: Object, status: Object) -> str:
    succeeded, parallelism = status.get("succeeded", 0), spec.get("parallelism", 0)
    if "completions" in spec:
        return f"{succeeded}/{spec['completions']}"
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _shown_duration(status: Object, now: float) -> str:
    if "startTime" not in status:
        return ""
    end = times.parse(status["completionTime"]) if "completionTime" in status else now
    return times.human_duration(end - times.parse(status["startTime"]))
