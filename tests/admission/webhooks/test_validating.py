"""Validating webhooks: what they are sent, when they are asked, what their answers do."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from knarr.api.catalog import BY_GVR

from .scene import GROUP, Scene, config_map, rule, run


def test_the_review_that_is_sent(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Validating", s.webhook("a.example.com", timeoutSeconds=7))
            query = {"dryRun": "All", "fieldManager": "me", "fieldValidation": "Strict"}
            created = await s.create(config_map(data={"k": "v"}), query=query)
            (seen,) = s.server.seen
            assert seen.url == "/a?timeout=7s"
            assert seen.headers["user-agent"] == "kube-apiserver-admission"
            ((_, request),) = s.asked
            kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
            resource = {"group": "", "version": "v1", "resource": "configmaps"}
            obj = request.pop("object")
            assert request == {
                "uid": request["uid"],
                "kind": kind,
                "resource": resource,
                "requestKind": kind,
                "requestResource": resource,
                "name": "m",
                "namespace": "default",
                "operation": "CREATE",
                "userInfo": {
                    "username": "jane",
                    "uid": "7",
                    "groups": ["devs", "system:masters"],
                    "extra": {"scopes": ["a", "b"]},
                },
                "oldObject": None,
                "dryRun": True,
                "options": {
                    "kind": "CreateOptions",
                    "apiVersion": "meta.k8s.io/v1",
                    "dryRun": ["All"],
                    "fieldManager": "me",
                    "fieldValidation": "Strict",
                },
            }
            assert list(obj)[:2] == ["kind", "apiVersion"]
            assert obj == created and obj["metadata"]["managedFields"][0]["manager"] == "me"

    run(main())


def test_updates_patches_and_deletes_hold_the_old_object(authority):
    async def main():
        async with Scene(authority) as s:
            await s.create(config_map())
            await s.configure("Validating", s.webhook("a.example.com"))
            await s.do("update", "configmaps", config_map(data={"k": "1"}), name="m")
            merge = "application/merge-patch+json"
            await s.do("patch", "configmaps", {"data": {"k": "2"}}, name="m", content_type=merge)
            await s.do("delete", "configmaps", name="m", query={"gracePeriodSeconds": "3"})
            updated, patched, deleted = (request for _, request in s.asked)
            assert updated["operation"] == patched["operation"] == "UPDATE"
            assert (updated["oldObject"].get("data"), updated["object"]["data"]) == (None, {"k": "1"})
            assert (patched["oldObject"]["data"], patched["object"]["data"]) == ({"k": "1"}, {"k": "2"})
            assert updated["options"]["kind"] == patched["options"]["kind"] == "UpdateOptions"
            assert deleted["object"] is None and deleted["oldObject"]["data"] == {"k": "2"}
            assert deleted["oldObject"]["metadata"]["resourceVersion"]
            assert deleted["options"] == {
                "kind": "DeleteOptions",
                "apiVersion": "meta.k8s.io/v1",
                "gracePeriodSeconds": 3,
            }

    run(main())


def test_a_collection_is_deleted_object_by_object(authority):
    async def main():
        async with Scene(authority) as s:
            for name in "ab":
                await s.create(config_map(name))
            await s.configure("Validating", s.webhook("a.example.com"))
            s.answers["a"] = lambda request: {"allowed": request["oldObject"]["metadata"]["name"] != "b"}
            status = await s.refusal("deletecollection", "configmaps")
            assert (
                status["message"]
                == 'admission webhook "a.example.com" denied the request without explanation'
            )
            assert sorted(r["oldObject"]["metadata"]["name"] for _, r in s.asked) == ["a", "b"]
            assert all("name" not in request for _, request in s.asked)

    run(main())


def test_a_pod_that_is_being_deleted_is_not_asked_about_again(authority):
    async def main():
        async with Scene(authority) as s:
            account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
            await s.create(account, "serviceaccounts")
            node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}}
            await s.create(node, "nodes", namespace="")
            spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
            metadata = {"name": "p", "labels": {"hook": "1"}}
            await s.create({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec}, "pods")
            await s.configure("Validating", s.webhook("a.example.com"))
            for _ in range(3):
                await s.do("delete", "pods", name="p")
            assert len(s.asked) == 1
            await s.do("delete", "pods", name="p", query={"gracePeriodSeconds": "0"})
            assert len(s.asked) == 2

    run(main())


#: response fields -> the Status (without kind, apiVersion, metadata, status)
DENIALS = [
    ({}, {"message": "{} without explanation", "code": 400}),
    ({"status": {"message": "no"}}, {"message": "{}: no", "code": 400}),
    ({"status": {"reason": "Teapot"}}, {"message": "{}: Teapot", "reason": "Teapot", "code": 400}),
    (
        {"status": {"code": 403, "message": "no", "reason": "Forbidden", "details": {"name": "x"}}},
        {"message": "{}: no", "reason": "Forbidden", "details": {"name": "x"}, "code": 403},
    ),
    ({"status": {"code": 200, "status": "Success", "message": "ok"}}, {"message": "{}: ok", "code": 400}),
]


@pytest.mark.parametrize(("response", "wanted"), DENIALS)
def test_denials(authority, response, wanted):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Validating", s.webhook("a.example.com", failurePolicy="Ignore"))
            s.answers["a"] = lambda request: {"allowed": False, **response}
            status = await s.refusal("create", "configmaps", config_map())
            head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
            denied = 'admission webhook "a.example.com" denied the request'
            assert status == {**head, **wanted, "message": wanted["message"].format(denied)}
            assert (await s.do("list", "configmaps"))["items"] == []

    run(main())


def raw(body: str, code: int = 200, kind: str = "application/json"):
    return lambda request: (code, {"content-type": kind}, body.replace("UID", request["uid"]).encode())


REVIEW = '{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": '
FAILED, INVALID = "failed to call webhook: ", "received invalid webhook response: "
#: an answer -> why it is as good as none
FAILURES = {
    "no response": (raw(REVIEW + "null}"), INVALID + "webhook response was absent"),
    "another uid": (raw(REVIEW + '{"uid": "x"}}'), INVALID + 'expected response.uid="UID", got "x"'),
    "no type": (
        raw('{"response": {"uid": "UID", "allowed": true}}'),
        INVALID + "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
    ),
    "another version": (
        raw('{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "response": {}}'),
        FAILED + "converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
    ),
    "a patch": (
        raw(REVIEW + '{"uid": "UID", "allowed": true, "patch": "W10="}}'),
        INVALID + "validating webhook may not return response.patch",
    ),
    "a patch type": (
        raw(REVIEW + '{"uid": "UID", "allowed": true, "patchType": "JSONPatch"}}'),
        INVALID + "validating webhook may not return response.patchType",
    ),
    "nothing": (
        raw(""),
        FAILED + "0-length response with status code: 200 and content type: application/json",
    ),
    "half": (
        raw('{"kind": '),
        FAILED + "couldn't get version/kind; json parse error: unexpected end of JSON input",
    ),
    "wrong types": (
        raw(REVIEW + '{"uid": "UID", "allowed": "yes"}}'),
        FAILED
        + "json: cannot unmarshal string into Go struct field AdmissionResponse.response.allowed of type bool",
    ),
    "a wrong code": (
        raw(REVIEW + '{"uid": "UID", "status": {"code": "403"}}}'),
        FAILED
        + "json: cannot unmarshal string into Go struct field Status.response.status.code of type int32",
    ),
    "a truthful code": (
        raw(REVIEW + '{"uid": "UID", "status": {"code": true}}}'),
        FAILED + "json: cannot unmarshal bool into Go struct field Status.response.status.code of type int32",
    ),
    "500": (
        raw("oh no", 500, "text/plain"),
        FAILED + 'an error on the server ("oh no") has prevented the request from succeeding',
    ),
    "404": (raw("", 404), FAILED + "the server could not find the requested resource"),
    "a Status": (
        raw('{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "busy"}', 503),
        FAILED + "busy",
    ),
    "silence": (lambda request: None, FAILED + 'Post "URL": EOF'),
    "late": (
        lambda request: asyncio.sleep(1.5, {}),
        FAILED + 'Post "URL": context deadline exceeded',
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures_refuse_or_are_passed_over(authority, case):
    answer, words = FAILURES[case]

    async def main():
        async with Scene(authority) as s:
            fail = s.webhook("a.example.com", timeoutSeconds=1)
            s.answers["a"] = answer
            await s.configure("Validating", fail)
            status = await s.refusal("create", "configmaps", config_map())
            url = f"https://127.0.0.1:{s.server.port}/a?timeout=1s"
            why = words.replace("URL", url).replace("UID", s.asked[-1][1]["uid"])
            why = f'failed calling webhook "a.example.com": {why}'
            assert status["message"] == f"Internal error occurred: {why}"
            assert (status["code"], status["reason"]) == (500, "InternalError")
            assert status["details"] == {"causes": [{"message": why}]}
            ignore = await s.do(
                "get", "validatingwebhookconfigurations", name="it", group=GROUP, namespace=""
            )
            ignore["webhooks"][0]["failurePolicy"] = "Ignore"
            await s.do(
                "update", "validatingwebhookconfigurations", ignore, name="it", group=GROUP, namespace=""
            )
            await s.create(config_map())
            key = "failed-open.validating.webhook.admission.k8s.io/round_0_index_0"
            assert s.last.annotations[key] == "a.example.com"

    run(main())


def test_v1beta1_is_spoken_where_it_is_asked_for(authority):
    async def main():
        async with Scene(authority) as s:
            hook = s.webhook("a.example.com", admissionReviewVersions=["v2", "v1beta1", "v1"])
            await s.configure("Validating", hook)
            s.answers["a"] = lambda request: {"uid": "ignored", "allowed": False}
            status = await s.refusal("create", "configmaps", config_map())
            assert status["message"].endswith("denied the request without explanation")

    run(main())


def test_several_are_asked_at_once_and_one_may_refuse(authority):
    async def main():
        async with Scene(authority) as s:
            there: list[str] = []
            everybody = asyncio.Event()

            async def meet(request, name):
                there.append(name)
                if len(there) == 3:
                    everybody.set()
                await everybody.wait()
                return {"allowed": name != "b", "status": {"message": name}}

            hooks = [s.webhook(f"{name}.example.com") for name in "abc"]
            for name in "abc":
                s.answers[name] = lambda request, name=name: meet(request, name)
            await s.configure("Validating", *hooks)
            status = await s.refusal("create", "configmaps", config_map())
            assert status["message"] == 'admission webhook "b.example.com" denied the request: b'

    run(main())


def test_warnings_and_audit_annotations(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Validating", s.webhook("a.example.com"))
            s.answers["a"] = lambda request: {
                "warnings": ["first", "second", "first", "con\ntrol"],
                "auditAnnotations": {"why": "because", "not/valid": "x", "": "y"},
            }
            await s.create(config_map())
            assert s.last.warnings == ["first", "second"]
            assert s.last.annotations == {"a.example.com/why": "because"}

    run(main())


def test_dry_runs_need_a_webhook_without_side_effects(authority):
    async def main():
        async with Scene(authority) as s:
            hook = s.webhook("a.example.com", failurePolicy="Ignore")
            made = await s.configure("Validating", hook)
            # an old configuration: no longer accepted, yet it may be stored
            made["webhooks"][0]["sideEffects"] = "Some"
            await s.plane.store.put(b"/registry/validatingwebhookconfigurations/it", orjson.dumps(made))
            status = await s.refusal("create", "configmaps", config_map(), query={"dryRun": "All"})
            assert status["message"] == 'admission webhook "a.example.com" does not support dry run'
            assert (status["code"], status["reason"]) == (400, "BadRequest")
            assert s.asked == []
            await s.create(config_map())
            assert len(s.asked) == 1

    run(main())


#: fields of a webhook -> which of the requests of `test_who_is_asked` it sees
MATCHES = {
    "all": ({}, ["namespaces", "configmaps", "pods/status", "clusterroles", "configmaps"]),
    "core": ({"rules": [rule(apiGroups=[""])]}, ["namespaces", "configmaps", "pods/status", "configmaps"]),
    "main": ({"rules": [rule(resources=["*"])]}, ["namespaces", "configmaps", "clusterroles", "configmaps"]),
    "status": ({"rules": [rule(resources=["*/status"])]}, ["pods/status"]),
    "below pods": ({"rules": [rule(resources=["pods/*"])]}, ["pods/status"]),
    "named": (
        {"rules": [rule(resources=["pods/status", "configmaps"])]},
        ["configmaps", "pods/status", "configmaps"],
    ),
    "creating": ({"rules": [rule(operations=["CREATE"])]}, ["namespaces", "configmaps", "clusterroles"]),
    "deleting": ({"rules": [rule(operations=["DELETE"])]}, ["configmaps"]),
    "cluster": ({"rules": [rule(scope="Cluster")]}, ["namespaces", "clusterroles"]),
    "namespaced": ({"rules": [rule(scope="Namespaced")]}, ["configmaps", "pods/status", "configmaps"]),
    "two rules": (
        {"rules": [rule(resources=["pods/status"]), rule(resources=["clusterroles"])]},
        ["pods/status", "clusterroles"],
    ),
    "other versions": ({"rules": [rule(apiVersions=["v2"])]}, []),
    "in namespaces of": (
        {"namespaceSelector": {"matchLabels": {"team": "a"}}},
        ["namespaces", "configmaps", "pods/status", "clusterroles", "configmaps"],
    ),
    "not in namespaces of": (
        {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}},
        ["clusterroles"],
    ),
    "objects": ({"objectSelector": {"matchLabels": {"hook": "no"}}}, []),
    "a condition": (
        {"matchConditions": [{"name": "c", "expression": "request.resource.resource == 'clusterroles'"}]},
        ["clusterroles"],
    ),
    "conditions of the object": (
        {"matchConditions": [{"name": "c", "expression": "has(object.data) || oldObject != null"}]},
        ["pods/status", "configmaps"],
    ),
    "conditions of rights": (
        {
            "matchConditions": [
                {
                    "name": "c",
                    "expression": "!authorizer.group('').resource('pods').check('get').allowed()",
                }
            ]
        },
        [],
    ),
}


@pytest.mark.parametrize("case", MATCHES)
def test_who_is_asked(authority, case):
    fields, wanted = MATCHES[case]
    labels = {"hook": "yes", "team": "a"}

    async def main():
        async with Scene(authority) as s:
            pod = {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": {"name": "p", "labels": labels, "namespace": "n"},
                "spec": {"containers": [{"name": "c", "image": "i"}], "serviceAccountName": "default"},
            }
            namespace = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "n", "labels": labels}}
            account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
            role = {
                "kind": "ClusterRole",
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "metadata": {"name": "r"},
            }
            role["metadata"]["labels"] = labels
            await s.configure("Validating", s.webhook("a.example.com", **fields))
            await s.create(namespace, "namespaces", namespace="")
            await s.create(account, "serviceaccounts", namespace="n")
            await s.create(config_map(metadata={"name": "m", "labels": labels}), namespace="n")
            configurations = "validatingwebhookconfigurations"
            kept = await s.do("get", configurations, name="it", group=GROUP, namespace="")
            await s.do("delete", configurations, name="it", group=GROUP, namespace="")
            pod = await s.create(pod, "pods", namespace="n")
            kept["metadata"].pop("resourceVersion")
            await s.create(kept, configurations, group=GROUP, namespace="")
            await s.do("update", "pods", pod, namespace="n", name="p", subresource="status")
            await s.create(role, "clusterroles", group="rbac.authorization.k8s.io", namespace="")
            await s.do("delete", "configmaps", namespace="n", name="m")
            seen = [
                "/".join(filter(None, (r["resource"]["resource"], r.get("subResource")))) for _, r in s.asked
            ]
            assert seen == wanted

    run(main())


def test_namespaces_lie_in_themselves(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Validating", s.webhook("a.example.com"))
            obj = {
                "kind": "Namespace",
                "apiVersion": "v1",
                "metadata": {"name": "n", "labels": {"hook": "1"}},
            }
            await s.create(obj, "namespaces", namespace="")
            ((_, request),) = s.asked
            assert (request["name"], request["namespace"]) == ("n", "n")

    run(main())


def test_conditions_that_fail(authority):
    async def main():
        async with Scene(authority) as s:
            conditions = [{"name": "c", "expression": "object.data.missing == 'x'"}]
            await s.configure("Validating", s.webhook("a.example.com", matchConditions=conditions))
            status = await s.refusal("create", "configmaps", config_map(data={}))
            assert status["code"] == 403
            assert status["message"].startswith('configmaps "m" is forbidden: expression ')
            # one that is false decides, whatever else fails
            conditions.append({"name": "d", "expression": "false"})
            await s.configure("Validating", name="other")
            made = await s.do("get", "validatingwebhookconfigurations", name="it", group=GROUP, namespace="")
            made["webhooks"][0]["matchConditions"] = conditions
            await s.do(
                "update", "validatingwebhookconfigurations", made, name="it", group=GROUP, namespace=""
            )
            await s.create(config_map())
            made = await s.do("get", "validatingwebhookconfigurations", name="it", group=GROUP, namespace="")
            made["webhooks"][0] |= {"matchConditions": conditions[:1], "failurePolicy": "Ignore"}
            await s.do(
                "update", "validatingwebhookconfigurations", made, name="it", group=GROUP, namespace=""
            )
            await s.create(config_map("other"))
            assert s.asked == []

    run(main())


def test_configurations_are_never_shown(authority):
    async def main():
        async with Scene(authority) as s:
            everything = s.webhook("a.example.com", objectSelector={})
            s.answers["a"] = lambda request: {"allowed": False}
            await s.configure("Validating", everything)
            await s.configure("Mutating", everything)
            await s.do("delete", "validatingwebhookconfigurations", name="it", group=GROUP, namespace="")
            await s.do("delete", "mutatingwebhookconfigurations", name="it", group=GROUP, namespace="")
            assert s.asked == []
            await s.create(config_map())

    run(main())


def test_equivalents_are_sent_in_the_webhooks_version(authority):
    event = {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": {"name": "e", "labels": {"hook": "1"}},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "c",
        "reportingInstance": "i",
        "action": "a",
        "reason": "r",
        "type": "Normal",
        "regarding": {"kind": "Namespace", "name": "default"},
        "note": "hello",
    }
    rules = [rule(apiGroups=[""], resources=["events"])]

    async def main():
        async with Scene(authority) as s:
            equal = s.webhook("equal.example.com", rules=rules)
            exact = s.webhook("exact.example.com", rules=rules, matchPolicy="Exact")
            both = s.webhook("both.example.com", rules=[rule(resources=["events"])])
            await s.configure("Validating", equal, exact, both)
            await s.create(event, "events", group="events.k8s.io")
            asked = dict(s.asked)
            assert sorted(asked) == ["both", "equal"]
            request = asked["equal"]
            assert request["kind"] == {"group": "", "version": "v1", "kind": "Event"}
            assert request["resource"] == {"group": "", "version": "v1", "resource": "events"}
            assert request["requestKind"]["group"] == request["requestResource"]["group"] == "events.k8s.io"
            assert request["object"]["apiVersion"] == "v1"
            assert request["object"]["message"] == "hello"
            assert asked["both"]["object"]["apiVersion"] == "events.k8s.io/v1"
            assert asked["both"]["object"]["note"] == "hello"

    run(main())


def test_requests_of_the_control_plane_itself_are_shown(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Validating", s.webhook("a.example.com"))
            client = s.plane.client()
            await client.transport.request(
                "create",
                BY_GVR["", "v1", "configmaps"],
                "default",
                body=orjson.dumps(config_map()),
            )
            ((_, request),) = s.asked
            assert request["userInfo"]["username"] == "system:apiserver"

    run(main())


def test_metrics(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Validating", s.webhook("a.example.com"))
            await s.create(config_map())
            s.answers["a"] = lambda request: {"allowed": False, "status": {"code": 999}}
            await s.refusal("create", "configmaps", config_map("n"))
            families = {family.name: family for family in s.plane.surface.metrics.families()}
            requests = families["apiserver_admission_webhook_request_total"].samples
            assert sorted((labels["code"], labels["rejected"], n) for _, labels, n in requests) == [
                ("200", "false", 1),
                ("600", "true", 1),
            ]
            ((_, labels, n),) = families["apiserver_admission_webhook_rejection_count"].samples
            assert labels == {
                "name": "a.example.com",
                "type": "validating",
                "operation": "CREATE",
                "error_type": "no_error",
                "rejection_code": "600",
            }
            text = families["apiserver_admission_webhook_admission_duration_seconds"].samples
            assert sum(n for suffix, _, n in text if suffix == "_count") == 2

    run(main())


def test_the_api_servers_own_writes_are_shown(authority):
    async def main():
        async with Scene(authority) as s:
            rules = [rule(apiGroups=["networking.k8s.io"])]
            await s.configure("Validating", s.webhook("a.example.com", rules=rules, objectSelector={}))
            service = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s"}}
            await s.create({**service, "spec": {"ports": [{"port": 80}]}}, "services")
            ((_, request),) = s.asked
            assert request["object"]["kind"] == "IPAddress"
            assert request["userInfo"]["username"] == "system:apiserver"

    run(main())
