"""Scale, binding and eviction."""

from __future__ import annotations

import asyncio

import pytest

from knarr.meta.errors import StatusError

from .conftest import APPLY, DEPLOYMENTS, JSON_PATCH, MERGE, PODS, STRATEGIC, deployment, pod

BUDGETS = "/apis/policy/v1/namespaces/n/poddisruptionbudgets"


def scale(replicas: int | None, **metadata) -> dict:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "a", "namespace": "n", **metadata},
        "spec": {} if replicas is None else {"replicas": replicas},
    }


# -- scale ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "content_type", "query"),
    [
        ("PUT", scale(4), "application/json", {}),
        ("PATCH", {"spec": {"replicas": 4}}, MERGE, {}),
        ("PATCH", {"spec": {"replicas": 4}}, STRATEGIC, {}),
        ("PATCH", [{"op": "replace", "path": "/spec/replicas", "value": 4}], JSON_PATCH, {}),
        ("PATCH", scale(4), APPLY, {"fieldManager": "s", "force": "true"}),
    ],
)
@pytest.mark.parametrize(
    ("group", "version", "kind", "resource"),
    [
        ("apps", "v1", "Deployment", "deployments"),
        ("apps", "v1", "ReplicaSet", "replicasets"),
        ("apps", "v1", "StatefulSet", "statefulsets"),
        ("", "v1", "ReplicationController", "replicationcontrollers"),
    ],
)
def test_every_way_to_scale(api, run, method, body, content_type, query, group, version, kind, resource):
    path = f"/apis/{group}/{version}/namespaces/n/{resource}" if group else f"/api/v1/namespaces/n/{resource}"
    made = deployment("a", 2)
    made |= {"kind": kind, "apiVersion": f"{group}/{version}" if group else version}
    if kind == "ReplicationController":
        made["spec"]["selector"] = {"app": "a"}
    if kind == "StatefulSet":
        made["spec"]["serviceName"] = "a"

    async def main():
        first = await api("POST", path, made)
        before = await api("GET", f"{path}/a/scale")
        assert (before["kind"], before["spec"]) == ("Scale", {"replicas": 2})
        assert before["status"] == {"replicas": 0, "selector": "app=a"}
        assert before["metadata"]["uid"] == first["metadata"]["uid"]
        after = await api(method, f"{path}/a/scale", body, content_type, **query)
        assert after["spec"] == {"replicas": 4}
        whole = await api("GET", f"{path}/a")
        assert whole["spec"] == {**first["spec"], "replicas": 4}
        assert whole["metadata"]["generation"] == 2
        assert after["metadata"]["resourceVersion"] == whole["metadata"]["resourceVersion"]

    run(main())


SCALE_REFUSED = [
    (scale(-1), 422, "must be greater than or equal to 0"),
    (scale(1, name="b"), 400, "the name of the object (b) does not match the name on the URL (a)"),
    (scale(1, resourceVersion="1"), 409, "the object has been modified"),
    (scale(1, uid="u"), 409, "Precondition failed: UID in precondition: u"),
    ({**scale(1), "apiVersion": "apps/v1"}, 400, 'no kind "Scale" is registered for version "apps/v1"'),
    (
        {**scale(1), "apiVersion": "extensions/v1beta1"},
        400,
        "does not match the expected API version (autoscaling/v1)",
    ),
    (scale(1, namespace="m"), 400, "the namespace of the provided object does not match"),
    ({**scale(1), "spec": {"replicas": "1"}}, 400, "cannot unmarshal string into Go struct field"),
]


@pytest.mark.parametrize(("body", "code", "message"), SCALE_REFUSED)
def test_scales_that_are_refused(api, run, body, code, message):
    async def main():
        made = await api("POST", DEPLOYMENTS, deployment("a", 2))
        error = await api.refused("PUT", f"{DEPLOYMENTS}/a/scale", body)
        assert error.code == code and message in error.status["message"], error.status
        assert await api("GET", f"{DEPLOYMENTS}/a") == made

    run(main())


def test_who_scales_owns_the_replicas(api, run):
    async def main():
        config = deployment("a", 2)
        await api("PATCH", f"{DEPLOYMENTS}/a", config, APPLY, fieldManager="alice")
        await api("PUT", f"{DEPLOYMENTS}/a/scale", scale(5))
        whole = await api("GET", f"{DEPLOYMENTS}/a")
        owners = {
            e["manager"]: e.get("subresource")
            for e in whole["metadata"]["managedFields"]
            if "f:replicas" in e["fieldsV1"]["f:spec"]
        }
        assert owners == {"tests": "scale"}
        error = await api.refused("PATCH", f"{DEPLOYMENTS}/a", config, APPLY, fieldManager="alice")
        assert (
            'conflict with "tests" with subresource "scale" using apps/v1: .spec.replicas'
            in error.status["message"]
        )
        del config["spec"]["replicas"]
        after = await api("PATCH", f"{DEPLOYMENTS}/a", config, APPLY, fieldManager="alice")
        assert after["spec"]["replicas"] == 5

    run(main())


