"""Kinds that are served in two versions or groups, and stored once."""

from __future__ import annotations

import orjson
import pytest

from knarr.registry.local import LocalAPI

from .conftest import APPLY, MERGE, deployment

V1 = "/apis/autoscaling/v1/namespaces/n/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/n/horizontalpodautoscalers"
CORE = "/api/v1/namespaces/n/events"
EVENTS = "/apis/events.k8s.io/v1/namespaces/n/events"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def autoscaler(version: str, **spec) -> dict:
    return {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a"},
        "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, **spec},
    }


def utilization(percent: int) -> dict:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def test_an_autoscaler_is_one_object_in_both_versions(api, run):
    async def main():
        old = await api("POST", V1, autoscaler("v1", targetCPUUtilizationPercentage=60))
        new = await api("GET", f"{V2}/a")
        assert new["spec"]["metrics"] == [utilization(60)]
        assert (new["apiVersion"], old["apiVersion"]) == ("autoscaling/v2", "autoscaling/v1")
        assert new["metadata"]["uid"] == old["metadata"]["uid"]
        assert new["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]
        await api("PATCH", f"{V2}/a", {"spec": {"metrics": [utilization(70)]}}, MERGE)
        assert (await api("GET", f"{V1}/a"))["spec"]["targetCPUUtilizationPercentage"] == 70
        for path, version in ((V1, "v1"), (V2, "v2")):
            answer = await api("GET", path)
            assert answer["apiVersion"] == f"autoscaling/{version}"
            assert ("metrics" in answer["items"][0]["spec"]) == (version == "v2")

    run(main())


def test_what_the_old_version_cannot_say_survives_it(api, run):
    async def main():
        pods = {
            "type": "Pods",
            "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "5"}},
        }
        made = await api("POST", V2, autoscaler("v2", metrics=[utilization(50), pods]))
        old = await api("GET", f"{V1}/a")
        assert "autoscaling.alpha.kubernetes.io/metrics" in old["metadata"]["annotations"]
        old["spec"]["maxReplicas"] = 9
        await api("PUT", f"{V1}/a", old)
        new = await api("GET", f"{V2}/a")
        assert new["spec"]["maxReplicas"] == 9
        # the percentage, which the old version has a field for, comes last
        assert new["spec"]["metrics"] == made["spec"]["metrics"][::-1]
        assert "annotations" not in new["metadata"]

    run(main())


OTHERS = [f"autoscaling.alpha.kubernetes.io/{name}" for name in ("metrics", "behavior", "conditions")]


def test_annotations_of_the_old_version_are_nothing_else(api, run):
    async def main():
        noise = {"annotations": {"a": "b", **dict.fromkeys(OTHERS, "x")}}
        for path, version in ((V1, "v1"), (V2, "v2")):
            body = autoscaler(version)
            made = await api("POST", path, {**body, "metadata": {"name": version, **noise}})
            assert made["metadata"]["annotations"] == {"a": "b"}
            (entry,) = made["metadata"]["managedFields"]
            assert entry["fieldsV1"]["f:metadata"] == {"f:annotations": {".": {}, "f:a": {}}}
            again = await api("PATCH", f"{path}/{version}", {"metadata": noise}, MERGE)
            assert again == made
        told = await api(
            "PATCH", f"{V1}/v1/status", {"status": {"currentCPUUtilizationPercentage": 44}}, MERGE
        )
        assert told["metadata"]["managedFields"][-1]["fieldsV1"] == {
            "f:metadata": {"f:annotations": {"f:autoscaling.alpha.kubernetes.io/current-metrics": {}}},
            "f:status": {"f:currentCPUUtilizationPercentage": {}},
        }

    run(main())


def test_an_event_is_one_object_in_both_groups(api, run):
    async def main():
        regarding = {"kind": "Pod", "namespace": "n", "name": "p"}
        made = await api(
            "POST",
            EVENTS,
            {
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {"name": "e"},
                "eventTime": "2027-01-01T00:00:00.123456Z",
                "reportingController": "x.y/z",
                "reportingInstance": "i",
                "action": "Doing",
                "reason": "Because",
                "type": "Normal",
                "regarding": regarding,
                "note": "said",
            },
        )
        core = await api("GET", f"{CORE}/e")
        assert (core["involvedObject"], core["message"], core["reportingComponent"]) == (
            regarding,
            "said",
            "x.y/z",
        )
        assert core["metadata"]["uid"] == made["metadata"]["uid"]
        for path, selector, count in (
            (CORE, "involvedObject.name=p", 1),
            (CORE, "reportingComponent=x.y/z", 1),
            (EVENTS, "regarding.name=p,reportingController=x.y/z", 1),
            (EVENTS, "regarding.name=q", 0),
        ):
            assert len((await api("GET", path, fieldSelector=selector))["items"]) == count, selector
        for path, selector in ((EVENTS, "involvedObject.name=p"), (CORE, "regarding.name=p")):
            error = await api.refused("GET", path, fieldSelector=selector)
            assert "field label not supported" in error.status["message"]

    run(main())


def owned(obj: dict) -> dict:
    return {
        (entry["manager"], entry["operation"], entry["apiVersion"]): entry["fieldsV1"]
        for entry in obj["metadata"]["managedFields"]
    }


def test_who_writes_in_one_version_leaves_the_owners_of_the_other(api, run):
    async def main():
        applied = autoscaler("v1", targetCPUUtilizationPercentage=60, minReplicas=2)
        await api("PATCH", f"{V1}/a", applied, APPLY, fieldManager="ap")
        await api("PATCH", f"{V2}/a", {"spec": {"maxReplicas": 9}}, MERGE, fieldManager="up")
        new = await api(
            "PATCH", f"{V2}/a", {"spec": {"metrics": [utilization(70)]}}, MERGE, fieldManager="up"
        )
        assert owned(new) == {
            ("ap", "Apply", "autoscaling/v1"): {"f:spec": {"f:minReplicas": {}, "f:scaleTargetRef": {}}},
            ("up", "Update", "autoscaling/v2"): {"f:spec": {"f:maxReplicas": {}, "f:metrics": {}}},
        }
        # what nobody applies any more goes, whichever version it was applied in
        del applied["spec"]["minReplicas"]
        conflict = await api.refused("PATCH", f"{V1}/a", applied, APPLY, fieldManager="ap")
        causes = conflict.status["details"]["causes"]
        assert [cause["field"] for cause in causes] == [".spec.maxReplicas", ".spec.metrics"]
        only = {**autoscaler("v2"), "spec": {"scaleTargetRef": TARGET}}
        left = await api("PATCH", f"{V2}/a", only, APPLY, fieldManager="ap")
        assert left["spec"]["minReplicas"] == 1
        assert left["spec"]["metrics"] == [utilization(70)]

    run(main())


def test_an_event_keeps_the_owners_of_the_other_group(api, run):
    async def main():
        event = {
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "namespace": "n"},
            "reason": "R",
        }
        await api("POST", f"{CORE}", event, fieldManager="old")
        new = await api(
            "PATCH", f"{EVENTS}/e", {"metadata": {"labels": {"a": "b"}}}, MERGE, fieldManager="new"
        )
        assert [key[::2] for key in owned(new)] == [("new", "events.k8s.io/v1"), ("old", "v1")]

    run(main())


