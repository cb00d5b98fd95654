"""Jobs and cron jobs."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.batch import schedule
from knarr.api.batch.successpolicy import count_indexes

from .kindcases import NOW, Resource

JOBS = Resource("jobs", "batch")
CRON = Resource("cronjobs", "batch")
UID = "0a1b2c3d-4e5f-6789-abcd-000000000001"
TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}


def job(**spec):
    return {"metadata": {"uid": UID}, "spec": {"template": copy.deepcopy(TEMPLATE), **spec}}


DEFAULTS = [
    ({}, {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False,
        "manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed"}),
    ({"completions": 3}, {"completions": 3, "parallelism": 1}),
    ({"completionMode": "Indexed", "completions": 1, "backoffLimitPerIndex": 1}, {"backoffLimit": 2**31 - 1}),
    ({"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "X"}]}]}},
        {"podReplacementPolicy": "Failed",
         "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "X", "status": "True"}]}]}}),
]  # fmt: skip


@pytest.mark.parametrize("given,made", DEFAULTS)
def test_defaults(given, made):
    spec = JOBS.defaulted(job(**given))["spec"]
    assert {name: spec[name] for name in made} == made
    assert JOBS.errors(job(**given)) == []


def test_parallelism_alone_means_no_number_of_completions():
    assert "completions" not in JOBS.defaulted(job(parallelism=2))["spec"]


def test_labels_and_selector_are_made_for_a_job():
    created = JOBS.created(job())
    labels = created["spec"]["template"]["metadata"]["labels"]
    assert labels == {
        "job-name": "a",
        "batch.kubernetes.io/job-name": "a",
        "controller-uid": UID,
        "batch.kubernetes.io/controller-uid": UID,
    }
    assert created["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}
    assert created["metadata"]["labels"] == labels


def test_a_selector_of_ones_own():
    template = {**TEMPLATE, "metadata": {"labels": {"x": "y"}}}
    created = JOBS.created(job(manualSelector=True, selector={"matchLabels": {"x": "y"}}, template=template))
    assert created["spec"]["template"]["metadata"]["labels"] == {"x": "y"}
    assert (
        JOBS.errors(job(manualSelector=True, selector={"matchLabels": {"x": "y"}}, template=template)) == []
    )


INDEXED = {"completionMode": "Indexed", "completions": 3}
RULES = [
    ({"completionMode": "Indexed", "parallelism": 1}, ["spec.completions: Required value: when completion mode is Indexed"]),
    ({"maxFailedIndexes": 1, **INDEXED}, ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"]),
    ({"successPolicy": {"rules": [{"succeededIndexes": "0-9"}]}, **INDEXED},
        ['spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-9": error parsing succeededIndexes: too large'
         ' index: "9"']),
    ({"successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]}, **INDEXED},
        ["spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of"
         " indexes in the specified succeededIndexes field)"]),
    ({"successPolicy": {}, **INDEXED},
        ["spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is"
         " specified"]),
    ({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1],
        "containerName": "x"}}]}},
        ['spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "x": must be one of the container or'
         " initContainer names in the pod template"]),
    ({"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Maybe"}}},
        ['spec.template.spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
         'spec.template.spec.restartPolicy: Unsupported value: "Maybe": supported values: "OnFailure", "Never"']),
]  # fmt: skip


@pytest.mark.parametrize("given,expected", RULES)
def test_rules(given, expected):
    assert JOBS.errors(job(**given)) == expected


UPDATES = [
    ({"completions": 1}, {"completions": 1, "parallelism": 5}, []),
    ({}, {"completions": 2}, ["spec.completions: Invalid value: 2: field is immutable"]),
    (INDEXED, {**INDEXED, "completions": 5, "parallelism": 5}, []),
    (INDEXED, {**INDEXED, "completions": 5},
        ["spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism"]),
    ({"suspend": True}, {"suspend": True, "template": {"spec": {**TEMPLATE["spec"], "nodeSelector": {"a": "b"}}}}, []),
]  # fmt: skip


@pytest.mark.parametrize("old,new,expected", UPDATES)
def test_updates(old, new, expected):
    before = JOBS.created(job(**old))
    after = JOBS.created(job(**new))
    JOBS.kind.prepare_for_update(after, before)
    assert [str(error) for error in JOBS.kind.validate_update(after, before)] == expected


def test_the_work_of_a_running_job_is_fixed():
    changed = {"spec": {**TEMPLATE["spec"], "nodeSelector": {"a": "b"}}}
    before, after = JOBS.created(job()), JOBS.created(job(template=changed))
    (error,) = JOBS.kind.validate_update(after, before)
    assert error.field == "spec.template"
    assert str(error).startswith('spec.template: Invalid value: {"labels":{"batch.kubernetes.io/')
    assert '"Spec":{"Volumes":null' in str(error) and '"NodeSelector":{"a":"b"}' in str(error)


MORE = {"requests": {"cpu": "2"}}
SUSPENDED = {"type": "Suspended", "status": "True"}
IDLE = [
    ({}, True),
    ({"startTime": "2026-01-01T00:00:00Z"}, False),
    ({"startTime": "2026-01-01T00:00:00Z", "conditions": [SUSPENDED]}, True),
    ({"conditions": [SUSPENDED], "active": 1}, False),
]


@pytest.mark.parametrize("status,allowed", IDLE)
def test_what_a_suspended_job_needs_may_change_while_nothing_runs(status, allowed):
    spec = TEMPLATE["spec"]
    larger = {"spec": {**spec, "containers": [{**c, "resources": MORE} for c in spec["containers"]]}}
    before, after = JOBS.created(job(suspend=True)), JOBS.created(job(suspend=True, template=larger))
    before["status"] = after["status"] = status
    assert (JOBS.kind.validate_update(after, before) == []) == allowed


NODES = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
    {"weight": 1, "preference": {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}}]}}  # fmt: skip
PODS = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a"}]}}
AFFINITIES = [
    (None, NODES, True),
    (NODES, None, True),
    (NODES, {}, True),
    ({}, None, True),
    (None, {}, True),
    ({**NODES, **PODS}, PODS, True),
    (PODS, {**NODES, **PODS}, True),
    (None, PODS, False),
    (PODS, None, False),
    (PODS, {}, False),
    ({**NODES, **PODS}, NODES, False),
]


@pytest.mark.parametrize("old,new,allowed", AFFINITIES)
def test_of_the_affinities_of_a_suspended_job_only_the_one_to_nodes_may_change(old, new, allowed):
    def told(affinity):
        spec = TEMPLATE["spec"] if affinity is None else {**TEMPLATE["spec"], "affinity": affinity}
        return JOBS.created(job(suspend=True, template={"spec": spec}))

    assert (JOBS.kind.validate_update(told(new), told(old)) == []) == allowed


@pytest.mark.parametrize("name,allowed", [(None, True), ("other", False)])
def test_a_containers_resources_may_change_but_not_its_name(name, allowed):
    spec = TEMPLATE["spec"]
    container = {**spec["containers"][0], "resources": MORE}
    after = job(
        suspend=True,
        template={"spec": {**spec, "containers": [{**container, **({"name": name} if name else {})}]}},
    )
    errors = JOBS.kind.validate_update(JOBS.created(after), JOBS.created(job(suspend=True)))
    assert [error.field for error in errors] == ([] if allowed else ["spec.template.spec"])


COMPLETE = [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]
TIMES = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z"}
STATUSES = [
    ({}, {"conditions": COMPLETE, **TIMES}, []),
    ({}, {"conditions": COMPLETE, **TIMES, "active": 1}, ["status.active: Invalid value: 1: active>0 is invalid for finished job"]),
    ({"conditions": COMPLETE, **TIMES}, {"startTime": TIMES["startTime"]},
        ["status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
         "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition"]),
    ({"failed": 2}, {"failed": 1}, ["status.failed: Invalid value: 1: cannot decrease the failed counter"]),
    ({}, {"completedIndexes": "0"},
        ['status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion'
         " mode"]),
    ({}, {"uncountedTerminatedPods": {"succeeded": ["a", "a"]}},
        ['status.uncountedTerminatedPods.succeeded[1]: Duplicate value: "a"']),
    # what was wrong before may stay, where it is not about what changes
    ({"completedIndexes": "0", "ready": 2}, {"completedIndexes": "0", "ready": 2, "failed": 1}, []),
    ({"conditions": COMPLETE, **TIMES}, {"conditions": COMPLETE, **TIMES, "terminating": 1, "ready": 1},
        ["status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
         "status.ready: Invalid value: 1: cannot set more ready pods than active"]),
    ({}, {"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "FailureTarget", "status": "True"}]},
        ["status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"]),
    ({"startTime": TIMES["startTime"]}, {"startTime": TIMES["completionTime"]},
        ["status.startTime: Required value: startTime cannot be removed for unsuspended job"]),
    ({"startTime": TIMES["startTime"], "conditions": [{"type": "Suspended", "status": "True"}]},
        {"startTime": TIMES["completionTime"], "conditions": [{"type": "Suspended", "status": "False"}]}, []),
]  # fmt: skip


OVERLAPS = [
    ("0-2,5", "3-4", None),
    ("0-2,5", "2", 2),
    ("1", "0-9", 1),
    ("x,3", "3", 3),
    ("", "1", None),
    ("7", "0,7", 7),
]


@pytest.mark.parametrize("completed,failed,both", OVERLAPS)
def test_an_index_fails_or_succeeds(completed, failed, both):
    indexed = job(completionMode="Indexed", completions=10, backoffLimitPerIndex=1)
    before, after = JOBS.created(indexed), JOBS.created(indexed)
    after["status"] = {"completedIndexes": completed, "failedIndexes": failed}
    found = [error.detail for error in JOBS.kind.validate_status_update(after, before)]
    overlap = f"failedIndexes and completedIndexes overlap at index: {both}"
    assert (overlap in found) == (both is not None)


@pytest.mark.parametrize("old,new,expected", STATUSES)
def test_statuses(old, new, expected):
    before, after = JOBS.created(job()), JOBS.created(job())
    before["status"], after["status"] = old, new
    assert [str(error) for error in JOBS.kind.validate_status_update(after, before)] == expected


@pytest.mark.parametrize(
    "spec,status,shown",
    [
        ({}, {}, ["Running", "0/1", ""]),
        (
            {"completions": 3},
            {"succeeded": 2, "startTime": "2026-01-02T05:03:05Z"},
            ["Running", "2/3", "60s"],
        ),
        ({"parallelism": 4}, {}, ["Running", "0/1 of 4", ""]),
        ({}, {"conditions": COMPLETE, **TIMES, "succeeded": 1}, ["Complete", "1/1", "60s"]),
        ({}, {"conditions": [{"type": "Suspended", "status": "True"}]}, ["Suspended", "0/1", ""]),
        ({}, {"conditions": [{"type": "Failed", "status": "True"}, *COMPLETE]}, ["Complete", "0/1", ""]),
    ],
)
def test_rows(spec, status, shown):
    assert JOBS.row_of({**job(**spec), "status": status})[1:4] == shown


def cron(**spec):
    return {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}, **spec}}


def test_a_cron_job():
    made = CRON.defaulted(cron())["spec"]
    assert made["concurrencyPolicy"] == "Allow"
    assert (made["successfulJobsHistoryLimit"], made["failedJobsHistoryLimit"], made["suspend"]) == (
        3,
        1,
        False,
    )
    assert CRON.errors(cron()) == []
    assert CRON.row_of(cron())[1:6] == ["* * * * *", "<none>", "False", 0, "<none>"]
    obj = CRON.defaulted({**cron(), "status": {"active": [{}], "lastScheduleTime": "2026-01-02T05:03:05Z"}})
    assert CRON.kind.cells(obj, NOW)[4:6] == [1, "60s"]


SCHEDULES = [
    ("*/5 0-3,6 1 JAN-mar ?", ""),
    ("@hourly", ""),
    ("@every 90m", ""),
    ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
    ("@sometimes", "unrecognized descriptor: @sometimes"),
    ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
    ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
    ("1/2/3 * * * *", "too many slashes: 1/2/3"),
    ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
    ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
    ("* 24 * * *", "end of range (24) above maximum (23): 24"),
    ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    ("*/-1 * * * *", "negative number (-1) not allowed: -1"),
]


@pytest.mark.parametrize("text,problem", SCHEDULES)
def test_schedules(text, problem):
    assert schedule.problem(text) == problem


@given(st.sets(st.integers(0, 30)))
def test_indexes_are_counted_as_they_are_written(indexes):
    ordered, parts = sorted(indexes), []
    while ordered:
        first = last = ordered.pop(0)
        while ordered and ordered[0] == last + 1:
            last = ordered.pop(0)
        parts.append(str(first) if first == last else f"{first}-{last}")
    assert count_indexes(",".join(parts), 31) == len(indexes)
