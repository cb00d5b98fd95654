"""What mutating policies make of objects, in which order and how often."""

from __future__ import annotations

import orjson
import pytest

from knarr.admission.chain import Plugin
from knarr.admission.reinvocation import Reinvocation
from knarr.meta.errors import StatusError

from .conftest import CONFIGMAPS, MUTATING, rules, valid

PODS = rules({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]})
DEPLOYMENTS = rules({"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]})
POD = {
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}]},
}
DENIED = "policy 'm' with binding 'm' denied request: "


async def pod(api, **spec):
    body = orjson.loads(orjson.dumps(POD))
    body["spec"].update(spec)
    return await api("POST", "/api/v1/namespaces/ns/pods", body, dryRun="All")


def test_apply_configurations_merge_by_key_and_are_defaulted(api, run):
    async def main():
        await api.namespace()
        await api.mutation(
            """Object{spec: Object.spec{
                 containers: [Object.spec.containers{name: 'c', env: [Object.spec.containers.env{name: 'B', value: '2'}]}],
                 initContainers: [Object.spec.initContainers{name: 'init', image: 'x'}]
               }}""",
            matchConstraints=PODS,
        )
        spec = (await pod(api))["spec"]
        assert spec["containers"][0]["image"] == "i"
        assert spec["containers"][0]["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
        (init,) = spec["initContainers"]
        assert init["terminationMessagePath"] == "/dev/termination-log"

    run(main())


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        pytest.param(
            "Object{spec: Object.spec{tolerations: [Object.spec.tolerations{key: 'a'}]}}",
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs:"
            " .spec.tolerations",
            id="atomic list",
        ),
        pytest.param(
            "Object{spec: Object.spec{nodeSelector: {'a': 'b'}}}",
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs:"
            " .spec.nodeSelector",
            id="atomic map",
        ),
        pytest.param(
            "Object{spec: Object.spec{securityContext: Object.spec.wrong{}}}",
            'type mismatch: unexpected type name "Object.spec.wrong", expected "Object.spec.securityContext", which'
            " matches field name path from root Object type",
            id="misnamed type",
        ),
        pytest.param(
            "Object{spec: Object.spec{nope: 1}}",
            "error applying patch: failed to convert patch object to typed object: .spec.nope: field not declared in"
            " schema",
            id="unknown field",
        ),
        pytest.param(
            "Object{metadata: Object.metadata{labels: {'a': object.none}}}",
            "expression 'Object{metadata: Object.metadata{labels: {'a': object.none}}}' resulted in error: no such"
            " key: none",
            id="error",
        ),
        pytest.param(
            ["[JSONPatch{op: 'add', path: '/a/b/c', value: 1}]"],
            'JSON Patch: add operation does not apply: doc is missing path: "/a/b/c": missing value',
            id="no such path",
        ),
        pytest.param(
            ["[JSONPatch{op: 'remove', path: '/spec/volumes'}]"],
            "JSON Patch: error in remove for path: '/spec/volumes': Unable to remove nonexistent key: volumes:"
            " missing value",
            id="nothing to remove",
        ),
        pytest.param(
            ["[JSONPatch{op: 'replace', path: '/spec/containers/4', value: {}}]"],
            "JSON Patch: replace operation does not apply: doc is missing key: /spec/containers/4: missing value",
            id="no such index",
        ),
        pytest.param(
            ["[JSONPatch{op: 'move', path: '/spec/x', from: '/none/x'}]"],
            "JSON Patch: move operation does not apply: doc is missing from path: /none/x: missing value",
            id="no such source",
        ),
        pytest.param(
            ["[JSONPatch{op: 'fly', path: '/spec'}]"], "JSON Patch: Unexpected kind: fly", id="operation"
        ),
    ],
)
def test_mutations_that_cannot_be_made(api, run, expression, why):
    async def main():
        await api.namespace()
        await api.mutation(expression, matchConstraints=PODS)
        with pytest.raises(StatusError) as caught:
            await pod(api)
        assert caught.value.status["reason"] == "Invalid"
        assert caught.value.code == 403
        assert caught.value.message == DENIED + why
        assert caught.value.status["details"] == {
            "name": "p",
            "kind": "pods",
            "causes": [{"message": DENIED + why}],
        }
        policy = await api("GET", f"{MUTATING}/m")
        policy["spec"]["failurePolicy"] = "Ignore"
        await api("PUT", f"{MUTATING}/m", policy)
        await pod(api)

    run(main())


def test_a_patched_object_must_be_one_whatever_the_failure_policy(api, run):
    async def main():
        await api.namespace()
        await api.mutation(
            ["[JSONPatch{op: 'add', path: '/spec/nope', value: 1}]"],
            matchConstraints=PODS,
            failurePolicy="Ignore",
        )
        error = await api.refused("POST", "/api/v1/namespaces/ns/pods", POD)
        assert error.code == 500
        assert error.message == 'Internal error occurred: strict decoding error: unknown field "spec.nope"'

    run(main())


