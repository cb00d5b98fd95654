"""Parameters: where they are looked for, and what follows when there are none."""

from __future__ import annotations

import asyncio

import pytest

from knarr.registry.context import UserInfo

from .conftest import BINDINGS, GROUP, MUTATING, VALIDATING, rules, valid

CONFIGMAP = {"apiVersion": "v1", "kind": "ConfigMap"}
SECRETS = rules({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"]})
NAMED = {"name": "limit", "parameterNotFoundAction": "Deny"}
LIMIT = valid({"expression": "params.data.max == 'no'", "messageExpression": "'max is ' + params.data.max"})
NONE = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"


async def put(api, name, max_, namespace="ns", **labels):
    metadata = {"name": name, "labels": labels}
    await api(
        "POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": metadata, "data": {"max": max_}}
    )


async def secret(api, namespace="ns"):
    """What is said of a new secret; "" if nothing."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    return await said(api, path, {"metadata": {"name": "s"}})


async def said(api, path, body):
    from knarr.meta.errors import StatusError

    try:
        await api("POST", path, body, dryRun="All")
    except StatusError as error:
        return error.message.partition(" denied request: ")[2] or error.message
    return ""


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        pytest.param(NAMED, "max is here", id="in the request's namespace"),
        pytest.param({**NAMED, "namespace": "other"}, "max is there", id="in another namespace"),
        pytest.param({**NAMED, "name": "nope"}, NONE, id="missing"),
        pytest.param({**NAMED, "name": "nope", "parameterNotFoundAction": "Allow"}, "", id="missing is fine"),
        pytest.param(
            {"selector": {"matchLabels": {"use": "yes"}}, "parameterNotFoundAction": "Deny"},
            "max is 1",
            id="selected",
        ),
        pytest.param({"selector": {}, "parameterNotFoundAction": "Deny"}, "max is here", id="all"),
        pytest.param(
            {"selector": {"matchLabels": {"use": "never"}}, "parameterNotFoundAction": "Deny"},
            NONE,
            id="none selected",
        ),
        pytest.param(
            {
                "selector": {"matchExpressions": [{"key": "use", "operator": "DoesNotExist"}]},
                "namespace": "other",
                "parameterNotFoundAction": "Deny",
            },
            "max is there",
            id="selected elsewhere",
        ),
    ],
)
def test_references(api, run, ref, message):
    async def main():
        await api.namespace()
        await api.namespace("other")
        await put(api, "limit", "here")
        await put(api, "limit", "there", "other")
        await put(api, "m1", "1", use="yes")
        await put(api, "m2", "2", use="yes")
        await api.policy(
            paramKind=CONFIGMAP, binding={"paramRef": ref}, matchConstraints=SECRETS, validations=LIMIT
        )
        assert await secret(api) == message

    run(main())


def test_a_binding_without_reference_has_no_params(api, run):
    async def main():
        await api.namespace()
        await api.policy(paramKind=CONFIGMAP, matchConstraints=SECRETS, validations=valid("params != null"))
        assert await secret(api) == "failed expression: params != null"

    run(main())


def test_a_reference_of_a_policy_without_params_counts_for_nothing(api, run):
    async def main():
        await api.namespace()
        ref = {"name": "limit", "parameterNotFoundAction": "Deny"}
        await api.policy(binding={"paramRef": ref}, matchConstraints=SECRETS, validations=valid("true"))
        assert await secret(api) == ""

    run(main())


def test_params_carry_their_type(api, run):
    async def main():
        await api.namespace()
        await put(api, "limit", "1")
        expression = "params.kind == 'ConfigMap' && params.apiVersion == 'v1' && has(params.metadata.uid)"
        await api.policy(
            paramKind=CONFIGMAP,
            binding={"paramRef": NAMED},
            matchConstraints=SECRETS,
            validations=valid(expression),
        )
        assert await secret(api) == ""

    run(main())


NODES = rules({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["nodes", "namespaces", "secrets"]})


@pytest.mark.parametrize(
    ("kind", "ref", "node", "namespace"),
    [
        pytest.param(
            CONFIGMAP,
            NAMED,
            "failed to configure binding: cannot use namespaced paramRef in policy binding that matches cluster-scoped"
            " resources",
            NONE,
            id="namespaced params of cluster-scoped objects",
        ),
        pytest.param(
            {"apiVersion": "v1", "kind": "Node"},
            {**NAMED, "name": "n1"},
            "max is nodes",
            "max is nodes",
            id="nodes",
        ),
        pytest.param(
            {"apiVersion": "v1", "kind": "Node"},
            {**NAMED, "name": "n1", "namespace": "ns"},
            "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`",
            "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`",
            id="a namespace where there is none",
        ),
        pytest.param(
            {"apiVersion": "none.example.com/v1", "kind": "Nope"},
            NAMED,
            *[
                "failed to configure policy: failed to find resource referenced by paramKind:"
                " 'none.example.com/v1, Kind=Nope'"
            ]
            * 2,
            id="unknown kind",
        ),
    ],
)
def test_scopes(api, run, kind, ref, node, namespace):
    async def main():
        await api("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
        validations = valid({"expression": "false", "messageExpression": "'max is ' + 'nodes'"})
        await api.policy(
            paramKind=kind, binding={"paramRef": ref}, matchConstraints=NODES, validations=validations
        )
        assert await said(api, "/api/v1/nodes", {"metadata": {"name": "n2"}}) == node
        # a namespace lies in itself
        assert await said(api, "/api/v1/namespaces", {"metadata": {"name": "new"}}) == namespace

    run(main())


def test_configuration_errors_are_ignored_where_the_policy_says_so(api, run):
    async def main():
        await api.namespace()
        await api.policy(
            paramKind=CONFIGMAP,
            failurePolicy="Ignore",
            binding={"paramRef": NAMED},
            matchConstraints=SECRETS,
            validations=valid("false"),
        )
        assert await secret(api) == ""

    run(main())


@pytest.mark.parametrize(("policy", "message"), [("Fail", NONE), ("Ignore", "")])
def test_mutating_policies_that_are_not_configured(api, run, policy, message):
    async def main():
        await api.namespace()
        await api.mutation(
            "Object{}",
            paramKind=CONFIGMAP,
            binding={"paramRef": NAMED},
            failurePolicy=policy,
            matchConstraints=SECRETS,
        )
        assert await secret(api) == message
        if message:
            error = await api.refused("POST", "/api/v1/namespaces/ns/secrets", {"metadata": {"name": "s"}})
            assert (error.code, error.reason) == (403, "Forbidden")
            assert error.message.startswith("policy 'm' with binding 'm' denied request: ")

    run(main())


def test_custom_resources_are_params_as_soon_as_they_are_served(api, run):
    async def main():
        await api.namespace()
        ref = {"name": "two", "parameterNotFoundAction": "Deny"}
        await api.policy(
            paramKind={"apiVersion": "example.com/v1", "kind": "Limit"},
            binding={"paramRef": ref},
            matchConstraints=SECRETS,
            validations=valid(
                {"expression": "params.spec.max > 3", "messageExpression": "string(params.spec.max)"}
            ),
        )
        assert "failed to find resource" in await secret(api)
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        spec = {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "limits", "singular": "limit", "kind": "Limit", "listKind": "LimitList"},
            "versions": [version],
        }
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await api("POST", crds, {"metadata": {"name": "limits.example.com"}, "spec": spec})
        await asyncio.sleep(1)
        assert await secret(api) == NONE
        limits = "/apis/example.com/v1/namespaces/ns/limits"
        body = {
            "apiVersion": "example.com/v1",
            "kind": "Limit",
            "metadata": {"name": "two"},
            "spec": {"max": 2},
        }
        await api("POST", limits, body)
        assert await secret(api) == "2"
        await api("PATCH", f"{limits}/two", {"spec": {"max": 4}}, "application/merge-patch+json")
        assert await secret(api) == ""

    run(main())


# -- who may name them ---------------------------------------------------------------------------------------

MAY = "user &{jane u1 [readers] map[team:[blue]]}"


def policy_of(kind):
    spec = {"paramKind": CONFIGMAP, "matchConstraints": SECRETS}
    more = (
        {"validations": valid("true")}
        if kind == VALIDATING
        else {
            "reinvocationPolicy": "Never",
            "mutations": [
                {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/x'}]"}}
            ],
        }
    )
    return {"metadata": {"name": "p"}, "spec": {**spec, **more}}


@pytest.mark.parametrize("kind", [VALIDATING, MUTATING])
def test_who_names_params_may_read_them(api, run, kind):
    async def main():
        api.asks_as_user = True
        error = await api.refused("POST", kind, policy_of(kind))
        assert error.code == 422
        (cause,) = error.status["details"]["causes"]
        assert cause["field"] == "spec.paramKind"
        assert cause["message"] == (
            f'Forbidden: {MAY} must have "get" permission on all objects of the referenced paramKind'
            " (kind=ConfigMap, apiVersion=v1)"
        )
        api.rights.allowed.add(("get", "configmaps", "*", "*"))
        policy = await api("POST", kind, policy_of(kind))
        api.rights.allowed.clear()
        policy["metadata"]["labels"] = {"a": "b"}
        await api("PUT", f"{kind}/p", policy)
        actions = {"validationActions": ["Deny"]} if kind == VALIDATING else {}

        def binding(policy, **ref):
            ref = {"parameterNotFoundAction": "Deny", **ref}
            return {"metadata": {"name": "b"}, "spec": {"policyName": policy, "paramRef": ref, **actions}}

        async def cause_of(body):
            error = await api.refused("POST", BINDINGS[kind], body)
            assert error.code == 422, error
            return error.status["details"]["causes"][0]["message"]

        named = binding("p", name="x", namespace="ns")
        assert await cause_of(named) == (
            f'Forbidden: {MAY} does not have "get" permission on the object referenced by paramRef'
        )
        assert '"list" permission on the object' in await cause_of(binding("p", selector={}))
        assert await cause_of(binding("nope", name="x")) == (
            f"Forbidden: unable to get policy nope to determine minimum required permissions and {MAY} does not have"
            ' "get" permission for all groups, versions and resources'
        )
        api.rights.allowed.add(("get", "configmaps", "ns", "x"))
        await api("POST", BINDINGS[kind], named)
        api.user = UserInfo("root", groups=("system:masters",))
        other = binding("nope", name="y")
        other["metadata"]["name"] = "other"
        await api("POST", BINDINGS[kind], other)

    run(main())


@pytest.mark.parametrize("kind", [VALIDATING, MUTATING])
def test_nobody_is_asked_for_rights_where_no_params_are_named(api, run, kind):
    """Without params, where they stay the same, and when policies and bindings go."""

    async def main():
        api.asks_as_user = True
        ref = {"name": "x", "namespace": "ns", "parameterNotFoundAction": "Deny"}
        api.rights.allowed |= {("get", "configmaps", "*", "*"), ("get", "configmaps", "ns", "x")}
        for name in "p", "q":
            policy = {**policy_of(kind), "metadata": {"name": name}}
            await api("POST", kind, policy)
        spec = {"policyName": "p", "paramRef": ref}
        if kind == VALIDATING:
            spec["validationActions"] = ["Deny"]
        await api("POST", BINDINGS[kind], {"metadata": {"name": "b"}, "spec": spec})
        api.rights.allowed.clear()
        merge = "application/merge-patch+json"
        binding = f"{BINDINGS[kind]}/b"
        await api("PATCH", binding, {"metadata": {"labels": {"a": "b"}}}, merge)
        assert (await api.refused("PATCH", binding, {"spec": {"policyName": "q"}}, merge)).code == 422
        assert (await api.refused("PATCH", binding, {"spec": {"paramRef": {"name": "y"}}}, merge)).code == 422
        await api("PATCH", binding, {"spec": {"paramRef": None}}, merge)
        await api("PATCH", f"{kind}/p", {"spec": {"paramKind": None}}, merge)
        del spec["paramRef"]
        await api("POST", BINDINGS[kind], {"metadata": {"name": "c"}, "spec": spec})
        await api("DELETE", binding)
        await api("DELETE", f"{kind}/p")

    run(main())


def test_webhooks_have_no_params(api, run):
    async def main():
        api.asks_as_user = True
        hooks = f"{GROUP}/validatingwebhookconfigurations"
        await api("POST", hooks, {"metadata": {"name": "h"}})

    run(main())
