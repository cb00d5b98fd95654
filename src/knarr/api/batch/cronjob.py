"""Cron jobs: jobs at set times."""

from __future__ import annotations

from typing import Any

from knarr.api.apps.workload import non_negative
from knarr.api.batch import schedule
from knarr.api.batch.job import default_job_spec, spec_warnings
from knarr.api.batch.jobvalidation import validate_shared_spec
from knarr.api.core.podspec import warnings
from knarr.api.core.podspec.columns import CONTAINERS, IMAGES, container_cells, format_selector
from knarr.api.core.podspec.template import printed_selector
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.api.printing import NONE, UNSET, age
from knarr.meta import names, times
from knarr.meta.fielderrors import FieldError, invalid, not_supported, required

NAME_MAX = 63 - 11
_POLICIES = ("Allow", "Forbid", "Replace")
_ZONE_IN_SCHEDULE = (
    "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see"
    " https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)


class CronJob(Kind):
    pod_spec_path = ("spec", "jobTemplate", "spec", "template", "spec")
    tracks_generation = True
    columns = (
        NAME,
        Column("Schedule", doc="batch.v1.CronJobSpec.schedule"),
        Column("Timezone", doc="batch.v1.CronJobSpec.timeZone"),
        Column("Suspend", "boolean", doc="batch.v1.CronJobSpec.suspend"),
        Column("Active", "integer", doc="batch.v1.CronJobStatus.active"),
        Column("Last Schedule", doc="batch.v1.CronJobStatus.lastScheduleTime"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", doc="batch.v1.JobSpec.selector", priority=1),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("schedule", "")
        spec.setdefault("concurrencyPolicy", "Allow")
        spec.setdefault("suspend", False)
        spec.setdefault("successfulJobsHistoryLimit", 3)
        spec.setdefault("failedJobsHistoryLimit", 1)
        template = spec.setdefault("jobTemplate", {})
        template.setdefault("metadata", {})
        default_job_spec(template.setdefault("spec", {}))

    def validate(self, obj: Object) -> list[FieldError]:
        errors = _validate_spec(obj["spec"], allow_zone=False)
        name = obj["metadata"].get("name", "")
        if len(name) > NAME_MAX:
            # the jobs' names add a time to it
            errors.append(invalid("metadata.name", name, names.max_length_error(NAME_MAX)))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _validate_spec(obj["spec"], allow_zone="TZ" in old["spec"].get("schedule", ""))

    def warnings_on_create(self, obj: Object) -> list[str]:
        return warnings.for_owner_name(obj["metadata"].get("name", "")) + _job_warnings(obj)

    def warnings_on_update(self, obj: Object, old: Object) -> list[str]:
        found = _job_warnings(obj) if warnings.is_changed(obj, old) else []
        return [*found, _ZONE_IN_SCHEDULE] if "TZ" in obj["spec"].get("schedule", "") else found

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec, status = obj.get("spec", {}), obj.get("status", {})
        job = spec.get("jobTemplate", {}).get("spec", {})
        last = status.get("lastScheduleTime")
        return [
            obj["metadata"]["name"],
            spec.get("schedule", ""),
            spec.get("timeZone", NONE),
            str(spec["suspend"]) if "suspend" in spec else UNSET,
            len(status.get("active", ())),
            times.age(last, now) if last else NONE,
            age(obj, now),
            *container_cells(job.get("template", {})),
            format_selector(job.get("selector")),
        ]


def _job_warnings(obj: Object) -> list[str]:
    return spec_warnings(obj["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec")


def _validate_spec(spec: Object, allow_zone: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    _validate_schedule(spec, allow_zone, "spec.schedule", errors)
    non_negative(spec, "spec", errors, "startingDeadlineSeconds")
    if "timeZone" in spec and (why := schedule.time_zone_problem(spec["timeZone"])):
        errors.append(invalid("spec.timeZone", spec["timeZone"], why))
    policy = spec.get("concurrencyPolicy", "")
    if policy not in _POLICIES:
        errors.append(not_supported("spec.concurrencyPolicy", policy, _POLICIES))
    _validate_job_template(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", errors)
    non_negative(spec, "spec", errors, "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    return errors


def _validate_schedule(spec: Object, allow_zone: bool, path: str, errors: list[FieldError]) -> None:
    text = spec.get("schedule", "")
    if not text:
        errors.append(required(path))
        return
    if why := schedule.problem(text):
        errors.append(invalid(path, text, why))
    if "TZ" in text:
        if not allow_zone:
            message = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            errors.append(invalid(path, text, message))
        elif "timeZone" in spec:
            message = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            errors.append(invalid(path, text, message))


def _validate_job_template(job: Object, path: str, errors: list[FieldError]) -> None:
    validate_shared_spec(job, path, errors)
    if "selector" in job:
        errors.append(
            invalid(
                f"{path}.selector", printed_selector(job["selector"]), "`selector` will be auto-generated"
            )
        )
    if job.get("manualSelector"):
        errors.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))
