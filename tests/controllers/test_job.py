"""Jobs: indexes, policies and back-off by tables, whole lives as stories."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.scheme import scheme
from knarr.api.types import batch_v1, core_v1
from knarr.controllers.conditions import find
from knarr.controllers.job import indexes
from knarr.controllers.job.failures import Record, delay
from knarr.controllers.job.policies import match_failure, match_success

from .conftest import Cluster, workload

JOB = "job-controller"
NEVER = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.example/app:1"}]}}


def job(**spec: Any) -> dict[str, Any]:
    return workload("Job", api="batch/v1", **{"template": NEVER, **spec})


# -- indexes


@pytest.mark.parametrize(
    ("text", "completions", "canonical"),
    [("", 5, ""), ("0", 5, "0"), ("0,1", 5, "0,1"), ("0-2", 5, "0-2"), ("0,2-9", 5, "0,2-4"), ("7", 5, ""), ("3,1,2", 9, "1-3"), ("x,1", 9, "1")],
)  # fmt: skip
def test_indexes_are_read_and_written(text: str, completions: int, canonical: str) -> None:
    assert str(indexes.parse(text, completions)) == canonical


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.integers(1, 45))
def test_indexes_behave_as_sets(left: set[int], right: set[int], end: int) -> None:
    a, b = indexes.Indexes().adding(left), indexes.Indexes().adding(right)
    assert a.total == len(left)
    assert all(a.has(i) == (i in left) for i in range(42))
    assert a.joined(b) == indexes.Indexes().adding(left | right)
    assert a.common(b) == len(left & right)
    assert list(a.gaps(end)) == [i for i in range(end) if i not in left]
    assert indexes.parse(str(a), 100) == a


# -- back-off


@pytest.mark.parametrize(
    ("failures", "last", "now", "seconds"),
    [(0, None, 5, 0), (1, 0, 0, 10), (1, 0, 4, 6), (1, 0, 11, 0), (2, 0, 0, 20), (3, 0, 0, 40), (7, 0, 0, 600), (99, 0, 0, 600)],
)  # fmt: skip
def test_delay(failures: int, last: float | None, now: float, seconds: float) -> None:
    assert delay(failures, last, now) == seconds


def ended(at: int) -> Any:
    terminated = {"exitCode": 1, "finishedAt": f"1970-01-01T00:00:{at:02}Z"}
    status = {
        "name": "c",
        "image": "",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": terminated},
    }
    return scheme().from_dict(core_v1.Pod, {"status": {"phase": "Failed", "containerStatuses": [status]}})


@pytest.mark.parametrize(
    ("before", "succeeded", "failed", "after"),
    [
        (Record(), [], [], Record()),
        (Record(), [], [3], Record(1, 3.0)),
        (Record(2, 3.0), [], [9, 7], Record(4, 9.0)),
        (Record(2, 3.0), [8], [], Record()),
        (Record(2, 3.0), [8], [7], Record()),
        (Record(2, 3.0), [8], [7, 9], Record(1, 9.0)),
    ],
)
def test_failures_are_counted_since_the_last_success(
    before: Record, succeeded: list[int], failed: list[int], after: Record
) -> None:
    assert before.after([ended(at) for at in succeeded], [ended(at) for at in failed]) == after


# -- policies


def policy(*rules: dict[str, Any]) -> Any:
    return scheme().from_dict(batch_v1.PodFailurePolicy, {"rules": list(rules)})


def codes(action: str, operator: str, *values: int, container: str | None = None) -> dict[str, Any]:
    requirement = {"operator": operator, "values": list(values)}
    return {
        "action": action,
        "onExitCodes": requirement | ({"containerName": container} if container else {}),
    }


def disrupted(action: str) -> dict[str, Any]:
    return {"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def dead(code: int, container: str = "c", conditions: tuple[str, ...] = ()) -> Any:
    status = {
        "name": container,
        "image": "",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": {"exitCode": code}},
    }
    conditions = [{"type": type_, "status": "True"} for type_ in conditions]
    return scheme().from_dict(
        core_v1.Pod,
        {
            "metadata": {"name": "p", "namespace": "ns"},
            "status": {"phase": "Failed", "containerStatuses": [status], "conditions": conditions},
        },
    )


@pytest.mark.parametrize(
    ("rules", "pod", "action", "message"),
    [
        ([], dead(1), None, ""),
        ([codes("Ignore", "In", 1, 2)], dead(2), "Ignore", ""),
        ([codes("Ignore", "In", 1, 2)], dead(3), None, ""),
        ([codes("Ignore", "NotIn", 1)], dead(0), None, ""),
        ([codes("Ignore", "In", 1, container="other")], dead(1), None, ""),
        ([codes("Count", "In", 1), codes("FailJob", "In", 1)], dead(1), "Count", ""),
        (
            [disrupted("Ignore"), codes("FailJob", "In", 42)],
            dead(42),
            "FailJob",
            "Container c for pod ns/p failed with exit code 42 matching FailJob rule at index 1",
        ),
        (
            [disrupted("FailJob")],
            dead(1, conditions=("DisruptionTarget",)),
            "FailJob",
            "Pod ns/p has condition DisruptionTarget matching FailJob rule at index 0",
        ),
        ([codes("FailIndex", "In", 1)], dead(1), "FailIndex", ""),
    ],
)
def test_failure_policy(rules: list[dict[str, Any]], pod: Any, action: str | None, message: str) -> None:
    match = match_failure(policy(*rules), pod)
    assert (match.action, match.message, match.counts) == (action, message, action != "Ignore")


@pytest.mark.parametrize(
    ("rules", "succeeded", "message"),
    [
        ([{"succeededCount": 2}], "0,5", "Matched rules at index 0"),
        ([{"succeededCount": 3}], "0,5", None),
        ([{"succeededIndexes": "0-1"}], "0", None),
        ([{"succeededIndexes": "9"}, {"succeededIndexes": "0-1"}], "0-1", "Matched rules at index 1"),
        ([{"succeededIndexes": "0-5", "succeededCount": 2}], "3,5,7", "Matched rules at index 0"),
        ([{"succeededIndexes": "0-5", "succeededCount": 2}], "3,7,8", None),
    ],
)
def test_success_policy(rules: list[dict[str, Any]], succeeded: str, message: str | None) -> None:
    wanted = scheme().from_dict(batch_v1.SuccessPolicy, {"rules": rules})
    assert match_success(wanted, indexes.parse(succeeded, 10), 10) == message


# -- lives


async def status(c: Cluster) -> Any:
    return (await c.get(batch_v1.Job)).status


async def says(c: Cluster, type_: str) -> tuple[str, str, str] | None:
    found = find((await status(c)).conditions, type_)
    return (found.status, found.reason, found.message) if found is not None else None


def test_one_pod_that_succeeds(play: Any) -> None:
    async def story(c: Cluster) -> None:
        made = await c.create(job())
        (pod,) = await c.expect_pods(1)
        assert pod.metadata.finalizers == ("batch.kubernetes.io/job-tracking",)
        assert pod.metadata.labels["batch.kubernetes.io/controller-uid"] == made["metadata"]["uid"]
        now = await status(c)
        assert (now.active, now.ready, now.terminating, now.startTime) == (1, 0, 0, c.now)
        assert now.uncountedTerminatedPods is not None
        await c.run(pod)
        assert (await status(c)).ready == 1
        await c.succeed(pod)
        now = await status(c)
        assert (now.active, now.ready, now.succeeded, now.completionTime) == (0, 0, 1, c.now)
        reached = ("True", "CompletionsReached", "Reached expected number of succeeded pods")
        assert await says(c, "SuccessCriteriaMet") == await says(c, "Complete") == reached
        assert (await c.get(core_v1.Pod, pod.metadata.name)).metadata.finalizers == ()
        assert await c.told("Completed") == ["Job completed"]

    play(story, JOB)


def test_parallel_completions(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(completions=5, parallelism=2))
        for done in (2, 4):
            await c.succeed(*await c.expect_pods(2))
            assert (await status(c)).succeeded == done
        await c.succeed(*await c.expect_pods(1))
        assert (await status(c)).succeeded == 5
        assert (await says(c, "Complete") or ("",))[0] == "True"

    play(story, JOB)


def test_a_work_queue_ends_with_its_first_success(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(parallelism=3))
        one, two, three = await c.expect_pods(3)
        await c.succeed(one)
        await c.expect_pods(2)
        assert await says(c, "Complete") is None
        await c.fail(two)
        await c.succeed(three)
        assert (await status(c)).succeeded == 2
        assert await says(c, "Complete") is not None

    play(story, JOB)


def test_failed_pods_are_replaced_ever_more_slowly_until_the_limit(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(backoffLimit=2))
        for wait in (10, 20):
            await c.fail(*await c.expect_pods(1))
            await c.later(wait - 2)
            await c.expect_pods(0)
            await c.later(3)
        await c.fail(*await c.expect_pods(1))
        assert (await status(c)).failed == 3
        reason = ("True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        assert await says(c, "FailureTarget") == await says(c, "Failed") == reason
        assert await c.told("BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]
        await c.later(3600)
        await c.expect_pods(0)

    play(story, JOB)


def test_restarts_in_place_count_too(play: Any) -> None:
    async def story(c: Cluster) -> None:
        template = {"spec": {**NEVER["spec"], "restartPolicy": "OnFailure"}}
        await c.create(job(backoffLimit=2, template=template))
        (pod,) = await c.expect_pods(1)
        restarted = {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 2}
        body = {"status": {"phase": "Running", "containerStatuses": [restarted]}}
        await c.client.patch(
            core_v1.Pod, pod.metadata.name, "default", body, "strategic", subresource="status"
        )
        await c.settle()
        assert (await says(c, "Failed") or ("", ""))[1] == "BackoffLimitExceeded"
        assert await c.pods() == []

    play(story, JOB)


def test_a_deadline_ends_it(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(activeDeadlineSeconds=100))
        await c.run()
        await c.later(98)
        await c.expect_pods(1)
        await c.later(3)
        assert await c.pods() == []
        now = await status(c)
        assert (now.failed, now.active, now.ready, now.terminating) == (1, 0, 0, 0)
        assert await says(c, "Failed") == (
            "True",
            "DeadlineExceeded",
            "Job was active longer than specified deadline",
        )

    play(story, JOB)


def test_the_last_word_waits_for_pods_that_are_still_ending(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(activeDeadlineSeconds=10))
        (pod,) = await c.expect_pods(1)
        await c.place(pod, "node")
        await c.later(11)
        assert await says(c, "FailureTarget") is not None
        assert await says(c, "Failed") is None
        assert (await status(c)).terminating == 1
        await c.reap()
        assert await says(c, "Failed") is not None
        assert (await status(c)).failed == 1

    play(story, JOB)


def test_suspension(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(suspend=True))
        await c.expect_pods(0)
        assert await says(c, "Suspended") == ("True", "JobSuspended", "Job suspended")
        assert (await status(c)).startTime is None
        await c.later(50)
        await c.change(batch_v1.Job, suspend=False)
        assert await says(c, "Suspended") == ("False", "JobResumed", "Job resumed")
        await c.expect_pods(1)
        assert (await status(c)).startTime is not None
        await c.change(batch_v1.Job, suspend=True)
        assert await c.pods() == []
        now = await status(c)
        assert (now.active, now.failed, now.startTime) == (0, 0, None)
        assert (await c.told("Suspended"), await c.told("Resumed")) == (["Job suspended"], ["Job resumed"])

    play(story, JOB)


def test_indexes(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(completions=3, parallelism=2, completionMode="Indexed"))
        zero, one = await c.expect_pods(2)
        index = "batch.kubernetes.io/job-completion-index"
        assert zero.metadata.generateName == "web-0-"
        assert (zero.metadata.labels[index], zero.metadata.annotations[index]) == ("0", "0")
        assert zero.spec.hostname == "web-0"
        (variable,) = zero.spec.containers[0].env
        assert variable.name == "JOB_COMPLETION_INDEX"
        assert variable.valueFrom.fieldRef.fieldPath == f"metadata.labels['{index}']"
        await c.succeed(one)
        assert ((await status(c)).completedIndexes, (await status(c)).succeeded) == ("1", 1)
        _, two = await c.expect_pods(2)
        assert two.metadata.annotations[index] == "2"
        await c.fail(zero)
        await c.later(11)
        again = (await c.expect_pods(2))[0]
        assert again.metadata.annotations[index] == "0"
        await c.succeed(again, two)
        assert ((await status(c)).completedIndexes, (await status(c)).failed) == ("0-2", 1)
        assert await says(c, "Complete") is not None

    play(story, JOB)


def test_indexes_fail_on_their_own(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(completions=2, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=1))
        zero, one = await c.expect_pods(2)
        await c.succeed(one)
        await c.fail(zero)
        await c.expect_pods(0)
        # it waits for its successor, which has to know how often the index failed
        assert (await c.get(core_v1.Pod, zero.metadata.name)).metadata.finalizers != ()
        await c.later(11)
        (again,) = await c.expect_pods(1)
        assert again.metadata.annotations["batch.kubernetes.io/job-index-failure-count"] == "1"
        assert (await c.get(core_v1.Pod, zero.metadata.name)).metadata.finalizers == ()
        await c.fail(again)
        now = await status(c)
        assert (now.completedIndexes, now.failedIndexes, now.succeeded, now.failed) == ("1", "0", 1, 2)
        assert await says(c, "Failed") == ("True", "FailedIndexes", "Job has failed indexes")

    play(story, JOB)


def test_too_many_failed_indexes(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(
            job(
                completions=4,
                parallelism=4,
                completionMode="Indexed",
                backoffLimitPerIndex=0,
                maxFailedIndexes=1,
            )
        )
        pods = await c.expect_pods(4)
        await c.fail(pods[0])
        assert await says(c, "Failed") is None
        assert (await status(c)).failedIndexes == "0"
        await c.fail(pods[1])
        message = "Job has exceeded the specified maximal number of failed indexes"
        assert await says(c, "Failed") == ("True", "MaxFailedIndexesExceeded", message)
        await c.expect_pods(0)

    play(story, JOB)


def test_a_failure_policy_ends_or_ignores(play: Any) -> None:
    async def story(c: Cluster) -> None:
        rules = [codes("Ignore", "In", 7), codes("FailJob", "In", 42)]
        await c.create(job(backoffLimit=0, podFailurePolicy={"rules": rules}))
        await c.fail(*await c.expect_pods(1), exit_code=7)
        await c.later(11)
        assert (await status(c)).failed == 0
        (pod,) = await c.expect_pods(1)
        await c.fail(pod, exit_code=42)
        name = f"default/{pod.metadata.name}"
        message = f"Container c for pod {name} failed with exit code 42 matching FailJob rule at index 1"
        assert await says(c, "Failed") == ("True", "PodFailurePolicy", message)

    play(story, JOB)


def test_a_success_policy_ends_early(play: Any) -> None:
    async def story(c: Cluster) -> None:
        success = {"rules": [{"succeededIndexes": "0"}]}
        await c.create(job(completions=3, parallelism=3, completionMode="Indexed", successPolicy=success))
        zero, *_ = await c.expect_pods(3)
        await c.succeed(zero)
        await c.expect_pods(0)
        assert await says(c, "Complete") == ("True", "SuccessPolicy", "Matched rules at index 0")
        now = await status(c)
        assert (now.succeeded, now.failed, now.completedIndexes) == (1, 0, "0")

    play(story, JOB)


@pytest.mark.parametrize(("replacement", "replaced"), [("TerminatingOrFailed", 1), ("Failed", 0)])
def test_when_a_pod_on_its_way_out_is_replaced(play: Any, replacement: str, replaced: int) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(podReplacementPolicy=replacement))
        (pod,) = await c.expect_pods(1)
        await c.place(pod, "node")
        await c.delete(core_v1.Pod, pod.metadata.name)
        await c.later(15)
        await c.expect_pods(replaced)
        assert (await status(c)).terminating == 1
        assert (await status(c)).failed == replaced

    play(story, JOB)


def test_less_parallelism_deletes_pods_without_counting_them(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(completions=9, parallelism=3))
        await c.change(batch_v1.Job, parallelism=1)
        await c.expect_pods(1)
        assert ((await status(c)).active, (await status(c)).failed) == (1, 0)

    play(story, JOB)


def test_somebody_elses_jobs_are_left_alone(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(managedBy="example.com/queue"))
        await c.expect_pods(0)
        assert (await status(c)).startTime is None

    play(story, JOB)


def test_pods_of_a_job_that_is_gone_lose_their_finalizer(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job())
        await c.client.delete(batch_v1.Job, "web", "default", propagation="Background")
        await c.settle()
        (pod,) = await c.pods()
        assert pod.metadata.finalizers == ()

    play(story, JOB)


def test_nothing_to_complete(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(completions=0))
        assert await says(c, "Complete") is not None
        assert await c.pods() == []

    play(story, JOB)


def test_more_pods_than_one_status_can_name(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(job(completions=1100, parallelism=1100))
        pods = await c.expect_pods(1100)
        await c.succeed(*pods)
        now = await status(c)
        assert (now.succeeded, now.uncountedTerminatedPods.succeeded) == (1100, ())
        assert await says(c, "Complete") is not None

    play(story, JOB)
