"""PUT, and what all updates share: preconditions, identity, status, finalizers, owners of fields, warnings."""

from __future__ import annotations

import asyncio

import pytest

from knarr.meta.errors import StatusError

from .conftest import (
    APPLY,
    CONFIGMAPS,
    DEPLOYMENTS,
    JSON_PATCH,
    MERGE,
    PODS,
    STRATEGIC,
    configmap,
    deployment,
    pod,
)


def test_of_puts_with_one_resource_version_one_wins(api, run):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        sent = [{**made, "data": {"winner": str(n)}} for n in range(20)]
        answers = await asyncio.gather(
            *(api("PUT", f"{CONFIGMAPS}/a", body) for body in sent), return_exceptions=True
        )
        won = [a for a in answers if isinstance(a, dict)]
        lost = [a for a in answers if isinstance(a, StatusError)]
        assert len(won) == 1 and len(lost) == 19
        assert {(e.code, e.reason) for e in lost} == {(409, "Conflict")}
        assert "the object has been modified; please apply your changes" in lost[0].status["message"]
        assert (await api("GET", f"{CONFIGMAPS}/a"))["data"] == won[0]["data"]

    run(main())


def test_puts_without_a_version_all_win(api, run):
    async def main():
        await api("POST", CONFIGMAPS, configmap("a"))
        await asyncio.gather(*(api("PUT", f"{CONFIGMAPS}/a", configmap("a", n=str(n))) for n in range(20)))
        assert list((await api("GET", f"{CONFIGMAPS}/a"))["data"]) == ["n"]

    run(main())


def test_an_update_that_changes_nothing_is_not_written(api, run):
    async def main():
        made = await api("POST", DEPLOYMENTS, deployment("a"))
        revision = api.store.revision
        for method, path, body, content_type in (
            ("PUT", "", made, "application/json"),
            ("PUT", "", deployment("a"), "application/json"),
            ("PATCH", "", {"spec": {"replicas": 1}}, MERGE),
            ("PATCH", "", {"spec": {"replicas": 1}}, STRATEGIC),
            ("PATCH", "", [{"op": "test", "path": "/spec/replicas", "value": 1}], JSON_PATCH),
            ("PATCH", "/status", {"spec": {"replicas": 7}}, MERGE),
        ):
            answer = await api(method, f"{DEPLOYMENTS}/a{path}", body, content_type)
            assert answer["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"], method
        assert api.store.revision == revision

    run(main())