def test_json_patches(api, run):
    async def main():
        await api.namespace()
        await api.mutation(
            [
                """[
                  JSONPatch{op: 'test', path: '/spec/containers/0/name', value: 'c'},
                  JSONPatch{op: 'add', path: '/metadata/labels', value: {'x': 'y'}},
                  JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'z'},
                  JSONPatch{op: 'copy', path: '/metadata/annotations', from: '/metadata/labels'},
                  JSONPatch{op: 'add', path: '/spec/containers/-', value:
                    Object.spec.containers{name: 'side', image: 'sidecar', command: ['a', 'b']}},
                  JSONPatch{op: 'replace', path: '/spec/containers/0/image', value: 'other'}
                ]"""
            ],
            [
                "[JSONPatch{op: 'test', path: '/spec/containers/0/name', value: 'no'}, JSONPatch{op: 'remove', path: '/spec'}]"
            ],
            matchConstraints=PODS,
        )
        made = await pod(api)
        assert made["metadata"]["labels"] == made["metadata"]["annotations"] == {"x": "y", "a/b": "z"}
        first, side = made["spec"]["containers"]
        assert (first["image"], side["command"]) == ("other", ["a", "b"])
        assert side["imagePullPolicy"] == "Always"

    run(main())


def test_variables_conditions_and_params(api, run):
    async def main():
        await api.namespace()
        for name, team in (("t1", "red"), ("t2", "blue")):
            body = {"metadata": {"name": name, "labels": {"team": "y"}}, "data": {"team": team}}
            await api("POST", "/api/v1/namespaces/ns/configmaps", body)
        await api.mutation(
            "Object{metadata: Object.metadata{labels: {'team-' + params.data.team: variables.who}}}",
            matchConstraints=PODS,
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            binding={
                "paramRef": {"selector": {"matchLabels": {"team": "y"}}, "parameterNotFoundAction": "Deny"}
            },
            variables=[{"name": "who", "expression": "request.userInfo.username"}],
            matchConditions=[
                {"name": "new", "expression": "oldObject == null && object.spec.hostname != 'no'"}
            ],
        )
        assert (await pod(api, hostname="yes"))["metadata"]["labels"] == {
            "team-red": "jane",
            "team-blue": "jane",
        }
        assert "labels" not in (await pod(api, hostname="no"))["metadata"]
        error = await api.refused("POST", "/api/v1/namespaces/ns/pods", POD)
        assert error.message.count("no such key: hostname") == 1
        assert len(error.status["details"]["causes"]) == 2

    run(main())


def test_policies_see_what_those_before_them_did(api, run):
    """By name; a policy that comes later counts on what is there already."""

    async def main():
        await api.namespace()
        for name in ("b", "a", "c"):
            before = "(has(object.data) ? object.data.trace : '')"
            await api.mutation(f"Object{{data: {{'trace': {before} + '{name}'}}}}", name=name)
        assert (await api.configmap())["data"] == {"trace": "abc"}

    run(main())


def test_reinvocation(api, run):
    """Who may be called again is, when something changed after it; nobody more than once."""

    async def main():
        await api.namespace()
        count = "string(int(has(object.data) && '{0}' in object.data ? object.data['{0}'] : '0') + 1)"
        for name, again in (("a", "IfNeeded"), ("b", "Never")):
            await api.mutation(
                f"Object{{data: {{'{name}': {count.format(name)}}}}}", name=name, reinvocationPolicy=again
            )
        assert (await api.configmap())["data"] == {"a": "2", "b": "1"}

    run(main())


@pytest.mark.parametrize(
    ("mutation", "condition", "twice"),
    [
        ("Object{data: {'a': 'b'}}", "false", False),
        ("Object{data: object.data.none}", "true", False),
        ("Object{data: {'a': 'b'}}", "true", True),
        ("Object{data: object.data}", "true", True),
    ],
)
def test_a_mutation_made_asks_for_a_second_round(api, run, mutation, condition, twice):
    """Also one that changes nothing."""

    async def main():
        await api.namespace()
        conditions = [{"name": "c", "expression": condition}]
        await api.mutation(mutation, matchConditions=conditions, failurePolicy="Ignore")
        rounds = []
        original = api.chain.plugins[0].admit

        async def counted(a):
            rounds.append(a.reinvocation is not None and a.reinvocation.again)
            await original(a)

        api.chain.plugins[0].admit = counted
        api.chain.forget()
        await api.configmap(data={"k": "v"})
        assert rounds == ([False, True] if twice else [False])

    run(main())