ROLLBACK, GENERATION = "deprecated.deployment.rollback.to", "deprecated.daemonset.template.generation"
FIELDS_ONCE = [
    # resource, annotation, its text, what it becomes or part of the message
    ("deployments", ROLLBACK, "+07", "7"),
    ("deployments", ROLLBACK, "", None),
    ("deployments", ROLLBACK, "x", 'annotation[deprecated.deployment.rollback.to]=x as int64: strconv.ParseInt: parsing "x": '),
    ("deployments", ROLLBACK, "-1", "spec.rollback.version: Invalid value: -1: must be greater than or equal to 0"),
    ("daemonsets", GENERATION, "+07", "7"),
    ("daemonsets", GENERATION, "-3", "1"),
    ("daemonsets", GENERATION, "", 'cannot be handled as a DaemonSet: strconv.ParseInt: parsing "": invalid syntax'),
    ("daemonsets", GENERATION, "9" * 20, ": value out of range"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "name", "text", "expected"), FIELDS_ONCE)
def test_annotations_that_were_fields_once(api, run, resource, name, text, expected):
    async def main():
        path = f"/apis/apps/v1/namespaces/n/{resource}"
        body = deployment("a")
        body["kind"] = "Deployment" if resource == "deployments" else "DaemonSet"
        body["spec"].pop("replicas", None)
        plain = await api("POST", path, body)
        noted = {**body, "metadata": {"name": "b", "annotations": {name: text}}}
        patch = {"metadata": {"annotations": {name: text}}}
        if expected is None or expected.isdigit():
            assert (await api("POST", path, noted))["metadata"].get("annotations", {}).get(name) == expected
        else:
            for asked in (("POST", path, noted), ("PATCH", f"{path}/a", patch, MERGE)):
                error = await api.refused(*asked)
                assert expected.removeprefix("cannot be handled as a DaemonSet") in error.status["message"]
            assert await api("GET", f"{path}/a") == plain

    run(main())


def test_events_end_with_their_hour(api, run):
    async def main():
        import asyncio

        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "namespace": "n", "name": "p"},
        }
        await api("POST", CORE, event)
        await asyncio.sleep(3590)
        assert not await api.absent(f"{CORE}/e")
        await asyncio.sleep(130)
        assert await api.absent(f"{CORE}/e")

    run(main())


def test_subscribers_get_the_version_they_asked_for(api, run):
    async def main():
        seen: list[tuple[str, dict]] = []

        def take(batch):
            seen.extend((type_, orjson.loads(entry.body)) for type_, entry, _ in batch)

        await api("POST", V2, autoscaler("v2", metrics=[utilization(50)]))
        view = api.registry.view("autoscaling", "v1", "horizontalpodautoscalers")
        watcher = await LocalAPI(api.operations).subscribe(
            view.row, "", "", "", None, take, lambda error: None
        )
        await api("PATCH", f"{V2}/a", {"spec": {"maxReplicas": 7}}, MERGE)
        await api("DELETE", f"{V2}/a")
        import asyncio

        await asyncio.sleep(0)
        watcher.close()
        assert [type_ for type_, _ in seen] == ["ADDED", "MODIFIED", "DELETED"]
        assert {obj["apiVersion"] for _, obj in seen} == {"autoscaling/v1"}
        assert seen[1][1]["spec"] == {
            **autoscaler("v1")["spec"],
            "maxReplicas": 7,
            "minReplicas": 1,
            "targetCPUUtilizationPercentage": 50,
        }

    run(main())