PRECONDITIONS = [
    # changes of the metadata sent, code, part of the message
    ({"uid": "other"}, 409, "Precondition failed: UID in precondition: other"),
    ({"resourceVersion": "1"}, 409, "the object has been modified"),
    ({"resourceVersion": "x"}, 500, 'strconv.ParseUint: parsing "x": invalid syntax'),
    ({"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
    ({"name": ""}, 400, "the name of the object (a based on URL) was undeterminable"),
    ({"namespace": "m"}, 400, "the namespace of the provided object does not match"),
]


@pytest.mark.parametrize(("change", "code", "message"), PRECONDITIONS)
def test_a_put_of_another_object_is_refused(api, run, change, code, message):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        body = {**made, "metadata": {**made["metadata"], **change}, "data": {"x": "y"}}
        error = await api.refused("PUT", f"{CONFIGMAPS}/a", body)
        assert error.code == code and message in error.status["message"], error
        assert await api("GET", f"{CONFIGMAPS}/a") == made

    run(main())


def test_put_to_a_name_that_does_not_exist(api, run):
    async def main():
        error = await api.refused("PUT", f"{CONFIGMAPS}/a", configmap("a"))
        assert error.code == 404
        leases = "/apis/coordination.k8s.io/v1/namespaces/n/leases"
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
        result = await api.result("PUT", f"{leases}/l", lease)
        assert result.code == 201
        error = await api.refused("PUT", f"{leases}/m", {**lease, "metadata": {"name": "m", "uid": "u"}})
        assert error.code == 409 and "no existing object was found" in error.status["message"]

    run(main())


def test_status_and_the_rest_have_doors_of_their_own(api, run):
    async def main():
        made = await api("POST", DEPLOYMENTS, deployment("a"))
        both = {
            **made,
            "spec": {**made["spec"], "replicas": 5},
            "status": {"replicas": 3, "readyReplicas": 3},
        }
        after = await api("PUT", f"{DEPLOYMENTS}/a", both)
        assert (after["spec"]["replicas"], after["status"]) == (5, {})
        assert after["metadata"]["generation"] == 2
        both = {
            **after,
            "spec": {**after["spec"], "replicas": 9},
            "status": {"replicas": 3, "readyReplicas": 3},
        }
        after = await api("PUT", f"{DEPLOYMENTS}/a/status", both)
        assert after["spec"]["replicas"] == 5 and after["status"]["replicas"] == 3
        assert after["metadata"]["generation"] == 2
        owners = [(e["manager"], e.get("subresource", "")) for e in after["metadata"]["managedFields"]]
        assert owners == [("tests", ""), ("tests", "status")]

    run(main())


def test_the_last_finalizer_takes_the_object_along(api, run):
    async def main():
        for path, name, body in (
            (CONFIGMAPS, "a", configmap("a")),
            (PODS, "p", pod("p", node="node")),
        ):
            body["metadata"]["finalizers"] = ["x.y/a", "x.y/b"]
            await api("POST", path, body)
            await api("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})
            left = await api("PATCH", f"{path}/{name}", {"metadata": {"finalizers": ["x.y/b"]}}, MERGE)
            assert left["metadata"]["finalizers"] == ["x.y/b"]
            error = await api.refused(
                "PATCH", f"{path}/{name}", {"metadata": {"finalizers": ["x.y/c"]}}, MERGE
            )
            assert error.code == 422 and "no new finalizers can be added" in error.status["message"]
            last = await api("PATCH", f"{path}/{name}", {"metadata": {"finalizers": None}}, MERGE)
            assert "finalizers" not in last["metadata"]
            assert await api.absent(f"{path}/{name}")

    run(main())


def test_a_finalizer_removed_before_the_delete_keeps_the_object(api, run):
    async def main():
        body = configmap("a")
        body["metadata"]["finalizers"] = ["x.y/a"]
        await api("POST", CONFIGMAPS, body)
        await api("PATCH", f"{CONFIGMAPS}/a", {"metadata": {"finalizers": []}}, MERGE)
        assert not await api.absent(f"{CONFIGMAPS}/a")

    run(main())


@pytest.mark.parametrize("sent", [[], [{}]])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_owners_are_forgotten_on_request(api, run, sent, method):
    async def main():
        made = await api("POST", CONFIGMAPS, configmap("a"))
        assert made["metadata"].pop("managedFields")
        body = {**made, "metadata": {**made["metadata"], "managedFields": sent}}
        kind = ("application/json",) if method == "PUT" else (MERGE,)
        assert "managedFields" not in (await api(method, f"{CONFIGMAPS}/a", body, *kind))["metadata"]

    run(main())


OTHER_VERSIONS = [
    (DEPLOYMENTS, "apps/v1beta1", "Deployment", "apps/v1"),
    (DEPLOYMENTS, "extensions/v1beta1", "Deployment", "apps/v1"),
    (
        "/apis/autoscaling/v2/namespaces/n/horizontalpodautoscalers",
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
    ),
    ("/api/v1/namespaces/n/events", "events.k8s.io/v1", "Event", "v1"),
]


@pytest.mark.parametrize(("path", "sent", "kind", "expected"), OTHER_VERSIONS)
def test_an_object_of_another_version_than_the_paths(api, run, path, sent, kind, expected):
    async def main():
        error = await api.refused("POST", path, {"apiVersion": sent, "kind": kind, "metadata": {"name": "a"}})
        assert (error.code, error.status["message"]) == (
            400,
            f"the API version in the data ({sent}) does not match the expected API version ({expected})",
        )

    run(main())


NOT_ONE = [
    # body, content type, what is said
    (
        {"kind": "List", "apiVersion": "v1", "items": []},
        "application/json",
        "converting (v1.List) to (core.ConfigMap)",
    ),
    (
        {"kind": "Status", "apiVersion": "v1"},
        "application/json",
        "converting (v1.Status) to (core.ConfigMap)",
    ),
    (
        {"kind": "DeleteOptions", "apiVersion": "apps/v1"},
        "application/json",
        "converting (v1.DeleteOptions) to",
    ),
    (
        {"kind": "List", "apiVersion": "apps/v1"},
        "application/json",
        'no kind "List" is registered for version',
    ),
    (b"- a", "application/yaml", "(2d2061)"),
    (b"!!binary x", "application/yaml", "(212162696e6172792078)"),
    (b" {", "application/json", "unexpected end of JSON input (207b)"),
]


@pytest.mark.parametrize(("body", "content_type", "said"), NOT_ONE)
def test_what_is_no_object_of_the_path(api, run, body, content_type, said):
    async def main():
        error = await api.refused("POST", CONFIGMAPS, body, content_type)
        assert error.code == 400 and said in error.status["message"], error.status["message"]

    run(main())


OF_STATUS = [
    # kind, made first, what an applier of the status says of metadata, what of that it owns
    (DEPLOYMENTS, lambda: deployment("a"), {"labels": {"x": "y"}}, None),
    (DEPLOYMENTS, lambda: deployment("a"), {"annotations": {"x": "y"}}, {"f:annotations": {"f:x": {}}}),
    (
        PODS,
        lambda: pod("a"),
        {
            "labels": {"x": "y"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "b", "uid": "1"}],
        },
        {"f:labels": {"f:x": {}}},
    ),
]


@pytest.mark.parametrize(("path", "made", "metadata", "owned"), OF_STATUS)
def test_who_writes_the_status_owns_only_what_that_may_change(api, run, path, made, metadata, owned):
    async def main():
        obj = await api("POST", path, made())
        config = {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "metadata": {"name": "a", **metadata},
            "status": {"conditions": [{"type": "x", "status": "True"}]},
        }
        after = await api("PATCH", f"{path}/a/status", config, APPLY, fieldManager="m")
        (entry,) = [e for e in after["metadata"]["managedFields"] if e["manager"] == "m"]
        assert entry["fieldsV1"].get("f:metadata") == owned and "f:status" in entry["fieldsV1"]

    run(main())


def test_several_options_are_told_in_order(api, run):
    async def main():
        query = {"dryRun": "x", "fieldManager": "\x01", "fieldValidation": "y"}
        error = await api.refused("POST", CONFIGMAPS, configmap("a"), **query)
        assert [cause["field"] for cause in error.status["details"]["causes"]] == [
            "fieldManager",
            "dryRun",
            "fieldValidation",
        ]
        await api("POST", CONFIGMAPS, configmap("a"), force="true")

    run(main())


REVISIONS = "/apis/apps/v1/namespaces/n/controllerrevisions"
TIGHT, WIDE = (
    b'{"metadata":{"name":"r"},"revision":1,"data":{"x":1}}',
    b'{"metadata": {"name": "r"}, "revision": 1, "data": {"x": 1}}',
)
RAW = [
    (TIGHT, ("PATCH", b'{"revision":2}', MERGE), True),
    (TIGHT, ("PUT", TIGHT.replace(b'1,"', b'2,"'), "application/json"), True),
    (TIGHT, ("PUT", WIDE.replace(b"1, ", b"2, "), "application/json"), False),
    (WIDE, ("PATCH", b'{"revision": 2}', MERGE), False),
    (WIDE, ("PUT", WIDE.replace(b"1, ", b"2, "), "application/json"), True),
    (WIDE, ("PUT", TIGHT.replace(b'1,"', b'2,"'), "application/json"), False),
]


@pytest.mark.parametrize(("made", "change", "allowed"), RAW)
def test_data_of_a_revision_is_compared_as_it_was_sent(api, run, made, change, allowed):
    async def main():
        await api("POST", REVISIONS, made)
        method, body, content_type = change
        if allowed:
            changed = await api(method, f"{REVISIONS}/r", body, content_type)
            assert (changed["revision"], changed["data"]) == (2, {"x": 1})
        else:
            error = await api.refused(method, f"{REVISIONS}/r", body, content_type)
            (cause,) = error.status["details"]["causes"]
            assert cause["message"] == 'Invalid value: {"x":1}: field is immutable'

    run(main())


OLD_LABEL = {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}


@pytest.mark.parametrize(
    "path,given,warned",
    [
        ("/apis/apps/v1/namespaces/default/deployments", {}, (1, 1, 1)),
        ("/apis/apps/v1/namespaces/default/replicasets", {}, (1, 1, 1)),
        ("/apis/apps/v1/namespaces/default/statefulsets", {}, (1, 1, 1)),
        ("/apis/apps/v1/namespaces/default/daemonsets", {}, (1, None, 0)),
        ("/apis/apps/v1/namespaces/default/statefulsets", {"revisionHistoryLimit": -1}, (2, 2, 2)),
    ],
)
def test_templates_are_warned_of_again_when_the_generation_is_new(api, run, path, given, warned):
    async def main():
        pod = {"containers": [{"name": "c", "image": "i"}], **OLD_LABEL}
        template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **given}
        seen = []
        await api("POST", path, {"metadata": {"name": "w"}, "spec": spec})
        seen.append(len(api.warnings))
        if warned[1] is not None:
            await api("PATCH", f"{path}/w/scale", {"spec": {"replicas": 3}}, MERGE)
            seen.append(len(api.warnings))
        await api("PATCH", f"{path}/w", {"spec": {"minReadySeconds": 5}}, MERGE)
        seen.append(len(api.warnings))
        assert seen == [n for n in warned if n is not None]
        await api("PATCH", f"{path}/w", {"metadata": {"labels": {"x": "y"}}}, MERGE)
        assert len(api.warnings) == len(given)

    run(main())