class Webhook(Plugin):
    """Stands for a webhook behind the policies: makes its change in the first round and asks for a second one."""

    name = "webhook"

    def __init__(self, change):
        self.change = change

    def handles(self, target):
        return target.resource == "configmaps"

    def admit(self, a):
        if a.reinvocation is None:
            a.reinvocation = Reinvocation()
        if not a.reinvocation.again:
            a.reinvocation.wanted = True
            a.obj["data"].update(self.change)


@pytest.mark.parametrize(
    ("change", "again", "data"),
    [
        ({"n": "1"}, "IfNeeded", {"n": "2"}),
        ({"n": "1"}, "Never", {"n": "1"}),
        ({}, "IfNeeded", {"n": "x"}),
    ],
)
def test_what_others_changed_is_looked_at_again(api, run, change, again, data):
    """A policy that could not do its work (and may) gets another chance, if the object is another."""

    async def main():
        await api.namespace()
        api.chain.plugins.append(Webhook(change))
        await api.mutation(
            "Object{data: {'n': string(int(object.data.n) + 1)}}",
            failurePolicy="Ignore",
            reinvocationPolicy=again,
        )
        assert (await api.configmap(data={"n": "x"}))["data"] == data
        (_, _, _, checks), _ = api.mutating.counts.families()
        assert sum(count for *_, count in checks) == (2 if change and again == "IfNeeded" else 1)

    run(main())


def test_all_operations_do_not_mean_deletion(api, run):
    async def main():
        await api.namespace()
        path = "/api/v1/namespaces/ns/configmaps"
        await api("POST", path, {"metadata": {"name": "c"}})
        await api.mutation("Object{data: {'a': 'b'}}", matchConstraints=rules(CONFIGMAPS, operations=("*",)))
        await api("DELETE", f"{path}/c")

    run(main())


def test_updates_and_what_is_not_theirs(api, run):
    """Field management is the writer's: the policy owns nothing."""

    async def main():
        await api.namespace()
        await api.mutation("Object{data: {'seen': request.operation}}")
        path = "/api/v1/namespaces/ns/configmaps"
        made = await api("POST", path, {"metadata": {"name": "c"}, "data": {"own": "1"}})
        (entry,) = made["metadata"]["managedFields"]
        assert set(entry["fieldsV1"]["f:data"]) == {".", "f:own"}
        body = {"data": {"own": "2"}}
        patched = await api("PATCH", f"{path}/c", body, "application/merge-patch+json")
        assert patched["data"] == {"own": "2", "seen": "UPDATE"}
        await api("DELETE", f"{path}/c")

    run(main())


def test_validating_policies_see_the_result(api, run):
    async def main():
        await api.namespace()
        await api.mutation("Object{data: {'from': 'policy'}}")
        await api.policy(validations=valid("object.data.from != 'policy'"))
        assert await api.refusal() == "failed expression: object.data.from != 'policy'"

    run(main())


def test_in_the_version_the_policy_names(api, run):
    """A policy on autoscaling/v1 changes what is sent as v2, and sees its own version."""

    async def main():
        await api.namespace()
        await api.mutation(
            "Object{spec: Object.spec{targetCPUUtilizationPercentage: object.spec.targetCPUUtilizationPercentage + 1}}",
            matchConstraints=rules(
                {
                    "apiGroups": ["autoscaling"],
                    "apiVersions": ["v1"],
                    "resources": ["horizontalpodautoscalers"],
                }
            ),
        )
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
        metric = {"type": "Resource", "resource": cpu}
        body = {
            "metadata": {"name": "h"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": [metric]},
        }
        path = "/apis/autoscaling/v2/namespaces/ns/horizontalpodautoscalers"
        made = await api("POST", path, body)
        assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 51

    run(main())


def test_scales(api, run):
    """The scale subresource is about a Scale, and what a policy makes of it reaches the deployment."""

    async def main():
        await api.namespace()
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        path = "/apis/apps/v1/namespaces/ns/deployments"
        await api("POST", path, {"metadata": {"name": "d"}, "spec": spec})
        scales = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale"]}
        await api.mutation(
            "Object{spec: Object.spec{replicas: object.spec.replicas > 3 ? 3 : object.spec.replicas}}",
            matchConstraints=rules(scales, operations=("UPDATE",)),
            matchConditions=[
                {"name": "a", "expression": "object.kind == 'Scale' && request.kind.kind == 'Scale'"}
            ],
        )
        answer = await api(
            "PATCH", f"{path}/d/scale", {"spec": {"replicas": 9}}, "application/merge-patch+json"
        )
        assert answer["spec"]["replicas"] == 3
        assert (await api("GET", f"{path}/d"))["spec"]["replicas"] == 3

    run(main())
