"""Cron jobs: schedules by tables, runs as stories; jobs that are deleted some time after they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.types import batch_v1
from knarr.controllers.cronschedule import Schedule, latest_due

from .conftest import EPOCH, NAMESPACE, Cluster

CRON = "cronjob-controller"
JOBS = (CRON, "job-controller")
MINUTE, HOUR, DAY = 60, 3600, 86400


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("* * * * *", None, "2026-01-01T00:00:00", "2026-01-01T00:01:00"),
        ("*/15 * * * *", None, "2026-01-01T00:16:00", "2026-01-01T00:30:00"),
        ("0 9-17/4 * * MON-FRI", None, "2026-01-02T14:00:00", "2026-01-02T17:00:00"),
        ("0 9-17/4 * * MON-FRI", None, "2026-01-02T17:00:00", "2026-01-05T09:00:00"),
        ("5/20 * * * *", None, "2026-01-01T00:30:00", "2026-01-01T00:45:00"),
        ("0 0 ? jan,Jul *", None, "2026-01-31T00:00:00", "2026-07-01T00:00:00"),
        # both days given: either will do; a star: both must hold; a star with a step is no star
        ("0 0 13 * FRI", None, "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("0 0 13 * *", None, "2026-01-01T00:00:00", "2026-01-13T00:00:00"),
        ("0 0 */10 * THU", None, "2026-01-01T00:00:00", "2026-01-08T00:00:00"),
        ("@hourly", None, "2026-01-01T00:00:00", "2026-01-01T01:00:00"),
        ("@weekly", None, "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("@yearly", None, "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("@every 1h30m", None, "2026-01-01T00:00:10", "2026-01-01T01:30:10"),
        ("@every 10ms", None, "2026-01-01T00:00:10", "2026-01-01T00:00:11"),
        ("0 12 * * *", "America/New_York", "2026-01-01T00:00:00", "2026-01-01T17:00:00"),
        ("0 12 * * *", "America/New_York", "2026-07-01T00:00:00", "2026-07-01T16:00:00"),
        # an hour that the clock skips has no runs, one that it repeats has two
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00", "2026-03-30T00:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00", "2026-10-25T00:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-25T01:30:00"),
        ("TZ=Asia/Tokyo 0 0 * * *", None, "2026-01-01T00:00:00", "2026-01-01T15:00:00"),
        ("0 0 31 2 *", None, "2026-01-01T00:00:00", None),
        ("0 0 29 2 *", None, "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_time(text: str, zone: str | None, after: str, expected: str | None) -> None:
    assert Schedule(text, zone).next(at(after)) == (at(expected) if expected is not None else None)


def is_due(minute: set[int], hour: set[int], day: datetime) -> bool:
    return day.minute in minute and day.hour in hour


@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.integers(0, 2 * DAY),
)
def test_the_next_time_is_the_first_that_fits(minutes: set[int], hours: set[int], offset: int) -> None:
    text = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=offset)
    expected = moment.replace(second=0) + timedelta(minutes=1)
    while not is_due(minutes, hours, expected):
        expected += timedelta(minutes=1)
    assert Schedule(text).next(moment.timestamp()) == expected.timestamp()


@pytest.mark.parametrize("text", ["", "* * * *", "61 * * * *", "5-1 * * * *", "@often", "x * * * *"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Schedule(text)


@pytest.mark.parametrize(
    ("text", "since", "now", "time", "missed"),
    [
        ("0 * * * *", "2026-01-01T00:10:00", "2026-01-01T00:50:00", None, 0),
        ("0 * * * *", "2026-01-01T00:10:00", "2026-01-01T01:00:00", "2026-01-01T01:00:00", 0),
        ("0 * * * *", "2026-01-01T00:10:00", "2026-01-01T01:59:59", "2026-01-01T01:00:00", 0),
        ("0 * * * *", "2026-01-01T00:10:00", "2026-01-01T05:10:00", "2026-01-01T05:00:00", 5),
        ("0 * * * *", "2026-01-01T00:10:00", "2026-02-01T05:10:00", "2026-02-01T05:00:00", 749),
        ("30 6-16/4 * * 1-5", "2026-01-01T00:00:00", "2026-01-05T12:00:00", "2026-01-05T10:30:00", 26),
        ("@every 90m", "2026-01-01T00:10:00", "2026-01-01T05:00:00", "2026-01-01T04:40:00", 3),
    ],
)
def test_what_was_missed(text: str, since: str, now: str, time: str | None, missed: int) -> None:
    due = latest_due(Schedule(text), at(since), at(now))
    assert (due.time, due.missed) == (at(time) if time is not None else None, missed)


def cron(schedule: str = "*/5 * * * *", **spec: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.example/app:1"}]}
    template = {"metadata": {"labels": {"kept": "yes"}}, "spec": {"template": {"spec": pod}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": NAMESPACE},
        "spec": {"schedule": schedule, "jobTemplate": template, **spec},
    }


async def jobs(c: Cluster) -> list[str]:
    """Their names without the prefix, as minutes since the story began."""
    found = [job.metadata.name for job in await c.list(batch_v1.Job)]
    return sorted(str(int(name.removeprefix("tick-")) - int(EPOCH) // 60) for name in found)


async def status(c: Cluster) -> Any:
    return (await c.get(batch_v1.CronJob, "tick")).status


def test_jobs_at_the_right_times(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron())
        await c.later(290)
        assert await jobs(c) == []
        await c.later(15)
        assert await jobs(c) == ["5"]
        (job,) = await c.list(batch_v1.Job)
        assert job.metadata.labels["kept"] == "yes"
        assert job.metadata.annotations == {
            "batch.kubernetes.io/cronjob-scheduled-timestamp": "2027-01-15T08:05:00Z"
        }
        assert job.metadata.ownerReferences[0].controller
        now = await status(c)
        assert ([ref.uid for ref in now.active], now.lastScheduleTime) == (
            [job.metadata.uid],
            "2027-01-15T08:05:00Z",
        )
        assert await c.told("SuccessfulCreate") == [f"Created job {job.metadata.name}"]
        await c.later(600)
        assert await jobs(c) == ["10", "15", "5"]

    play(story, CRON)


def test_jobs_that_end_are_no_longer_active_and_few_are_kept(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron("* * * * *", successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1))
        for minute in range(1, 9):
            await c.later(60)
            pods = await c.expect_pods(1)
            await (c.succeed if minute % 2 else c.fail)(*pods)
            if not minute % 2:
                await c.change(batch_v1.Job, pods[0].metadata.labels["job-name"], activeDeadlineSeconds=1)
        await c.later(10)
        now = await status(c)
        assert now.active == ()
        assert now.lastSuccessfulTime is not None
        assert await jobs(c) == ["5", "7", "8"]
        assert (await c.told("SawCompletedJob"))[0].endswith("condition: Complete")

    play(story, *JOBS)


@pytest.mark.parametrize(
    ("policy", "names", "active"),
    [("Allow", ["1", "2", "3"], 3), ("Forbid", ["1"], 1), ("Replace", ["3"], 1)],
)
def test_what_happens_while_a_job_still_runs(play: Any, policy: str, names: list[str], active: int) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron("* * * * *", concurrencyPolicy=policy))
        await c.later(200)
        assert (await jobs(c), len((await status(c)).active)) == (names, active)
        assert bool(await c.told("JobAlreadyActive")) == (policy == "Forbid")

    play(story, CRON)


def test_suspension_and_what_was_missed_meanwhile(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron(suspend=True))
        await c.later(1000)
        assert await jobs(c) == []
        await c.change(batch_v1.CronJob, "tick", suspend=False)
        assert await jobs(c) == ["15"]

    play(story, CRON)


def test_what_is_too_late_is_left_out(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron(suspend=True, startingDeadlineSeconds=30))
        await c.later(1000)
        await c.change(batch_v1.CronJob, "tick", suspend=False)
        assert await jobs(c) == []
        await c.later(250)
        assert await jobs(c) == ["20"]

    play(story, CRON)


def test_too_many_missed_times_are_told_and_the_last_is_served(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron("* * * * *", suspend=True))
        await c.later(102 * MINUTE)
        await c.change(batch_v1.CronJob, "tick", suspend=False)
        assert await jobs(c) == ["102"]
        assert len(await c.told("TooManyMissedTimes")) == 1

    play(story, CRON)


def test_a_new_schedule_does_not_reach_back(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron("0 0 1 1 *"))
        await c.later(HOUR)
        await c.change(batch_v1.CronJob, "tick", schedule="*/30 * * * *")
        await c.later(60)
        assert await jobs(c) == []

    play(story, CRON)


def test_a_job_that_somebody_deletes_is_not_waited_for(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron(concurrencyPolicy="Forbid"))
        await c.later(301)
        (job,) = await c.list(batch_v1.Job)
        await c.client.delete(batch_v1.Job, job.metadata.name, NAMESPACE, propagation="Background")
        await c.settle()
        assert (await status(c)).active == ()
        assert await c.told("MissingJob") == [f"Active job went missing: {job.metadata.name}"]
        await c.later(300)
        assert await jobs(c) == ["10"]

    play(story, CRON)


def test_a_schedule_that_never_comes(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(cron("0 0 31 2 *"))
        assert "less than 1 second" in (await c.told("InvalidSchedule"))[0]

    play(story, CRON)


def test_jobs_are_deleted_some_time_after_they_end(play: Any) -> None:
    async def story(c: Cluster) -> None:
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web", "namespace": NAMESPACE}}
        spec = cron()["spec"]["jobTemplate"]["spec"]
        await c.create({**job, "spec": {**spec, "ttlSecondsAfterFinished": 100}})
        await c.later(500)
        await c.succeed(*await c.expect_pods(1))
        await c.later(98)
        assert (await c.get(batch_v1.Job)).metadata.deletionTimestamp is None
        await c.later(5)
        gone = await c.get(batch_v1.Job)
        # the garbage collector, which does not run here, would now delete the pods and let it go
        assert gone.metadata.deletionTimestamp is not None
        assert gone.metadata.finalizers == ("foregroundDeletion",)

    play(story, "job-controller", "ttl-after-finished-controller")
