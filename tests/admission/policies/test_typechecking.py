"""Warnings about expressions that do not fit the kinds a policy is for."""

from __future__ import annotations

import pytest

from knarr.admission.policies.typechecking import TypeChecker

from .conftest import rules, valid

DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
THINGS = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["things"]}


def definition(plural="things", kind="Thing", **properties):
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    names = {"plural": plural, "kind": kind}
    return {"spec": {"group": "example.com", "names": names, "versions": versions}}


def warnings(*expressions, resources=(DEPLOYMENTS,), definitions=(), **spec):
    spec = {"matchConstraints": rules(*resources), "validations": valid(*expressions), **spec}
    return TypeChecker(definitions).check(spec)


def first_lines(*args, **more):
    return [
        (w["fieldRef"], *(line for line in w["warning"].split("\n") if "ERROR" in line))
        for w in warnings(*args, **more)
    ]


def test_the_whole_text():
    assert warnings("true", "object.spec.replicaz > 1") == [
        {
            "fieldRef": "spec.validations[1].expression",
            "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replicaz'\n"
            " | object.spec.replicaz > 1\n"
            " | ...........^\n",
        }
    ]


def test_one_warning_for_all_kinds():
    both = {**DEPLOYMENTS, "resources": ["replicasets", "deployments", "deployments/scale"]}
    assert warnings("object.replicas > 1", resources=(both, PODS)) == [
        {
            "fieldRef": "spec.validations[0].expression",
            "warning": "\n".join(
                f"{kind}: ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n"
                for kind in ("/v1, Kind=Pod", "apps/v1, Kind=Deployment", "apps/v1, Kind=ReplicaSet")
            ),
        }
    ]


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("object.spec.replicas == '1'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("object.spec.template.spec.containers.all(c, c.image.startsWith('x'))", None),
        ("object.spec.template.spec.containers.all(c, c.nope)", "undefined field 'nope'"),
        ("object.metadata.labels.app == 'x' && object.metadata.labels['a/b'] == 'y'", None),
        ("object.metadata.creationTimestamp > timestamp('2020-01-01T00:00:00Z')", None),
        (
            "object.spec.strategy.rollingUpdate.maxSurge == 1 || object.spec.strategy.rollingUpdate.maxSurge == '1%'",
            None,
        ),
        ("object.spec.template.spec.containers[0].resources.limits == {}", "undefined field 'limits'"),
        ("oldObject.spec.paused && object.spec.template.metadata.annotations.size() == 0", None),
        ("request.nope == 1", "undefined field 'nope'"),
        ("namespaceObject.metadata.name == 'x' && authorizer.path('/').check('get').allowed()", None),
        (
            "authorizer.requestResource.check('get').allowed()",
            "unexpected failed resolution of 'kubernetes.authorization.Authorizer'",
        ),
        ("params.x == 1", "undeclared reference to 'params' (in container '')"),
        ("variables.nope", "undefined field 'nope'"),
        (
            "object.spec.template == 1",
            "found no matching overload for '_==_' applied to '(Deployment.spec.template, int)'",
        ),
        ("object.spec == object.spec && 1", "found no matching overload for '_&&_' applied to '(bool, int)'"),
    ],
)
def test_expressions(expression, error):
    found = first_lines(expression)
    if error is None:
        assert found == []
    else:
        assert found[0][1].endswith(error)


def test_message_expressions_and_variables():
    variables = [
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "broken", "expression": "object.spec.nope"},
        {"name": "spec", "expression": "object.spec"},
    ]
    validation = {"expression": "variables.replicas < '3'", "messageExpression": "variables.nope"}
    found = first_lines(validation, "variables.broken.x || variables.spec.whatever", variables=variables)
    assert [w[0] for w in found] == [
        "spec.validations[0].expression",
        "spec.validations[0].messageExpression",
    ]
    assert "'_<_' applied to '(int, string)'" in found[0][1]


@pytest.mark.parametrize(
    "resources",
    [
        {**DEPLOYMENTS, "apiGroups": ["*"]},
        {**DEPLOYMENTS, "apiVersions": ["v1", "*"]},
        {**DEPLOYMENTS, "resources": ["*", "deployments/scale"]},
        {**DEPLOYMENTS, "resources": ["*/scale", "deployments/*", "deploy"]},
        {**DEPLOYMENTS, "apiGroups": ["nobody.example.com"]},
    ],
)
def test_wildcards_and_strangers_are_not_looked_at(resources):
    assert warnings("object.nope", resources=(resources,)) == []


def test_ten_kinds_at_most():
    many = {
        **PODS,
        "resources": [
            "pods",
            "services",
            "configmaps",
            "secrets",
            "nodes",
            "endpoints",
            "limitranges",
            "resourcequotas",
            "serviceaccounts",
            "replicationcontrollers",
            "podtemplates",
            "namespaces",
        ],
    }
    (warning,) = warnings("object.nope", resources=(many,))
    assert warning["warning"].count("undefined field") == 10


def test_custom_resources_and_params():
    thing = definition(
        spec={
            "type": "object",
            "properties": {"size": {"type": "integer"}, "any": {"x-kubernetes-int-or-string": True}},
        }
    )
    other = definition("others", "Other", color={"type": "string"})
    more = {"resources": (THINGS,), "definitions": (thing, other)}
    assert (
        first_lines("object.spec.size > 1 && object.spec.any == 'x' && object.metadata.name == 'a'", **more)
        == []
    )
    assert first_lines("object.spec.color == ''", **more)[0][1].endswith("undefined field 'color'")
    kind = {"apiVersion": "example.com/v1", "kind": "Thing"}
    found = first_lines("params.spec.size == object.spec.size", definitions=(thing,), paramKind=kind)
    assert found[0][1].endswith("undefined field 'size'")