# -- binding ----------------------------------------------------------------------------------------------


def binding(name: str, node: str, **metadata) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, **metadata},
        "target": {"kind": "Node", "name": node},
    }


@pytest.mark.parametrize("path", [f"{PODS}/p/binding", "/api/v1/namespaces/n/bindings"])
def test_a_binding_sets_the_node_and_says_so(api, run, path):
    async def main():
        await api("POST", PODS, pod("p"))
        nominated = await api("PATCH", f"{PODS}/p/status", {"status": {"nominatedNodeName": "node-3"}}, MERGE)
        assert nominated["status"]["nominatedNodeName"] == "node-3"
        result = await api.result("POST", path, binding("p", "node-1", annotations={"a": "b"}))
        assert result.code == 201
        bound = await api("GET", f"{PODS}/p")
        assert bound["spec"]["nodeName"] == "node-1"
        assert bound["metadata"]["annotations"] == {"a": "b"}
        assert "nominatedNodeName" not in bound["status"]
        (condition,) = [c for c in bound["status"]["conditions"] if c["type"] == "PodScheduled"]
        assert condition["status"] == "True"
        error = await api.refused("POST", path, binding("p", "node-2"))
        assert error.code == 409
        assert 'pod p is already assigned to node "node-1"' in error.status["message"]

    run(main())


def test_of_bindings_that_race_one_wins(api, run):
    async def main():
        await api("POST", PODS, pod("p"))
        answers = await asyncio.gather(
            *(api.result("POST", f"{PODS}/p/binding", binding("p", f"node-{n}")) for n in range(8)),
            return_exceptions=True,
        )
        assert sorted(a.code for a in answers) == [201] + [409] * 7
        winner = next(n for n, a in enumerate(answers) if not isinstance(a, StatusError))
        assert (await api("GET", f"{PODS}/p"))["spec"]["nodeName"] == f"node-{winner}"

    run(main())


def test_what_cannot_be_bound(api, run):
    async def main():
        await api("POST", PODS, pod("gated", schedulingGates=[{"name": "x.y/z"}]))
        going = pod("going")
        going["metadata"]["finalizers"] = ["x.y/z"]
        await api("POST", PODS, going)
        await api("DELETE", f"{PODS}/going")
        await api("POST", PODS, pod("p"))
        for name, body, code, message in (
            ("gated", binding("gated", "n1"), 409, "has non-empty .spec.schedulingGates"),
            ("going", binding("going", "n1"), 409, "is being deleted, cannot be assigned to a host"),
            ("p", binding("p", "n1", uid="u"), 409, "Precondition failed: UID in precondition: u"),
            ("p", binding("p", "n1", resourceVersion="1"), 409, "ResourceVersion in precondition: 1"),
            ("absent", binding("absent", "n1"), 404, 'pods "absent" not found'),
            # Kubernetes itself answers these without a reason
            ("p", {**binding("p", "n1"), "target": {"kind": "Pod", "name": "x"}}, 500, "Unsupported value"),
            ("p", binding("p", ""), 500, "Required value"),
        ):
            error = await api.refused("POST", f"{PODS}/{name}/binding", body)
            assert error.code == code and message in error.status["message"], error.status["message"]
        assert "nodeName" not in (await api("GET", f"{PODS}/p"))["spec"]

    run(main())


# -- eviction ---------------------------------------------------------------------------------------------


def eviction(name: str, **more) -> dict:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **more}


async def running_pods(api, count: int) -> None:
    for number in range(count):
        await api("POST", PODS, pod(f"p{number}", node="node", labels={"app": "a"}))
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await api("PATCH", f"{PODS}/p{number}/status", {"status": status}, MERGE)


async def budget(api, name: str, allowed: int, **status) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    body = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": spec,
    }
    await api("POST", BUDGETS, body)
    healthy = {"disruptionsAllowed": allowed, "currentHealthy": 3, "desiredHealthy": 1, "expectedPods": 3}
    status = {"observedGeneration": 1, **healthy, **status}
    await api("PATCH", f"{BUDGETS}/{name}/status", {"status": status}, MERGE)


