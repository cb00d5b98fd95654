"""What validating policies refuse, warn of and note."""

from __future__ import annotations

import json

import pytest

from knarr.meta.errors import StatusError

from .conftest import BINDINGS, VALIDATING, rules, valid

FULL = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: "


@pytest.mark.parametrize(
    ("spec", "fields", "message"),
    [
        pytest.param({"validations": valid("true")}, {}, "", id="holds"),
        pytest.param(
            {"validations": valid(" object.data.size() > 1 ")},
            {"data": {"a": "1"}},
            "failed expression: object.data.size() > 1",
            id="expression",
        ),
        pytest.param(
            {"validations": valid({"expression": "false", "message": " no \t"})}, {}, "no", id="message"
        ),
        pytest.param(
            {"validations": valid({"expression": "false", "messageExpression": "'it is ' + object.kind"})},
            {},
            "it is ConfigMap",
            id="message expression",
        ),
        pytest.param(
            {
                "validations": valid(
                    {"expression": "false", "message": "m", "messageExpression": "object.nope"}
                    | {"messageExpression": "string(object.nope)"}
                )
            },
            {},
            "m",
            id="message expression that fails",
        ),
        pytest.param(
            {"validations": valid({"expression": "false", "messageExpression": "'a\\nb'", "message": "m"})},
            {},
            "m",
            id="message of two lines",
        ),
        pytest.param(
            {"validations": valid({"expression": "false", "messageExpression": "'   '"})},
            {},
            "failed expression: false",
            id="blank message",
        ),
        pytest.param(
            {
                "variables": [{"name": "big", "expression": "'x'.replace('x', object.data.t)"}],
                "validations": valid(
                    {"expression": "false", "messageExpression": "variables.big", "message": "m"}
                ),
            },
            {"data": {"t": "y" * 5121}},
            "m",
            id="message of more than 5 KiB",
        ),
        pytest.param(
            {"validations": valid("object.data.missing == 'x'")},
            {"data": {"a": "b"}},
            "expression 'object.data.missing == 'x'' resulted in error: no such key: missing",
            id="error",
        ),
        pytest.param(
            {"validations": valid("object.data.missing == 'x'"), "failurePolicy": "Ignore"},
            {},
            "",
            id="ignored error",
        ),
        pytest.param(
            {"validations": valid("false"), "failurePolicy": "Ignore"},
            {},
            "failed expression: false",
            id="Ignore is about errors only",
        ),
        pytest.param(
            {
                "variables": [
                    {"name": "broken", "expression": "object.data.nope"},
                    {"name": "n", "expression": "object.data.size()"},
                    {"name": "twice", "expression": "variables.n * 2"},
                ],
                "validations": valid("has(variables.twice)", "variables.twice == 4"),
            },
            {"data": {"a": "1"}},
            "failed expression: variables.twice == 4",
            id="variables are evaluated when they are used",
        ),
        pytest.param(
            {
                "variables": [{"name": "broken", "expression": "object.data.nope"}],
                "validations": valid("variables.broken == 'a'"),
            },
            {"data": {"a": "1"}},
            "expression 'variables.broken == 'a'' resulted in error: composited variable \"broken\" fails to evaluate:"
            " no such key: nope",
            id="broken variable",
        ),
        pytest.param(
            {
                "matchConditions": [
                    {"name": "a", "expression": "object.nope == 1"},
                    {"name": "b", "expression": "false"},
                ],
                "validations": valid("false"),
            },
            {},
            "",
            id="one false condition outweighs errors",
        ),
        pytest.param(
            {
                "matchConditions": [
                    {"name": "a", "expression": "object.nope == 1"},
                    {"name": "b", "expression": "object.none == 1"},
                ],
                "validations": valid("true"),
            },
            {},
            "[expression 'object.nope == 1' resulted in error: no such key: nope, expression 'object.none == 1'"
            " resulted in error: no such key: none]",
            id="errors in conditions",
        ),
        pytest.param(
            {
                "failurePolicy": "Ignore",
                "matchConditions": [{"name": "a", "expression": "object.nope == 1"}],
                "validations": valid("false"),
            },
            {},
            "",
            id="ignored error in a condition",
        ),
        pytest.param({"validations": valid("oldObject == null && params == null")}, {}, None, id="no params"),
    ],
)
def test_verdicts(api, run, spec, fields, message):
    async def main():
        await api.namespace()
        if message is None:
            error = await api.refused(
                "POST", VALIDATING, {"metadata": {"name": "p"}, "spec": {**spec, "matchConstraints": rules()}}
            )
            assert "undeclared reference to 'params'" in error.message
            return
        await api.policy(**spec)
        assert await api.refusal(**fields) == message

    run(main())


