"""Kinds of admissionregistration.k8s.io/v1: webhooks and policies; defaults, rules, tables."""

import pytest

from .kindcases import QUALIFIED, Resource

GROUP = "admissionregistration.k8s.io"
VALIDATING = Resource("validatingwebhookconfigurations", GROUP)
MUTATING = Resource("mutatingwebhookconfigurations", GROUP)
POLICIES, BINDINGS = (
    Resource("validatingadmissionpolicies", GROUP),
    Resource("validatingadmissionpolicybindings", GROUP),
)
MUTATIONS = Resource("mutatingadmissionpolicies", GROUP)
MUTATION_BINDINGS = Resource("mutatingadmissionpolicybindings", GROUP)
RULE = {"apiGroups": ["*"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


# -- webhooks --------------------------------------------------------------------------------------------


def hook(**parts):
    return {
        "name": "a.b.c",
        "clientConfig": {"url": "https://x/y"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "rules": [RULE],
        **parts,
    }


def test_a_webhook_is_filled():
    filled = {
        **hook(rules=[{**RULE, "scope": "*"}]),
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "timeoutSeconds": 10,
    }
    assert VALIDATING.created({"webhooks": [hook()]})["webhooks"] == [filled]
    assert MUTATING.created({"webhooks": [hook()]})["webhooks"] == [{**filled, "reinvocationPolicy": "Never"}]
    service = hook(clientConfig={"service": {"name": "s", "namespace": "n"}})
    stored = VALIDATING.created({"webhooks": [service]})["webhooks"][0]
    assert stored["clientConfig"]["service"]["port"] == 443


AT = "webhooks[0]"
URL = f"{AT}.clientConfig.url: Invalid value"
HOOK_ERRORS = [
    pytest.param({}, [], id="good"),
    pytest.param(
        {"name": "a"},
        [f'{AT}.name: Invalid value: "a": should be a domain with at least three segments separated by dots'],
        id="name",
    ),
    pytest.param(
        {"clientConfig": {}},
        [f"{AT}.clientConfig: Required value: exactly one of url or service is required"],
        id="nobody to call",
    ),
    pytest.param(
        {"clientConfig": {"url": "http://x"}},
        [f"{URL}: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]"],
        id="scheme",
    ),
    pytest.param(
        {"clientConfig": {"url": "https://u@x/y?z#f"}},
        [
            f'{URL}: "u": user information is not permitted in the URL',
            f'{URL}: "f": fragments are not permitted in the URL',
            f'{URL}: "z": query parameters are not permitted in the URL',
        ],
        id="parts of a URL",
    ),
    pytest.param(
        {"clientConfig": {"service": {"name": "s", "namespace": "n", "path": "x"}}},
        [f"{AT}.clientConfig.service.path: Invalid value: \"x\": must start with a '/'"],
        id="path",
    ),
    pytest.param(
        {"sideEffects": "Some", "admissionReviewVersions": ["v9"], "timeoutSeconds": 31},
        [
            f'{AT}.admissionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1',
            f'{AT}.sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
            f"{AT}.timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
        ],
        id="several",
    ),
    pytest.param(
        {"rules": [{**RULE, "operations": ["*", "CREATE"], "resources": ["*/*", "pods"], "apiVersions": []}]},
        [
            f'{AT}.rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
            f"{AT}.rules[0].apiVersions: Required value",
            f'{AT}.rules[0].resources: Invalid value: ["*/*","pods"]: if \'*/*\' is present, must not specify other resources',
        ],
        id="stars",
    ),
    pytest.param(
        {"matchConditions": [{"name": "a b", "expression": "1"}, {"name": "x", "expression": "zzz"}]},
        [
            f'{AT}.matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int',
            f'{AT}.matchConditions[0].name: Invalid value: "a b": {QUALIFIED}',
            f'{AT}.matchConditions[1].expression: Invalid value: "zzz": compilation failed: ERROR: <input>:1:1:'
            " undeclared reference to 'zzz' (in container '')\n | zzz\n | ^",
        ],
        id="conditions",
    ),
]


@pytest.mark.parametrize(("parts", "errors"), HOOK_ERRORS)
def test_errors_of_webhooks(parts, errors):
    found = VALIDATING.errors({"webhooks": [hook(**parts)]})
    assert sorted(found) == sorted(errors)
    assert MUTATING.errors({"webhooks": [hook(**parts)]}) == found


# -- policies --------------------------------------------------------------------------------------------


def policy(**spec):
    whole = {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}], **spec}
    return {"spec": whole}


def test_a_policy_is_filled():
    spec = POLICIES.created(policy())["spec"]
    assert spec["failurePolicy"] == "Fail"
    assert spec["matchConstraints"] == {
        "resourceRules": [{**RULE, "scope": "*"}],
        "namespaceSelector": {},
        "objectSelector": {},
        "matchPolicy": "Equivalent",
    }


NOTHING = "validations or auditAnnotations must contain at least one item"
POLICY_ERRORS = [
    pytest.param(policy(), [], id="good"),
    pytest.param(
        {"spec": {}},
        [
            "spec.matchConstraints: Required value",
            f"spec.validations: Required value: {NOTHING}",
            f"spec.auditAnnotations: Required value: {NOTHING}",
        ],
        id="nothing",
    ),
    pytest.param(
        policy(
            validations=[
                {"expression": "1"},
                {"expression": " "},
                {"expression": "true", "message": "a\nb", "reason": "X"},
                {"expression": "true", "messageExpression": "1"},
            ]
        ),
        [
            'spec.validations[0].expression: Invalid value: "1": must evaluate to bool but got int',
            "spec.validations[1].expression: Required value: expression is not specified",
            'spec.validations[2].message: Invalid value: "a\\nb": must not contain line breaks',
            'spec.validations[2].reason: Unsupported value: "X":'
            ' supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"',
            'spec.validations[3].messageExpression: Invalid value: "1": must evaluate to string but got int',
        ],
        id="validations",
    ),
    pytest.param(
        policy(
            variables=[{"name": "v", "expression": "1"}], validations=[{"expression": "variables.v == 1"}]
        ),
        [],
        id="variables have types",
    ),
    pytest.param(
        policy(variables=[{"name": "v", "expression": "variables.w"}]),
        [
            'spec.variables[0].expression: Invalid value: "variables.w": compilation failed: ERROR: <input>:1:10:'
            " undefined field 'w'\n | variables.w\n | .........^"
        ],
        id="variables come in order",
    ),
    pytest.param(
        policy(validations=[{"expression": "params.x"}]),
        [
            'spec.validations[0].expression: Invalid value: "params.x": compilation failed: ERROR: <input>:1:1:'
            " undeclared reference to 'params' (in container '')\n | params.x\n | ^"
        ],
        id="no params",
    ),
    pytest.param(
        policy(auditAnnotations=[{"key": "k", "valueExpression": "1"}]),
        [
            'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] but got int'
        ],
        id="annotations",
    ),
]


@pytest.mark.parametrize(("body", "errors"), POLICY_ERRORS)
def test_errors_of_policies(body, errors):
    assert POLICIES.errors(body) == errors


def binding(**spec):
    return {"spec": {"policyName": "p", "validationActions": ["Deny"], **spec}}


BINDING_ERRORS = [
    pytest.param(binding(), [], id="good"),
    pytest.param(binding(policyName=""), ["spec.policyName: Required value"], id="policy"),
    pytest.param(
        binding(validationActions=[]),
        ["spec.validationActions: Required value: at least one validation action is required"],
        id="no action",
    ),
    pytest.param(
        binding(validationActions=["Deny", "Warn"]),
        [
            'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn (repeating the'
            " same validation failure information in the API response and headers serves no purpose)"
        ],
        id="twice said",
    ),
    pytest.param(
        binding(paramRef={"name": "a", "selector": {}, "parameterNotFoundAction": "X"}),
        [
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            'spec.paramRef.parameterNotFoundAction: Unsupported value: "X": supported values: "Deny", "Allow"',
        ],
        id="params",
    ),
]


@pytest.mark.parametrize(("body", "errors"), BINDING_ERRORS)
def test_errors_of_bindings(body, errors):
    assert BINDINGS.errors(body) == errors


def mutating(*mutations, **spec):
    whole = {"matchConstraints": {"resourceRules": [RULE]}, "reinvocationPolicy": "Never", **spec}
    return {"spec": {**whole, "mutations": list(mutations)}}


def applied(expression):
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patched(expression):
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


MUTATION_ERRORS = [
    pytest.param(mutating(applied('Object{metadata: Object.metadata{labels: {"a": "b"}}}')), [], id="apply"),
    pytest.param(mutating(patched('[JSONPatch{op: "add", path: "/a", value: 1}]')), [], id="patch"),
    pytest.param(
        mutating(), ["spec.mutations: Required value: mutations must contain at least one item"], id="none"
    ),
    pytest.param(
        mutating({"patchType": "X"}),
        [
            'spec.mutations[0].patchType: Unsupported value: "X": supported values: "ApplyConfiguration", "JSONPatch"'
        ],
        id="type",
    ),
    pytest.param(
        mutating(applied("1")),
        [
            'spec.mutations[0].applyConfiguration.expression: Invalid value: "1": must evaluate to Object but got int'
        ],
        id="no object",
    ),
]


@pytest.mark.parametrize(("body", "errors"), MUTATION_ERRORS)
def test_errors_of_mutating_policies(body, errors):
    assert MUTATIONS.errors(body) == errors


def test_rows():
    assert VALIDATING.row_of({"webhooks": [hook()]}) == ["a", 1, "120m"]
    assert POLICIES.row_of(policy()) == ["a", 1, "<unset>", "120m"]
    kinds = policy(paramKind={"apiVersion": "v1", "kind": "ConfigMap"})
    assert POLICIES.row_of(kinds)[2] == "v1/ConfigMap"
    assert BINDINGS.row_of(binding()) == ["a", "p", "<unset>", "120m"]
    assert MUTATIONS.row_of(mutating(applied("Object{}"))) == ["a", 1, "<unset>", "120m"]
    assert MUTATION_BINDINGS.row_of({"spec": {"policyName": "p"}}) == ["a", "p", "<unset>", "120m"]
