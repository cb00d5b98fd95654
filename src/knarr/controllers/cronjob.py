"""CronJob: create a job whenever its schedule is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from knarr.api.scheme import evolve, scheme
from knarr.api.types import batch_v1, core_v1
from knarr.client.client import Client, is_already_exists, is_not_found, namespace_terminating
from knarr.client.controller import Requeue
from knarr.client.indexer import BY_CONTROLLER, controller_index
from knarr.client.informer import SharedInformers
from knarr.client.objects import Key, controlled_by, controller_ref, key_of, object_reference
from knarr.controllers.base import KubeController
from knarr.controllers.conditions import is_true
from knarr.controllers.cronschedule import Due, Schedule, latest_due
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import World

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MISSED_MAX = 100
#: so that the clock is certainly past the second when the time comes
LATE_SECONDS = 0.1
TOO_MANY_MISSED = (
    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
)


@dataclass
class Books:
    """A cron job's status while it is worked on."""

    active: list[Any]
    last_schedule: str | None
    last_success: str | None

    def holds(self, uid: str) -> bool:
        return any(ref.uid == uid for ref in self.active)

    def drop(self, uid: str) -> None:
        self.active = [ref for ref in self.active if ref.uid != uid]


class CronJobController(KubeController):
    """Owns jobs."""

    name = "cronjob-controller"

    def __init__(self, client: Client, informers: SharedInformers, world: World) -> None:
        super().__init__(client, informers, world)
        self.cron_jobs = self.watch(batch_v1.CronJob, self.enqueue, self._updated, self.enqueue)
        self.jobs = self.watch_owned(batch_v1.Job, batch_v1.CronJob)
        self.jobs.indexer.add_index(BY_CONTROLLER, controller_index)

    def _updated(self, old: Any, new: Any) -> None:
        """A new schedule begins with its next time: what it would have missed in the past does not count."""
        if (old.spec.schedule, old.spec.timeZone) != (new.spec.schedule, new.spec.timeZone):
            wait = next_after_change(new, self.clock.now())
            if wait is not None:
                self.enqueue_after(new, wait)
                return
        self.enqueue(new)

    async def reconcile(self, key: Key) -> Requeue | None:
        cj = self.cron_jobs.indexer.get(key)
        if cj is None:
            return None
        jobs = self.jobs.indexer.by_index(BY_CONTROLLER, cj.metadata.uid)
        books = Books(list(cj.status.active), cj.status.lastScheduleTime, cj.status.lastSuccessfulTime)
        failure, wait = None, None
        try:
            await self.settle(cj, jobs, books)
            wait = await self.start_due(cj, books)
            await self.clean_up(cj, jobs, books)
        except StatusError as error:
            failure = error
        status = {
            "active": tuple(books.active),
            "lastScheduleTime": books.last_schedule,
            "lastSuccessfulTime": books.last_success,
        }
        changed = evolve(cj, status=status)
        if changed.status != cj.status:
            await self.client.update_status(changed)
        if failure is not None:
            raise failure
        return Requeue(wait) if wait is not None else None

    # -- what became of its jobs -------------------------------------------------------------------------

    async def settle(self, cj: Any, jobs: Sequence[Any], books: Books) -> None:
        """Jobs that have ended, or are gone, are no longer active."""
        for job in jobs:
            uid, ended = job.metadata.uid, outcome(job)
            if not books.holds(uid) and not ended:
                message = f"Saw a job that the controller did not create or forgot: {job.metadata.name}"
                self.events.event(cj, "Warning", "UnexpectedJob", message)
            elif books.holds(uid) and ended:
                books.drop(uid)
                message = f"Saw completed job: {job.metadata.name}, condition: {ended}"
                self.events.event(cj, "Normal", "SawCompletedJob", message)
            if ended == "Complete" and (finished := job.status.completionTime):
                books.last_success = max(books.last_success or "", finished)
        known = {job.metadata.uid for job in jobs}
        for ref in [ref for ref in books.active if ref.uid not in known]:
            if await self.is_missing(ref):
                books.drop(ref.uid)
                self.events.event(cj, "Normal", "MissingJob", f"Active job went missing: {ref.name}")

    async def is_missing(self, ref: Any) -> bool:
        """Asked of the server: the cache may only be late."""
        try:
            await self.client.get(batch_v1.Job, ref.name, ref.namespace)
        except StatusError as error:
            if is_not_found(error):
                return True
            raise
        return False

    async def clean_up(self, cj: Any, jobs: Sequence[Any], books: Books) -> None:
        """Keep as many finished jobs as the history limits say."""
        for ending, limit in (
            ("Failed", cj.spec.failedJobsHistoryLimit),
            ("Complete", cj.spec.successfulJobsHistoryLimit),
        ):
            if limit is None:
                continue
            ended = sorted((job for job in jobs if outcome(job) == ending), key=by_start)
            for job in ended[: max(0, len(ended) - limit)]:
                await self.delete(cj, job, books)

    async def delete(self, cj: Any, job: Any, books: Books) -> None:
        try:
            await self.client.delete(job, propagation="Background")
        except StatusError as error:
            if not is_not_found(error):
                self.events.event(cj, "Warning", "FailedDelete", f"Deleted job: {error.message}")
                raise
        books.drop(job.metadata.uid)
        self.events.event(cj, "Normal", "SuccessfulDelete", f"Deleted job {job.metadata.name}")

    # -- the next job ------------------------------------------------------------------------------------

    async def start_due(self, cj: Any, books: Books) -> float | None:
        """Create the job that is due, if any; seconds until the next one will be."""
        if cj.metadata.deletionTimestamp or cj.spec.suspend:
            return None
        now = self.clock.now()
        try:
            schedule = Schedule(cj.spec.schedule, cj.spec.timeZone)
        except ValueError as error:
            message = f'unparseable schedule: "{cj.spec.schedule}" : {error}'
            self.events.event(cj, "Warning", "UnparseableSchedule", message)
            return None
        try:
            due = latest_due(schedule, since(cj, now), now)
        except ValueError as error:
            message = f"invalid schedule: {cj.spec.schedule} : {error}"
            self.events.event(cj, "Warning", "InvalidSchedule", message)
            return None
        if due.missed > MISSED_MAX:
            self.events.event(cj, "Warning", "TooManyMissedTimes", TOO_MANY_MISSED)
        if due.time is not None and self.may_start(cj, books, due, now):
            await self.create(cj, books, due.time, schedule)
        served = evolve(cj, status={"lastScheduleTime": books.last_schedule})
        return seconds_to_next(served, schedule, now)

    def may_start(self, cj: Any, books: Books, due: Due, now: float) -> bool:
        time = due.time or 0.0
        deadline = cj.spec.startingDeadlineSeconds
        if deadline is not None and time + deadline < now:
            text = datetime.fromtimestamp(time, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
            self.events.event(cj, "Warning", "MissSchedule", f"Missed scheduled time to start a job: {text}")
            return False
        name = job_name(cj, time)
        if any(ref.name == name for ref in books.active) or books.last_schedule == times.format(time):
            return False
        if cj.spec.concurrencyPolicy == "Forbid" and books.active:
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.events.event(cj, "Normal", "JobAlreadyActive", message)
            return False
        return True

    async def create(self, cj: Any, books: Books, time: float, schedule: Schedule) -> None:
        if cj.spec.concurrencyPolicy == "Replace":
            for ref in list(books.active):
                await self.replace(cj, ref, books)
        try:
            job = await self.client.create(new_job(cj, time, schedule))
        except StatusError as error:
            if namespace_terminating(error):
                return
            if not is_already_exists(error):
                self.events.event(cj, "Warning", "FailedCreate", f"Error creating job: {error.message}")
                raise
            # created before, and then the status could not be written; or it is somebody else's
            job = await self.client.get(batch_v1.Job, job_name(cj, time), cj.metadata.namespace)
            if not controlled_by(job, cj) or books.holds(job.metadata.uid):
                return
        else:
            name = key_of(job).name
            self.events.event(cj, "Normal", "SuccessfulCreate", f"Created job {name}")
        books.active.append(core_v1.ObjectReference(**object_reference(job)))
        books.last_schedule = times.format(time)

    async def replace(self, cj: Any, ref: Any, books: Books) -> None:
        try:
            job = await self.client.get(batch_v1.Job, ref.name, ref.namespace)
        except StatusError as error:
            self.events.event(cj, "Warning", "FailedGet", f"Get job: {error.message}")
            raise
        await self.delete(cj, job, books)


# -- deciding -------------------------------------------------------------------------------------------------


def outcome(job: Any) -> str:
    """Complete, Failed, or "" while it runs."""
    for type_ in ("Complete", "Failed"):
        if is_true(job.status.conditions, type_):
            return type_
    return ""


def by_start(job: Any) -> tuple[bool, str, str]:
    """Oldest first; one that never began comes last."""
    started = job.status.startTime
    return started is None, started or "", job.metadata.name


def since(cj: Any, now: float, with_deadline: bool = True) -> float:
    """Where looking for missed times begins: nothing older than the deadline is started any more."""
    begin = times.parse(cj.status.lastScheduleTime or cj.metadata.creationTimestamp)
    deadline = cj.spec.startingDeadlineSeconds
    if with_deadline and deadline is not None:
        return max(begin, now - deadline)
    return begin


def seconds_to_next(cj: Any, schedule: Schedule, now: float) -> float | None:
    """From now to the next time that has not been served yet."""
    try:
        due = latest_due(schedule, since(cj, now, with_deadline=False), now)
        begin = due.time if due.time is not None else (now if due.missed else due.earliest)
    except ValueError:
        begin = now
    following = schedule.next(begin)
    return max(0.0, following + LATE_SECONDS - now) if following is not None else None


def next_after_change(cj: Any, now: float) -> float | None:
    """Seconds to the first time of a new schedule; None for a schedule that is wrong, which reconciling tells."""
    try:
        return seconds_to_next(cj, Schedule(cj.spec.schedule, cj.spec.timeZone), now)
    except ValueError:
        return None


def job_name(cj: Any, time: float) -> str:
    """One name per scheduled minute: the same run cannot be created twice."""
    return f"{cj.metadata.name}-{int(time) // 60}"


def new_job(cj: Any, time: float, schedule: Schedule) -> Any:
    template = scheme().to_dict(cj.spec.jobTemplate)
    own = template.get("metadata", {})
    stamp = datetime.fromtimestamp(time, UTC).astimezone(schedule.zone).isoformat()
    metadata = {
        "name": job_name(cj, time),
        "namespace": cj.metadata.namespace,
        "labels": own.get("labels", {}),
        "annotations": {**own.get("annotations", {}), SCHEDULED: stamp.replace("+00:00", "Z")},
        "ownerReferences": [controller_ref(cj)],
    }
    wire = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
    return scheme().from_dict(batch_v1.Job, wire)