@pytest.mark.parametrize(
    ("reason", "code"), [(None, 422), ("Invalid", 422), ("Forbidden", 403), ("RequestEntityTooLarge", 413)]
)
def test_reasons_are_codes(api, run, reason, code):
    async def main():
        await api.namespace()
        await api.policy(validations=valid({"expression": "false", **({"reason": reason} if reason else {})}))
        with pytest.raises(StatusError) as caught:
            await api.configmap()
        message = f'configmaps "c" is forbidden: {FULL}failed expression: false'
        assert caught.value.status == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason or "Invalid",
            "details": {
                "name": "c",
                "kind": "configmaps",
                "causes": [{"message": message.partition(": ")[2]}],
            },
            "code": code,
        }

    run(main())


def test_the_variables_of_a_request(api, run):
    """All of `request`, the namespace, the old object and its absence."""

    async def main():
        await api.namespace(tier="gold")
        expressions = (
            "request.kind == request.requestKind && request.kind.kind == 'ConfigMap' && request.kind.group == ''",
            "request.resource.resource == 'configmaps' && request.requestResource.version == 'v1'",
            "!has(request.subResource) && !has(request.requestSubResource)",
            "request.name == object.metadata.name && request.namespace == 'ns'",
            "request.operation in ['CREATE', 'UPDATE'] && request.dryRun == (request.operation == 'CREATE')",
            "request.userInfo.username == 'jane' && request.userInfo.uid == 'u1'",
            "request.userInfo.groups == ['readers'] && request.userInfo.extra['team'] == ['blue']",
            "request.options.kind == (oldObject == null ? 'CreateOptions' : 'UpdateOptions')",
            "namespaceObject.metadata.labels.tier == 'gold' && namespaceObject.status.phase == 'Active'",
            "namespaceObject.metadata.name == request.namespace",
            "oldObject == null ? request.operation == 'CREATE' : oldObject.data.a == '1'",
            "object.apiVersion == 'v1' && has(object.metadata.uid)",
        )
        await api.policy(validations=valid(*expressions))
        await api.configmap(data={"a": "1"})
        api.registry.admission, gate = _no_admission(), api.registry.admission
        await api("POST", "/api/v1/namespaces/ns/configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})
        api.registry.admission = gate
        path = "/api/v1/namespaces/ns/configmaps/c"
        await api("PUT", path, {"metadata": {"name": "c"}, "data": {"a": "2"}})

    run(main())


def _no_admission():
    from knarr.registry.hooks import AdmitAll

    return AdmitAll()


def test_deleting(api, run):
    async def main():
        await api.namespace()
        await api("POST", "/api/v1/namespaces/ns/configmaps", {"metadata": {"name": "kept"}})
        await api.policy(
            matchConstraints=rules(
                {"apiGroups": [""], "apiVersions": ["*"], "resources": ["*"]}, operations=("DELETE",)
            ),
            validations=valid(
                "object == null && oldObject.metadata.name != 'kept' && request.name != 'kept'"
            ),
        )
        await api.refused("DELETE", "/api/v1/namespaces/ns/configmaps/kept")
        await api("GET", "/api/v1/namespaces/ns/configmaps/kept")

    run(main())


def test_actions(api, run):
    """Warn and Audit let the request pass; several bindings act each for itself."""

    async def main():
        await api.namespace()
        await api.policy(
            binding={"validationActions": ["Warn", "Audit"]},
            validations=valid("true", {"expression": "false", "message": "a < b & c"}),
        )
        await api.configmap()
        assert api.warnings == [
            "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': a < b & c"
        ]
        text = api.annotations["validation.policy.admission.k8s.io/validation_failure"]
        assert text == (
            '[{"message":"a \\u003c b \\u0026 c","policy":"p","binding":"p","expressionIndex":1,'
            '"validationActions":["Warn","Audit"]}]'
        )
        assert json.loads(text)[0]["message"] == "a < b & c"
        other = {"policyName": "p", "validationActions": ["Audit"]}
        await api("POST", BINDINGS[VALIDATING], {"metadata": {"name": "q"}, "spec": other})
        await api.configmap()
        assert api.annotations["validation.policy.admission.k8s.io/validation_failure"] == text
        spec = {"policyName": "p", "validationActions": ["Deny"]}
        await api("POST", BINDINGS[VALIDATING], {"metadata": {"name": "strict"}, "spec": spec})
        with pytest.raises(StatusError, match="with binding 'strict' denied"):
            await api.configmap()
        assert len(api.warnings) == 1

    run(main())


def test_errors_follow_the_actions_too(api, run):
    async def main():
        await api.namespace()
        await api.policy(binding={"validationActions": ["Warn"]}, validations=valid("object.nope == 1"))
        await api.configmap()
        (warning,) = api.warnings
        assert warning.endswith("expression 'object.nope == 1' resulted in error: no such key: nope")

    run(main())


def test_audit_annotations(api, run):
    async def main():
        await api.namespace()
        await api.policy(
            auditAnnotations=[
                {"key": "size", "valueExpression": "'has ' + string(object.data.size())"},
                {"key": "nothing", "valueExpression": "null"},
                {"key": "blank", "valueExpression": "' '"},
                {"key": "long", "valueExpression": "object.data.t"}
                | {"valueExpression": "string(object.data.t)"},
            ]
        )
        await api.configmap(data={"t": "é" * 6000})
        assert api.annotations["p/size"] == "has 1"
        assert len(api.annotations["p/long"].encode()) == 10 * 1024
        assert set(api.annotations) == {"p/size", "p/long"}
        assert await api.refusal(data={"a": ""}) == (
            "expression 'string(object.data.t)' resulted in error: no such key: t"
        )

    run(main())


EXPENSIVE = (
    "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, !object.data.t.matches('a.*b.*c.*d.*e.*f')))"
)


def test_costs_are_limited(api, run):
    """One evaluation may cost a million, all of a policy ten, all conditions two and a half."""

    async def gone():
        await api("DELETE", f"{BINDINGS[VALIDATING]}/q")
        await api("DELETE", f"{VALIDATING}/q")

    async def main():
        await api.namespace()
        limit = "operation cancelled: actual cost limit exceeded"
        big = {"data": {"t": "x" * 30_000}}
        await api.policy(validations=valid(EXPENSIVE))
        assert await api.refusal(**big) == f"expression '{EXPENSIVE}' resulted in error: {limit}"
        fits = {"data": {"t": "x" * 22_000}}
        assert await api.refusal(**fits) == ""
        spent = "validation failed due to running out of cost budget, no further validation rules will be run"
        await api.policy("q", validations=valid(*[EXPENSIVE] * 12))
        assert await api.refusal(**fits) == spent
        await gone()
        variables = [{"name": f"v{i}", "expression": EXPENSIVE} for i in range(12)]
        read = valid(*(f"variables.v{i}" for i in range(12)))
        await api.policy("q", variables=variables, validations=read)
        assert await api.refusal(**fits) == spent
        await gone()
        # Read twice, evaluated once; what nobody reads costs nothing.
        await api.policy("q", variables=variables, validations=(read[:8] * 2))
        assert await api.refusal(**fits) == ""
        await gone()
        conditions = [{"name": f"c{i}", "expression": EXPENSIVE} for i in range(3)]
        await api.policy("r", matchConditions=conditions, validations=valid("true"))
        assert await api.refusal(**fits) == spent

    run(main())


def test_messages_count_against_the_budget(api, run):
    async def main():
        await api.namespace()
        message = f"{EXPENSIVE} ? 'yes' : 'no'"
        await api.policy(validations=[{"expression": "true", "messageExpression": message}] * 12)
        assert await api.refusal(data={"t": "x" * 22_000}) == (
            "failed messageExpression: validation failed due to running out of cost budget,"
            " no further validation rules will be run"
        )

    run(main())


def test_policies_count_at_once_and_go_at_once(api, run):
    async def main():
        await api.namespace()
        await api.policy(validations=valid("false"))
        assert await api.refusal()
        policy = await api("GET", f"{VALIDATING}/p")
        policy["spec"]["validations"] = valid("object.metadata.name == 'c'")
        await api("PUT", f"{VALIDATING}/p", policy)
        assert await api.refusal() == ""
        assert await api.refusal("d")
        evaluator = _only(api).evaluator
        policy = await api("GET", f"{VALIDATING}/p")
        await api("PUT", f"{VALIDATING}/p/status", policy | {"status": {"observedGeneration": 2}})
        assert _only(api).evaluator is evaluator
        await api("DELETE", f"{BINDINGS[VALIDATING]}/p")
        assert await api.refusal("d") == ""

    run(main())


def _only(api):
    ((policy, _),) = api.validating.source._hooks
    return policy


def test_requests_that_no_policy_is_for_meet_no_plugin(api, run):
    async def main():
        await api.namespace()
        await api.policy(validations=valid("true"))
        await api.configmap()
        await api("POST", "/api/v1/namespaces/ns/secrets", {"metadata": {"name": "s"}})
        rows = {target.resource: steps for target, steps in api.chain._validating.items()}
        assert rows["configmaps"].names == ["ValidatingAdmissionPolicy"]
        assert rows["secrets"].names == []

    run(main())


def test_what_policies_never_see(api, run):
    """Policies and bindings, so that whoever locked himself out can get in again."""

    async def main():
        everything = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
        await api.policy(matchConstraints=rules(everything, operations=("*",)), validations=valid("false"))
        await api("DELETE", f"{BINDINGS[VALIDATING]}/p")
        await api("DELETE", f"{VALIDATING}/p")
        hooks = f"{VALIDATING.rpartition('/')[0]}/validatingwebhookconfigurations"
        await api("POST", hooks, {"metadata": {"name": "w"}})

    run(main())


def test_webhook_configurations_are_seen(api, run):
    async def main():
        everything = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
        await api.policy(matchConstraints=rules(everything), validations=valid("false"))
        hooks = f"{VALIDATING.rpartition('/')[0]}/validatingwebhookconfigurations"
        await api.refused("POST", hooks, {"metadata": {"name": "w"}})

    run(main())


def test_what_metrics_tell(api, run):
    def checks(plugin):
        (_, _, _, samples), _ = plugin.counts.families()
        return {tuple(labels.values()): count for _, labels, count in samples}

    async def main():
        await api.namespace()
        assert not any(f.samples for p in (api.validating, api.mutating) for f in p.counts.families())
        await api.mutation("Object{data: {'n': string(int(object.data.n) + 1)}}", failurePolicy="Ignore")
        await api.policy(
            validations=valid("object.data.n != '2'"), binding={"validationActions": ["Warn", "Audit"]}
        )
        await api.policy("q", validations=valid("object.data.none == ''"), failurePolicy="Ignore")
        for n in "1", "1", "5", "five":
            await api.configmap(data={"n": n})
        assert checks(api.mutating) == {("m", "m", "no_error"): 3, ("m", "m", "invalid_error"): 1}
        assert checks(api.validating) == {
            ("p", "p", "invalid_error", "warn"): 2,
            ("p", "p", "invalid_error", "audit"): 2,
            ("q", "q", "invalid_error", "allow"): 4,
        }
        *_, (_, _, _, samples) = api.mutating.counts.families()
        buckets = [
            n for suffix, labels, n in samples if suffix == "_bucket" and labels["error_type"] == "no_error"
        ]
        assert len(buckets) == 6 and buckets == sorted(buckets) and buckets[-1] == 3

    run(main())


def test_a_binding_may_come_first_and_stay_longer(api, run):
    async def main():
        await api.namespace()
        bound = {"policyName": "p", "validationActions": ["Deny"]}
        await api("POST", BINDINGS[VALIDATING], {"metadata": {"name": "early"}, "spec": bound})
        assert await api.refusal() == ""
        await api.policy(validations=valid("false"))
        assert await api.refusal() == "failed expression: false"
        await api("DELETE", f"{VALIDATING}/p")
        assert await api.refusal() == ""

    run(main())


def test_a_namespace_lies_in_itself(api, run):
    """Also one that is being made; it has no namespaceObject."""

    async def main():
        ask = "authorizer.requestResource.check('create').allowed()"
        await api.policy(
            matchConstraints=rules({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["namespaces"]}),
            validations=valid("request.namespace == object.metadata.name", "namespaceObject == null", ask),
        )
        for verb in "create", "update":
            api.rights.allowed.add((verb, "namespaces", "ns", "ns"))
        await api.namespace()
        merge = "application/merge-patch+json"
        await api("PATCH", "/api/v1/namespaces/ns", {"metadata": {"labels": {"a": "b"}}}, merge)
        with pytest.raises(StatusError, match="failed expression: authorizer"):
            await api.namespace("other")

    run(main())


def test_what_subresources_hold(api, run):
    """Evictions and bindings are kinds of their own; so are their versions."""

    async def main():
        await api.namespace()
        template = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        await api("POST", "/api/v1/namespaces/ns/pods", template)
        shown = {
            "expression": "false",
            "messageExpression": "object.apiVersion + ' ' + object.kind + ' of ' + request.resource.resource"
            " + '/' + request.subResource + ' ' + request.name",
        }
        await api.policy(
            validations=valid(shown),
            matchConstraints=rules({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/*"]}),
        )
        target = {"target": {"name": "n"}}
        for sub, body, text in (
            ("eviction", {}, "policy/v1 Eviction of pods/eviction p"),
            ("binding", target, "v1 Binding of pods/binding p"),
        ):
            body = {"metadata": {"name": "p"}, **body}
            error = await api.refused("POST", f"/api/v1/namespaces/ns/pods/p/{sub}", body)
            assert error.message.endswith(f"denied request: {text}")

    run(main())
