"""The authorizer library: what is asked for which expression, and that each question is asked once."""

from __future__ import annotations

import pytest

from .conftest import valid

GET_PODS = ("get", "pods", "ns", "")


@pytest.mark.parametrize(
    ("expression", "question"),
    [
        ("authorizer.group('').resource('pods').namespace('ns').check('get').allowed()", GET_PODS),
        (
            "authorizer.group('apps').resource('deployments').subresource('scale').namespace('x').name('d').check('get')"
            ".reason() == 'in the table'",
            ("get", "deployments", "x", "d"),
        ),
        ("authorizer.path('/healthz').check('get').allowed()", ("get", "/healthz", "", "")),
        ("authorizer.requestResource.check('create').allowed()", ("create", "configmaps", "ns", "c")),
        (
            "authorizer.requestResource.name('other').check('get').allowed()",
            ("get", "configmaps", "ns", "other"),
        ),
        (
            "authorizer.serviceAccount('ns', 'robot').group('').resource('pods').namespace('ns').check('get').allowed()",
            GET_PODS,
        ),
    ],
)
def test_questions(api, run, expression, question):
    async def main():
        await api.namespace()
        await api.policy(validations=valid(expression, expression))
        assert await api.refusal() == f"failed expression: {expression}"
        assert len(api.rights.asked) == 1
        api.rights.allowed.add(question)
        assert await api.refusal() == ""
        asked = api.rights.asked[-1]
        robot = "serviceAccount" in expression
        assert asked.user.name == ("system:serviceaccount:ns:robot" if robot else "jane")
        if robot:
            assert asked.user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns")

    run(main())


@pytest.mark.parametrize(
    ("expression", "query"),
    [
        (
            "fieldSelector('spec.nodeName=n').labelSelector('a in (b)')",
            {"fieldSelector": "spec.nodeName=n", "labelSelector": "a in (b)"},
        ),
        ("fieldSelector('spec.nodeName').labelSelector('a in')", {}),
        ("fieldSelector('')", {}),
    ],
)
def test_selectors_narrow_when_they_can_be_read(api, run, expression, query):
    async def main():
        await api.namespace()
        await api.policy(
            validations=valid(f"authorizer.group('').resource('pods').{expression}.check('list').allowed()")
        )
        await api.refusal()
        assert api.rights.asked[0].query == query

    run(main())


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("authorizer.path(' ').check('get').allowed()", "path must not be empty"),
        ("authorizer.group('').resource('').check('get').allowed()", "resource must not be empty"),
        (
            "authorizer.serviceAccount('ns', 'A!').path('/x').check('get').allowed()",
            "Invalid service account name",
        ),
        (
            "authorizer.serviceAccount('a.b', 'a').path('/x').check('get').allowed()",
            "Invalid service account namespace",
        ),
        (
            "authorizer.path('/a').check('x').allowed() || authorizer.path('/b').check('x').allowed()"
            " || authorizer.path('/c').check('x').allowed()",
            "operation cancelled: actual cost limit exceeded",
        ),
    ],
)
def test_errors(api, run, expression, error):
    async def main():
        await api.namespace()
        await api.policy(validations=valid(expression))
        assert await api.refusal() == f"expression '{expression}' resulted in error: {error}"

    run(main())


def test_what_went_wrong_can_be_asked(api, run):
    async def main():
        await api.namespace()
        said = "d.errored() && d.error() == 'table broken' && !d.allowed()"
        await api.policy(validations=valid(f"cel.bind(d, authorizer.path('/x').check('break'), {said})"))
        assert await api.refusal() == ""
        assert len(api.rights.asked) == 1

    run(main())


def test_messages_and_annotations_may_not_ask(api, run):
    async def main():
        await api.namespace()
        text = "authorizer.path('/x').check('get').allowed() ? 'a' : 'b'"
        from .conftest import VALIDATING, rules

        spec = {
            "matchConstraints": rules(),
            "validations": [{"expression": "true", "messageExpression": text}],
        }
        error = await api.refused("POST", VALIDATING, {"metadata": {"name": "p"}, "spec": spec})
        assert "undeclared reference to 'authorizer'" in error.message
        await api.policy(auditAnnotations=[{"key": "k", "valueExpression": text}])
        assert (
            await api.refusal() == f"expression '{text}' resulted in error: no such attribute(s): authorizer"
        )

    run(main())