def test_evictions_take_from_the_budget_until_it_is_empty(api, run):
    async def main():
        await running_pods(api, 3)
        await budget(api, "b", allowed=2)
        answers = await asyncio.gather(
            *(api.result("POST", f"{PODS}/p{n}/eviction", eviction(f"p{n}")) for n in range(3)),
            return_exceptions=True,
        )
        assert sorted(a.code for a in answers) == [201, 201, 429]
        status = (await api("GET", f"{BUDGETS}/b"))["status"]
        assert status["disruptionsAllowed"] == 0 and len(status["disruptedPods"]) == 2
        assert [(c["status"], c["reason"]) for c in status["conditions"]] == [("False", "InsufficientPods")]
        for number, answer in enumerate(answers):
            found = await api("GET", f"{PODS}/p{number}")
            evicted = not isinstance(answer, StatusError)
            assert ("deletionTimestamp" in found["metadata"]) == evicted
            reasons = [c.get("reason") for c in found["status"]["conditions"]]
            assert ("EvictionByEvictionAPI" in reasons) == evicted

    run(main())


def test_why_an_eviction_is_refused(api, run):
    async def main():
        await running_pods(api, 1)
        await budget(api, "b", allowed=0)
        error = await api.refused("POST", f"{PODS}/p0/eviction", eviction("p0"))
        assert error.code == 429
        assert error.status["details"]["causes"] == [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget b needs 1 healthy pods and has 3 currently",
            }
        ]
        await budget(api, "c", allowed=1)
        error = await api.refused("POST", f"{PODS}/p0/eviction", eviction("p0"))
        assert error.code == 500 and "more than one PodDisruptionBudget" in error.status["message"]
        await api("DELETE", f"{BUDGETS}/c")
        await api("PATCH", f"{BUDGETS}/b", {"spec": {"minAvailable": 2}}, MERGE)
        error = await api.refused("POST", f"{PODS}/p0/eviction", eviction("p0"))
        assert "is still being processed by the server" in error.status["details"]["causes"][0]["message"]
        assert "deletionTimestamp" not in (await api("GET", f"{PODS}/p0"))["metadata"]

    run(main())


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_pods_that_do_not_run_disturb_nobody(api, run, phase):
    async def main():
        await running_pods(api, 1)
        await api("PATCH", f"{PODS}/p0/status", {"status": {"phase": phase}}, MERGE)
        await budget(api, "b", allowed=0)
        assert (await api.result("POST", f"{PODS}/p0/eviction", eviction("p0"))).code == 201

    run(main())


@pytest.mark.parametrize("how", ["query", "options"])
def test_an_eviction_may_be_only_tried(api, run, how):
    async def main():
        await running_pods(api, 1)
        await budget(api, "b", allowed=1)
        revision = api.store.revision
        body = eviction("p0") if how == "query" else eviction("p0", deleteOptions={"dryRun": ["All"]})
        query = {"dryRun": "All"} if how == "query" else {}
        assert (await api.result("POST", f"{PODS}/p0/eviction", body, **query)).code == 201
        assert api.store.revision == revision

    run(main())


def test_an_evictions_preconditions_hold(api, run):
    async def main():
        await running_pods(api, 1)
        body = eviction("p0", deleteOptions={"preconditions": {"uid": "other"}})
        error = await api.refused("POST", f"{PODS}/p0/eviction", body)
        assert error.code == 409
        before = await api("GET", f"{PODS}/p0")
        assert "deletionTimestamp" not in before["metadata"]
        assert all(c["type"] != "DisruptionTarget" for c in before["status"].get("conditions", ()))
        seen = {"resourceVersion": before["metadata"]["resourceVersion"]}
        body = eviction("p0", deleteOptions={"preconditions": seen})
        assert (await api.result("POST", f"{PODS}/p0/eviction", body)).code == 201

    run(main())


@pytest.mark.parametrize("kind", ["eviction", "binding"])
def test_what_is_asked_of_a_pod_names_it(api, run, kind):
    async def main():
        await api("POST", PODS, pod("p"))
        body = eviction("p") if kind == "eviction" else binding("p", "n1")
        del body["metadata"]["name"]
        error = await api.refused("POST", f"{PODS}/p/{kind}", body)
        assert (error.code, error.message) == (
            400,
            f"name in URL does not match name in {kind.capitalize()} object",
        )
        body["metadata"] = {"name": "p", "namespace": "m"}
        error = await api.refused("POST", f"{PODS}/p/{kind}", body)
        assert (error.code, error.message) == (
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        )
        for query in ({"dryRun": "x"}, {"fieldManager": "m" * 129}):
            assert (await api.refused("POST", f"{PODS}/p/{kind}", body, **query)).code == 422
        assert await api("GET", f"{PODS}/p")

    run(main())
