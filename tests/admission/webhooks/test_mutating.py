"""Mutating webhooks: patches, their order, calling again, and what becomes of the object."""

from __future__ import annotations

import asyncio
import json

import pytest

from .scene import GROUP, Scene, config_map, label, patch, rule, run

MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


def test_a_patch_changes_what_is_stored(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Mutating", s.webhook("a.example.com"))
            s.answers["a"] = lambda request: patch(
                {"op": "add", "path": "/data", "value": {"k": "v"}},
                {"op": "add", "path": "/metadata/annotations", "value": {"by": "a"}},
                {"op": "test", "path": "/metadata/name", "value": "m"},
                {"op": "add", "path": "/unknown", "value": 1},
            )
            created = await s.create(config_map())
            assert created["data"] == {"k": "v"} and created["metadata"]["annotations"] == {"by": "a"}
            assert "unknown" not in created
            assert await s.do("get", "configmaps", name="m") == created
            place = "webhook.admission.k8s.io/round_0_index_0"
            facts = {"configuration": "it", "webhook": "a.example.com"}
            assert json.loads(s.last.annotations.get(f"mutation.{place}", "{}")) == {}
            await s.do("update", "configmaps", config_map(), name="m")
            noted = {key: json.loads(value) for key, value in s.last.annotations.items()}
            assert noted[f"mutation.{place}"] == {**facts, "mutated": True}
            assert noted[f"patch.{place}"]["patchType"] == "JSONPatch"
            assert noted[f"patch.{place}"]["patch"][0]["path"] == "/data"

    run(main())


def test_what_webhooks_changed_is_defaulted_validated_and_owned_by_nobody(authority):
    async def main():
        async with Scene(authority) as s:
            rules = [rule(operations=["CREATE"], resources=["deployments"])]
            await s.configure("Mutating", s.webhook("a.example.com", rules=rules))
            container = {"name": "side", "image": "side"}
            s.answers["a"] = lambda request: patch(
                {"op": "add", "path": "/spec/template/spec/containers/-", "value": container}
            )
            where = {"group": "apps"}
            created = await s.create(deployment(), "deployments", **where)
            side = created["spec"]["template"]["spec"]["containers"][1]
            assert side["terminationMessagePath"] == "/dev/termination-log"
            fields = created["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
            assert [key for key in fields["f:containers"] if "side" in key] == []
            s.answers["a"] = lambda request: patch({"op": "add", "path": "/spec/replicas", "value": -1})
            status = await s.refusal("create", "deployments", deployment("other"), **where)
            assert status["message"] == (
                'Deployment.apps "other" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
            )

    run(main())


def deployment(name: str = "d") -> dict:
    labels = {"app": "x"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": name, "labels": {"hook": "1"}},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    }


def test_configurations_by_name_webhooks_as_they_stand(authority):
    async def main():
        async with Scene(authority) as s:
            for name, hooks in (("z", "c"), ("a", "ba")):
                await s.configure(
                    "Mutating", *(s.webhook(f"{hook}.example.com") for hook in hooks), name=name
                )
            for name in "abc":
                s.answers[name] = lambda request, name=name: label(name)
            created = await s.create(config_map())
            assert [path for path, _ in s.asked] == ["b", "a", "c"]
            assert list(s.asked[2][1]["object"]["metadata"]["labels"]) == ["a", "b", "hook"]
            assert set(created["metadata"]["labels"]) == {"a", "b", "c", "hook"}

    run(main())


def test_calling_again(authority):
    """b changes what a has seen: a is called again; then a changes what c has seen. d does not want to be called again,
    and nobody is called in the second round who was not in the first."""

    async def main():
        async with Scene(authority) as s:
            again = {"reinvocationPolicy": "IfNeeded"}
            await s.configure(
                "Mutating",
                s.webhook("d.example.com"),
                s.webhook("a.example.com", **again),
                s.webhook("b.example.com"),
                s.webhook("c.example.com", **again),
                s.webhook("late.example.com", objectSelector={"matchLabels": {"second": "x"}}, **again),
            )
            s.answers["b"] = lambda request: label("b")
            rounds = []
            s.answers["a"] = lambda request: rounds.append(1) or (label("second") if len(rounds) == 2 else {})
            await s.create(config_map())
            assert [path for path, _ in s.asked] == ["d", "a", "b", "c", "a", "c"]
            assert "b" in s.asked[-2][1]["object"]["metadata"]["labels"]

    run(main())


def test_called_again_after_a_plugin_of_the_api_server(authority):
    """LimitRanger sees the container that the webhook added, and the webhook what LimitRanger made of it."""

    async def main():
        async with Scene(authority) as s:
            account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
            await s.create(account, "serviceaccounts")
            limits = [{"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}}]
            head = {"kind": "LimitRange", "apiVersion": "v1", "metadata": {"name": "l"}}
            await s.create({**head, "spec": {"limits": limits}}, "limitranges")
            webhook = s.webhook("a.example.com", reinvocationPolicy="IfNeeded")
            await s.configure("Mutating", webhook)
            container = {"op": "add", "path": "/spec/containers/-", "value": {"name": "side", "image": "i"}}
            s.answers["a"] = lambda r: {} if len(r["object"]["spec"]["containers"]) > 1 else patch(container)
            created = await s.create(pod(), "pods")
            assert created["spec"]["containers"][1]["resources"]["limits"] == {"cpu": "2"}
            first, second = (request["object"]["spec"]["containers"] for _, request in s.asked)
            assert len(first) == 1 and second[1]["resources"]["limits"] == {"cpu": "2"}

    run(main())


def pod() -> dict:
    metadata = {"name": "p", "labels": {"hook": "1"}}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec}


def test_what_only_the_server_says(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Mutating", s.webhook("a.example.com"))
            mine = {"uid": "mine", "creationTimestamp": "2000-01-01T00:00:00Z"}
            mine["deletionTimestamp"] = mine["creationTimestamp"]
            adds = [{"op": "add", "path": f"/metadata/{key}", "value": value} for key, value in mine.items()]
            s.answers["a"] = lambda request: patch(*adds)
            metadata = (await s.create(config_map()))["metadata"]
            assert "deletionTimestamp" not in metadata
            assert metadata["uid"] != "mine" and not metadata["creationTimestamp"].startswith("2000")
            elsewhere = {"op": "add", "path": "/metadata/namespace", "value": "kube-system"}
            s.answers["a"] = lambda request: patch(elsewhere)
            status = await s.refusal("create", "configmaps", config_map("n"))
            assert status["message"] == (
                "the namespace of the provided object does not match the namespace sent on the request"
            )

    run(main())


def test_nothing_changed_nobody_is_called_again(authority):
    async def main():
        async with Scene(authority) as s:
            again = {"reinvocationPolicy": "IfNeeded"}
            await s.configure(
                "Mutating", s.webhook("a.example.com", **again), s.webhook("b.example.com", **again)
            )
            same = {"op": "replace", "path": "/metadata/labels/hook", "value": "yes"}
            s.answers["b"] = lambda request: patch(same)
            await s.create(config_map())
            assert [path for path, _ in s.asked] == ["a", "b"]

    run(main())


def test_selectors_see_what_earlier_webhooks_made(authority):
    async def main():
        async with Scene(authority) as s:
            second = s.webhook("b.example.com", objectSelector={"matchLabels": {"a": "x"}})
            await s.configure("Mutating", s.webhook("a.example.com"), second)
            await s.configure(
                "Validating", s.webhook("v.example.com", objectSelector=second["objectSelector"])
            )
            s.answers["a"] = lambda request: label("a")
            await s.create(config_map())
            assert [path for path, _ in s.asked] == ["a", "b", "v"]

    run(main())


#: response -> the error's text behind "Internal error occurred: "
BROKEN = {
    "no type": (
        {"patch": "W10="},
        "failed calling webhook {0}: received invalid webhook response: "
        "webhook returned response.patch but not response.patchType",
    ),
    "no patch": (
        {"patchType": "JSONPatch"},
        "failed calling webhook {0}: received invalid webhook response: "
        "webhook returned response.patchType but not response.patch",
    ),
    "another type": (
        {**patch({"op": "remove", "path": "/x"}), "patchType": "Merge"},
        'failed calling webhook {0}: unsupported patch type "Merge"',
    ),
    "no base64": (
        {"patchType": "JSONPatch", "patch": "[]"},
        "failed calling webhook {0}: failed to call webhook: illegal base64 data at input byte 0",
    ),
    "no JSON": (
        {"patchType": "JSONPatch", "patch": "eA=="},
        "failed calling webhook {0}: received undecodable patch in webhook response: "
        "invalid character 'x' looking for beginning of value",
    ),
    "no list": (
        {"patchType": "JSONPatch", "patch": "e30="},
        "failed calling webhook {0}: received undecodable patch in webhook response: "
        "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    ),
    "does not fit": (
        patch({"op": "replace", "path": "/data/x/y", "value": 1}),
        "replace operation does not apply: doc is missing path: /data/x/y: missing value",
    ),
    "nothing to remove": (
        patch({"op": "remove", "path": "/metadata/labels/x"}),
        "error in remove for path: '/metadata/labels/x': Unable to remove nonexistent key: x: missing value",
    ),
    "test": (
        patch({"op": "test", "path": "/metadata/name", "value": "x"}),
        "testing value /metadata/name failed: test failed",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_patches_that_cannot_be(authority, case):
    response, words = BROKEN[case]

    async def main():
        async with Scene(authority) as s:
            await s.configure("Mutating", s.webhook("a.example.com"))
            s.answers["a"] = lambda request: response
            status = await s.refusal("create", "configmaps", config_map())
            name = '"a.example.com"'
            assert status["message"] == "Internal error occurred: " + words.format(name)

    run(main())


def test_failures_that_are_passed_over(authority):
    async def main():
        async with Scene(authority) as s:
            first = s.webhook("a.example.com", failurePolicy="Ignore")
            await s.configure("Mutating", first, s.webhook("b.example.com"))
            s.answers["a"] = lambda request: (500, {}, b"")
            s.answers["b"] = lambda request: label("b")
            created = await s.create(config_map())
            assert created["metadata"]["labels"] == {"hook": "yes", "b": "x"}
            key = "mutation.webhook.admission.k8s.io/round_0_index_0"
            assert s.last.annotations[f"failed-open.{key}"] == "a.example.com"
            assert json.loads(s.last.annotations[key])["mutated"] is False

    run(main())


def test_a_deletion_cannot_be_changed(authority):
    async def main():
        async with Scene(authority) as s:
            await s.create(config_map())
            await s.configure("Mutating", s.webhook("a.example.com"))
            s.answers["a"] = lambda request: label("x")
            status = await s.refusal("delete", "configmaps", name="m")
            assert status["message"] == (
                'Internal error occurred: admission webhook "a.example.com" attempted to modify the object, '
                "which is not supported for this operation"
            )

    run(main())


def test_an_object_has_no_name_before_one_is_drawn(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Mutating", s.webhook("a.example.com"))
            await s.configure("Validating", s.webhook("v.example.com"))
            obj = config_map()
            obj["metadata"] = {"generateName": "g-", "labels": {"hook": "1"}}
            created = await s.create(obj)
            (_, first), (_, second) = s.asked
            assert "name" not in first and "name" not in first["object"]["metadata"]
            assert second["name"] == second["object"]["metadata"]["name"] == created["metadata"]["name"]
            # a webhook may give one
            s.answers["a"] = lambda request: patch({"op": "add", "path": "/metadata/name", "value": "mine"})
            assert (await s.create(obj))["metadata"]["name"] == "mine"

    run(main())


def test_server_side_apply(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Mutating", s.webhook("a.example.com"))
            s.answers["a"] = lambda request: patch({"op": "add", "path": "/data", "value": {"k": "v"}})
            where = {"name": "m", "content_type": APPLY, "query": {"fieldManager": "me"}}
            created = await s.do("patch", "configmaps", config_map(), **where)
            assert created["data"] == {"k": "v"}
            assert s.asked[0][1]["operation"] == "CREATE"
            assert s.asked[0][1]["options"]["kind"] == "CreateOptions"
            again = await s.do("patch", "configmaps", config_map(), **where)
            assert s.asked[1][1]["operation"] == "UPDATE"
            assert again["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]

    run(main())


def test_owners_that_a_webhook_broke_are_put_back(authority):
    async def main():
        async with Scene(authority) as s:
            await s.configure("Mutating", s.webhook("a.example.com"))
            broken = {"op": "add", "path": "/metadata/managedFields/0/operation", "value": "Guess"}
            s.answers["a"] = lambda request: patch(broken)
            created = await s.create(config_map())
            assert created["metadata"]["managedFields"][0]["operation"] == "Update"
            assert s.last.warnings[0].startswith(
                ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated"
            )

    run(main())


def test_scales_are_shown_as_scales(authority):
    async def main():
        async with Scene(authority) as s:
            created = await s.create(deployment(), "deployments", group="apps")
            rules = [rule(resources=["deployments/scale"])]
            await s.configure("Mutating", s.webhook("a.example.com", rules=rules, objectSelector={}))
            await s.configure("Validating", s.webhook("v.example.com", rules=rules, objectSelector={}))
            s.answers["a"] = lambda request: patch({"op": "add", "path": "/spec/replicas", "value": 3})
            where = {"group": "apps", "name": "d", "subresource": "scale", "content_type": MERGE}
            scale = await s.do("patch", "deployments", {"spec": {"replicas": 9}}, **where)
            assert scale["spec"] == {"replicas": 3}
            (_, first), (_, second) = s.asked
            assert first["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            assert first["resource"]["resource"] == "deployments" and first["subResource"] == "scale"
            assert (first["oldObject"]["spec"], first["object"]["spec"]) == ({"replicas": 1}, {"replicas": 9})
            assert second["object"]["spec"] == {"replicas": 3}
            assert created["spec"]["replicas"] == 1

    run(main())


def crd() -> dict:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "color": {"type": "string", "default": "red"},
                },
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    versions = [
        {
            "name": name,
            "served": True,
            "storage": name == "v1",
            "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}},
        }
        for name in ("v1", "v2")
    ]
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"},
            "versions": versions,
        },
    }


async def with_things(s: Scene, definition: dict | None = None) -> None:
    await s.create(
        definition or crd(), "customresourcedefinitions", group="apiextensions.k8s.io", namespace=""
    )
    for _ in range(200):
        if s.plane.registry.custom:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the definition was not established")


def thing(version: str, **spec) -> dict:
    metadata = {"name": "t", "labels": {"hook": "1"}}
    return {"kind": "Thing", "apiVersion": f"example.com/{version}", "metadata": metadata, "spec": spec}


def test_custom_resources_in_the_version_of_the_rule(authority):
    async def main():
        async with Scene(authority) as s:
            await with_things(s)
            one = [rule(apiGroups=["example.com"], apiVersions=["v1"], resources=["things", "things/status"])]
            await s.configure("Mutating", s.webhook("a.example.com", rules=one))
            exact = s.webhook("b.example.com", rules=one, matchPolicy="Exact")
            await s.configure("Mutating", exact, name="second")
            s.answers["a"] = lambda request: patch(
                {"op": "add", "path": "/spec/size", "value": 5},
                {"op": "add", "path": "/spec/unknown", "value": 5},
                {"op": "remove", "path": "/spec/color"},
            )
            where = {"group": "example.com", "version": "v2"}
            created = await s.create(thing("v2", size=1), "things", **where)
            assert created["apiVersion"] == "example.com/v2"
            assert created["spec"] == {"size": 5, "color": "red"}
            ((path, request),) = s.asked
            assert path == "a" and request["kind"]["version"] == request["resource"]["version"] == "v1"
            assert request["requestKind"]["version"] == request["requestResource"]["version"] == "v2"
            assert request["object"]["apiVersion"] == "example.com/v1"
            s.answers["a"] = lambda request: patch({"op": "replace", "path": "/spec/size", "value": 0})
            status = await s.refusal("create", "things", thing("v2"), **where)
            assert status["code"] == 422 and "spec.size" in status["message"]
            s.answers["a"] = lambda request: patch({"op": "add", "path": "/status/seen", "value": True})
            created["status"] = {"a": 1}
            updated = await s.do("update", "things", created, name="t", subresource="status", **where)
            assert updated["status"] == {"a": 1, "seen": True}
            assert s.asked[-1][1]["oldObject"]["apiVersion"] == "example.com/v1"

    run(main())


def test_custom_resources_that_a_webhook_converts(authority):
    async def main():
        async with Scene(authority) as s:
            definition = crd()
            client = {"url": f"https://127.0.0.1:{s.server.port}/convert", "caBundle": authority.bundle}
            conversion = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
            definition["spec"]["conversion"] = {"strategy": "Webhook", "webhook": conversion}
            for version in definition["spec"]["versions"]:
                spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
                spec["properties"]["way"] = {"type": "array", "items": {"type": "string"}}
            await with_things(s, definition)
            one = [rule(apiGroups=["example.com"], apiVersions=["v1"], resources=["things"])]
            await s.configure("Mutating", s.webhook("a.example.com", rules=one))
            await s.configure("Validating", s.webhook("v.example.com", rules=one))
            s.answers["a"] = lambda request: patch({"op": "add", "path": "/spec/size", "value": 5})
            where = {"group": "example.com", "version": "v2"}
            created = await s.create(thing("v2", size=1), "things", **where)
            (_, first), (_, second) = s.asked
            assert first["object"]["apiVersion"] == second["object"]["apiVersion"] == "example.com/v1"
            assert first["object"]["spec"]["way"] == ["v2-v1"]
            assert second["object"]["spec"] == {"size": 5, "color": "red", "way": ["v2-v1", "v1-v2", "v2-v1"]}
            assert created["apiVersion"] == "example.com/v2" and created["spec"]["size"] == 5

    run(main())


HEADS = {
    "": {"kind": "Event", "apiVersion": "v1", "involvedObject": {"kind": "Namespace", "name": "default"}},
    "events.k8s.io": {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "regarding": {"kind": "Namespace", "name": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "c",
        "reportingInstance": "i",
        "action": "a",
        "reason": "r",
        "type": "Normal",
    },
}


@pytest.mark.parametrize("group", HEADS)
def test_a_change_in_another_group_than_the_requests(authority, group):
    other, field = ("events.k8s.io", "note") if group == "" else ("", "message")

    async def main():
        async with Scene(authority) as s:
            rules = [rule(apiGroups=[other], resources=["events"])]
            await s.configure("Mutating", s.webhook("a.example.com", rules=rules))
            s.answers["a"] = lambda request: patch({"op": "add", "path": f"/{field}", "value": "changed"})
            obj = {**HEADS[group], "metadata": {"name": "e", "labels": {"hook": "1"}}}
            created = await s.create(obj, "events", group=group)
            assert created["apiVersion"] == HEADS[group]["apiVersion"]
            assert created["note" if group else "message"] == "changed"
            core = await s.do("get", "events", name="e")
            assert core["message"] == "changed"
            s.answers["a"] = lambda request: {}
            own = s.webhook("b.example.com", rules=[rule(apiGroups=[group], resources=["events"])])
            await s.configure("Validating", own)
            await s.do("delete", "events", group=group, name="e")
            assert s.asked[-2][1]["oldObject"][field] == "changed"
            assert s.asked[-1][1]["oldObject"]["note" if group else "message"] == "changed"

    run(main())


def test_scales_of_custom_resources(authority):
    async def main():
        async with Scene(authority) as s:
            definition = crd()
            for version in definition["spec"]["versions"]:
                paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
                version["subresources"]["scale"] = paths
            await with_things(s, definition)
            where = {"group": "example.com", "version": "v2", "name": "t", "subresource": "scale"}
            await s.create(thing("v2", size=1), "things", group="example.com", version="v2")
            rules = [rule(apiVersions=["v1"], resources=["things/scale"])]
            await s.configure("Mutating", s.webhook("a.example.com", rules=rules, objectSelector={}))
            s.answers["a"] = lambda request: patch({"op": "add", "path": "/spec/replicas", "value": 4})
            scale = await s.do("get", "things", **where)
            scaled = await s.do("update", "things", {**scale, "spec": {"replicas": 2}}, **where)
            assert scaled["spec"] == {"replicas": 4}
            ((_, request),) = s.asked
            assert request["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            assert request["resource"]["version"] == "v1" and request["requestResource"]["version"] == "v2"

    run(main())


def test_tokens_and_evictions_are_shown(authority):
    async def main():
        async with Scene(authority) as s:
            account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
            await s.create(account, "serviceaccounts")
            await s.create(pod(), "pods")
            await s.configure("Mutating", s.webhook("a.example.com", objectSelector={}))
            token = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
            longer = {"op": "add", "path": "/spec/expirationSeconds", "value": 7200}
            s.answers["a"] = lambda request: patch(longer)
            where = {"name": "default", "subresource": "token"}
            issued = await s.do("create", "serviceaccounts", token, **where)
            assert issued["spec"]["expirationSeconds"] == 7200
            s.answers["a"] = lambda request: {}
            eviction = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}}
            await s.do("create", "pods", eviction, name="p", subresource="eviction")
            seen = [(r["kind"]["kind"], r["operation"], r.get("subResource")) for _, r in s.asked]
            assert seen == [("TokenRequest", "CREATE", "token"), ("Eviction", "CREATE", "eviction")]

    run(main())


def test_a_configuration_counts_from_the_next_request_on(authority):
    async def main():
        async with Scene(authority) as s:
            where = {"group": GROUP, "namespace": ""}
            for i in range(3):
                await s.create(config_map(f"before-{i}"))
                await s.configure("Mutating", s.webhook("a.example.com"))
                await s.create(config_map(f"with-{i}"))
                await s.do("delete", "mutatingwebhookconfigurations", name="it", **where)
                await s.create(config_map(f"after-{i}"))
            assert [request["name"] for _, request in s.asked] == [f"with-{i}" for i in range(3)]

    run(main())
