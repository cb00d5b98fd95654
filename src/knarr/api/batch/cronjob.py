"""Cron jobs: jobs at set times."""

from __future__ import annotations

from typing import Any

from knarr.api.batch.job import default_job_spec
from knarr.api.core.podspec.columns import AGE, CONTAINERS, IMAGES, container_cells, format_selector
from knarr.api.kind import NAME, Column, Kind, Object
from knarr.api.printing import NONE, UNSET, age
from knarr.meta import times


class CronJob(Kind):
    tracks_generation = True
    columns = (
        NAME,
        Column(
            "Schedule",
            description="The schedule in Cron format, see https://en.wikipedia.org/wiki/Cron.",
        ),
        Column(
            "Timezone",
            description="The time zone name for the given schedule, see"
            " https://en.wikipedia.org/wiki/List_of_tz_database_time_zones. If not specified, this will"
            " default to the time zone of the kube-controller-manager process. The set of valid time zone"
            " names and the time zone offset is loaded from the system-wide time zone database by the API"
            " server during CronJob validation and the controller manager during execution. If no"
            " system-wide time zone database can be found a bundled version of the database is used"
            " instead. If the time zone name becomes invalid during the lifetime of a CronJob or due to a"
            " change in host configuration, the controller will stop creating new new Jobs and will create"
            " a system event with the reason UnknownTimeZone. More information can be found in"
            " https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#time-zones",
        ),
        Column(
            "Suspend",
            "boolean",
            description="This flag tells the controller to suspend subsequent executions, it does not apply to"
            " already started executions.  Defaults to false.",
        ),
        Column(
            "Active",
            "integer",
            description="A list of pointers to currently running jobs.",
        ),
        Column(
            "Last Schedule",
            description="Information when was the last time the job was successfully scheduled.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column(
            "Selector",
            description="A label query over pods that should match the pod count. Normally, the system sets this"
            " field for you. More info:"
            " https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
            priority=1,
        ),
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
