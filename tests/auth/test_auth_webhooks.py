"""Servers that are asked who somebody is, or what he may do."""

import asyncio

import pytest

from knarr.auth import remote as remote_module
from knarr.auth.attributes import spec_of
from knarr.auth.authenticate import Authenticator
from knarr.auth.authorize import Authorizers, Decision
from knarr.auth.configuration import ConfigurationError
from knarr.auth.configuration.authorization import check, parse
from knarr.auth.configuration.chain import Webhook
from knarr.auth.configuration.expressions import compile_expression, review_environment
from knarr.auth.identity import AuthenticationError
from knarr.auth.remote import Remote
from knarr.auth.webhookauthorizer import BOTH, WebhookAuthorizer
from knarr.auth.webhooktokens import WebhookTokens
from knarr.client.kubeconfig import load
from knarr.meta import fielderrors
from knarr.registry.context import Request, UserInfo
from knarr.world import World
from knarr.world.chance import chance

from .memory_reader import HandClock
from .outside import Hook, Outside

JANE = UserInfo("jane", "7", ("dev",), {"example.org/team": ("red",)})
GET = Request(
    "get", group="apps", version="v1", resource="deployments", namespace="ns", name="web", user=JANE
)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(remote_module, "RETRY_SECONDS", 0.001)


def world():
    return World(HandClock(), chance(3))


def with_hook(tmp_path, answer, test, clients=False, **user):
    async def run():
        outside = Outside(tmp_path)
        hook = await Hook(outside, answer).start(clients)
        remote = Remote(load(outside.kubeconfig(hook.url, **user)), 5.0)
        try:
            return await test(hook, remote)
        finally:
            await remote.close()
            await outside.close()

    return asyncio.run(run())


# -- tokens ------------------------------------------------------------------------------------------------

KNOWN = {
    "authenticated": True,
    "user": {"username": "jane", "uid": "7", "groups": ["dev"], "extra": {"example.org/team": ["red"]}},
}


def test_a_token_that_the_webhook_knows(tmp_path):
    async def test(hook, remote):
        tokens = WebhookTokens(remote, world(), "v1", 120.0, ("api",))
        identity = await tokens.authenticate("T", ("api", "x"))
        assert (identity.user, identity.audiences) == (JANE, ("api",))
        assert hook.asked == [
            {
                "kind": "TokenReview",
                "apiVersion": "authentication.k8s.io/v1",
                "metadata": {"creationTimestamp": None},
                "spec": {"token": "T", "audiences": ["api", "x"]},
                "status": {"user": {}},
            }
        ]
        (request,) = hook.requests
        assert request.path == "/review" and request.query_string == "timeout=5s"
        assert request.headers["Authorization"] == "Bearer ours"

    with_hook(tmp_path, KNOWN, test, token="ours")


def test_the_older_version_and_client_certificates(tmp_path):
    async def test(hook, remote):
        tokens = WebhookTokens(remote, world())
        assert (await tokens.authenticate("T", ())).user == JANE
        assert hook.asked[0]["apiVersion"] == "authentication.k8s.io/v1beta1"
        assert "audiences" not in hook.asked[0]["spec"]

    outside = Outside(tmp_path)
    file = str(outside.pair("apiserver"))
    with_hook(tmp_path, KNOWN, test, True, **{"client-certificate": file, "client-key": file})


@pytest.mark.parametrize(
    "status,expected",
    [
        ({"authenticated": False}, None),
        ({"authenticated": False, "error": "too old"}, "too old"),
        ({}, None),
        ({"authenticated": True, "audiences": ["elsewhere"], "user": {"username": "j"}}, None),
        ({"authenticated": True, "audiences": ["x", "api"], "user": {"username": "j"}}, ("j", ("api",))),
    ],
)
def test_what_the_webhook_says(tmp_path, status, expected):
    async def test(hook, remote):
        tokens = WebhookTokens(remote, world(), "v1", 120.0, ("api",))
        try:
            identity = await tokens.authenticate("T", ("api",))
        except AuthenticationError as error:
            return str(error)
        return identity and (identity.user.name, identity.audiences)

    assert with_hook(tmp_path, {"status": status}, test) == expected


def test_answers_are_kept_but_failures_are_not(tmp_path):
    answers = [KNOWN, (404, "gone"), {"authenticated": False, "error": "no"}]

    async def test(hook, remote):
        here = world()
        tokens = WebhookTokens(remote, here, "v1", 60.0)
        hook.answer = answers[0]
        for _ in range(3):
            assert (await tokens.authenticate("T", ())).user == JANE
        assert len(hook.asked) == 1
        here.clock.time += 61
        hook.answer = answers[1]
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="the server could not find the requested resource"):
                await tokens.authenticate("T", ())
        assert len(hook.asked) == 3
        hook.answer = answers[2]
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="^no$"):
                await tokens.authenticate("T", ())
        assert len(hook.asked) == 4

    with_hook(tmp_path, KNOWN, test)


@pytest.mark.parametrize(
    "answer,tries,words",
    [
        ((500, "broken"), 5, 'an error on the server ("broken") has prevented the request from succeeding'),
        ((429, ""), 5, "the server has received too many requests and has asked us to try again later"),
        ((503, ""), 5, "the server is currently unable to handle the request"),
        ((403, '{"kind":"Status","message":"you may not"}'), 1, "you may not"),
        ((418, ""), 1, "the server responded with the status code 418 but did not return more information"),
        ((200, "no json"), 1, "couldn't get version/kind; json parse error: "),
        (
            (200, '{"kind":"Other"}'),
            1,
            'the server answered with apiVersion "", expected "authentication.k8s.io/v1"',
        ),
    ],
)
def test_failures_and_how_often_one_tries(tmp_path, answer, tries, words):
    async def test(hook, remote):
        with pytest.raises(AuthenticationError) as caught:
            await WebhookTokens(remote, world(), "v1").authenticate("T", ())
        assert str(caught.value).startswith(words)
        assert len(hook.asked) == tries

    with_hook(tmp_path, answer, test)


def test_nobody_listens_or_another_authority(tmp_path):
    async def test(hook, remote):
        await hook.outside.close()
        with pytest.raises(AuthenticationError, match='^Post "https.*connect: connection refused$'):
            await WebhookTokens(remote, world(), "v1").authenticate("T", ())
        (tmp_path / "other").mkdir()
        other = Outside(tmp_path / "other", seed=10)
        stranger = await Hook(other, KNOWN).start()
        mistaken = Remote(load(hook.outside.kubeconfig(stranger.url)))
        with pytest.raises(AuthenticationError, match="tls: failed to verify certificate: x509: "):
            await WebhookTokens(mistaken, world(), "v1").authenticate("T", ())
        await mistaken.close()
        await other.close()

    with_hook(tmp_path, KNOWN, test)


def test_in_the_row_of_methods(tmp_path):
    async def test(hook, remote):
        users = Authenticator([WebhookTokens(remote, world(), "v1", 0.0, ("api",))], HandClock(), ["api"])
        assert (await users.authenticate("T")).groups == ("dev", "system:authenticated")
        assert (await users.review("T", ("api",))).audiences == ("api",)

    with_hook(tmp_path, KNOWN, test)


# -- authorization -----------------------------------------------------------------------------------------


def authorizer(remote, here=None, **more):
    return WebhookAuthorizer(remote, here or world(), Webhook("", timeout=5.0, **more))


SPECS = [
    (
        GET,
        {
            "resourceAttributes": {
                "namespace": "ns",
                "verb": "get",
                "group": "apps",
                "version": "v1",
                "resource": "deployments",
                "name": "web",
            },
        },
    ),
    (
        Request("get", path="/metrics", user=JANE),
        {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}},
    ),
    (
        Request(
            "list",
            version="v1",
            resource="pods",
            user=JANE,
            query={"fieldSelector": "spec.nodeName=n,a!=b", "labelSelector": "x in (b,a),y!=1,z,!w,k=v,n>3"},
        ),
        {
            "resourceAttributes": {
                "verb": "list",
                "version": "v1",
                "resource": "pods",
                "fieldSelector": {
                    "requirements": [
                        {"key": "a", "operator": "NotIn", "values": ["b"]},
                        {"key": "spec.nodeName", "operator": "In", "values": ["n"]},
                    ]
                },
                "labelSelector": {
                    "requirements": [
                        {"key": "k", "operator": "In", "values": ["v"]},
                        {"key": "w", "operator": "DoesNotExist"},
                        {"key": "x", "operator": "In", "values": ["a", "b"]},
                        {"key": "y", "operator": "NotIn", "values": ["1"]},
                        {"key": "z", "operator": "Exists"},
                    ]
                },
            }
        },
    ),
    (
        Request("get", resource="pods", user=JANE, query={"fieldSelector": "a=b"}),
        {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    ),
    (
        Request(
            "watch", resource="pods", user=JANE, query={"fieldSelector": "broken", "labelSelector": "=="}
        ),
        {"resourceAttributes": {"verb": "watch", "resource": "pods"}},
    ),
]


@pytest.mark.parametrize("request_,expected", SPECS)
def test_a_request_as_a_question(request_, expected):
    subject = {"user": "jane", "uid": "7", "groups": ["dev"], "extra": {"example.org/team": ["red"]}}
    assert spec_of(request_) == {**expected, **subject}


@pytest.mark.parametrize(
    "status,expected",
    [
        ({"allowed": True}, Decision(True)),
        ({"allowed": True, "reason": "fine"}, Decision(True, "fine")),
        ({"allowed": False, "reason": "no"}, Decision(False, "no")),
        ({"allowed": False, "denied": True, "reason": "never"}, Decision(False, "never", True)),
        ({"allowed": True, "denied": True}, Decision(False, "", True, BOTH)),
        ({}, Decision(False)),
    ],
)
def test_decisions(tmp_path, status, expected):
    async def test(hook, remote):
        return await authorizer(remote).authorize(GET)

    assert with_hook(tmp_path, {"status": status}, test) == expected


def test_versions_and_what_is_sent(tmp_path):
    async def test(hook, remote):
        await authorizer(remote, version="v1").authorize(GET)
        await authorizer(remote, version="v1beta1").authorize(GET)
        new, old = hook.asked
        assert new == {
            "kind": "SubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {"creationTimestamp": None},
            "spec": spec_of(GET),
            "status": {"allowed": False},
        }
        assert old["apiVersion"] == "authorization.k8s.io/v1beta1"
        assert old["spec"]["group"] == ["dev"] and "groups" not in old["spec"]

    with_hook(tmp_path, {"allowed": True}, test)


def test_how_long_answers_are_kept(tmp_path):
    async def test(hook, remote):
        here = world()
        asks = authorizer(remote, here, authorized_seconds=300.0, unauthorized_seconds=30.0)
        for _ in range(2):
            await asks.authorize(GET)
        here.clock.time += 299
        await asks.authorize(GET)
        assert len(hook.asked) == 1
        here.clock.time += 2
        hook.answer = {"allowed": False}
        for _ in range(2):
            await asks.authorize(GET)
        here.clock.time += 29
        await asks.authorize(GET)
        assert len(hook.asked) == 2
        here.clock.time += 2
        await asks.authorize(GET)
        assert len(hook.asked) == 3
        long = Request("get", path="/" + "x" * 10_000, user=JANE)
        for _ in range(2):
            await asks.authorize(long)
        assert len(hook.asked) == 5
        none = authorizer(remote, here, authorized_seconds=0.0, unauthorized_seconds=0.0)
        for _ in range(2):
            await none.authorize(GET)
        assert len(hook.asked) == 7

    with_hook(tmp_path, {"allowed": True}, test)


def test_a_webhook_that_fails(tmp_path):
    async def test(hook, remote):
        words = "the server could not find the requested resource"
        assert await authorizer(remote).authorize(GET) == Decision(False, "", False, words)
        assert await authorizer(remote, deny_on_failure=True).authorize(GET) == Decision(
            False, "", True, words
        )

        async def slow(question):
            await asyncio.sleep(0.3)

        hook.answer = slow
        hasty = WebhookAuthorizer(remote, world(), Webhook("", timeout=0.05))
        assert (await hasty.authorize(GET)).error == "context deadline exceeded"

    with_hook(tmp_path, (404, ""), test)


def conditions(*texts):
    made = []
    for text in texts:
        compiled, wrong = compile_expression(review_environment(), text, "x", [("bool",)])
        assert wrong == []
        made.append(compiled)
    return made


RESOURCES = "has(request.resourceAttributes)"


@pytest.mark.parametrize(
    "texts,asked,error",
    [
        (["true"], True, ""),
        (["false"], False, ""),
        ([f"{RESOURCES} && request.resourceAttributes.namespace == 'ns'"], True, ""),
        ([f"!{RESOURCES}"], False, ""),
        (["request.user == 'jane' && request.uid == '7' && 'dev' in request.groups"], True, ""),
        (["request.extra['example.org/team'] == ['red']"], True, ""),
        (["request.resourceAttributes.subresource == ''"], True, ""),
        (
            ["request.extra['none'] == ['x']"],
            False,
            "cel evaluation error: expression 'request.extra['none'] == ['x']' resulted in error: no such key: none",
        ),
        (["request.extra['none'] == ['x']", "false"], False, ""),
    ],
)
def test_match_conditions(tmp_path, texts, asked, error):
    async def test(hook, remote):
        asks = authorizer(remote, conditions=conditions(*texts))
        found = await asks.authorize(GET)
        assert found == (Decision(True) if asked else Decision(False, "", False, error))
        assert len(hook.asked) == asked
        if error:
            asks = authorizer(remote, conditions=conditions(*texts), deny_on_failure=True)
            assert await asks.authorize(GET) == Decision(False, "", True, error)

    with_hook(tmp_path, {"allowed": True}, test)


def test_conditions_see_selectors(tmp_path):
    text = (
        "request.resourceAttributes.?fieldSelector.requirements.orValue([])"
        ".exists(r, r.key == 'spec.nodeName' && r.operator == 'In' && r.values == ['n'])"
    )

    async def test(hook, remote):
        asks = authorizer(remote, conditions=conditions(text))
        for selector in ("", "spec.nodeName=other"):
            request = Request("list", resource="pods", user=JANE, query={"fieldSelector": selector})
            assert not (await asks.authorize(request)).allowed
        request = Request("list", resource="pods", user=JANE, query={"fieldSelector": "spec.nodeName=n"})
        assert (await asks.authorize(request)).allowed

    with_hook(tmp_path, {"allowed": True}, test)


def test_nobody_else_is_asked_after_a_denial(tmp_path):
    class Yes:
        def authorize(self, request):
            return Decision(True, "yes")

        def resolve(self, user, namespace):
            raise AssertionError

    async def test(hook, remote):
        chain = Authorizers(authorizer(remote), Yes())
        assert await chain.authorize(GET) == Decision(False, "never", True)
        hook.answer = {"allowed": False, "reason": "no opinion"}
        other = Request("get", resource="pods", user=JANE)
        assert await chain.authorize(other) == Decision(True, "yes")
        masters = Request("get", resource="pods", user=UserInfo("a", groups=("system:masters",)))
        count = len(hook.asked)
        assert (await chain.authorize(masters)).allowed and len(hook.asked) == count

    with_hook(tmp_path, {"allowed": False, "denied": True, "reason": "never"}, test)


# -- the file ----------------------------------------------------------------------------------------------


def webhook(tmp_path, **changes):
    file = tmp_path / "kubeconfig"
    file.touch()
    config = {
        "timeout": 3.0,
        "subjectAccessReviewVersion": "v1",
        "matchConditionSubjectAccessReviewVersion": "v1",
        "failurePolicy": "Deny",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": str(file)},
        **changes,
    }
    return {key: value for key, value in config.items() if value is not ...}


def chain(config):
    return {"authorizers": [{"type": "Webhook", "name": "hook", "webhook": config}]}


def test_settings_of_a_webhook(tmp_path):
    (mode,), wrong = check(chain(webhook(tmp_path)))
    assert wrong == []
    file = str(tmp_path / "kubeconfig")
    assert mode.webhook == Webhook(file, "v1", 300.0, 30.0, 3.0, True, [])
    changed = webhook(tmp_path, authorizedTTL=5.0, cacheUnauthorizedRequests=False, failurePolicy="NoOpinion")
    ((mode,), _) = check(chain(changed))
    assert mode.webhook == Webhook(file, "v1", 5.0, 0.0, 3.0, False, [])


W = "authorizers[0]"


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"timeout": ...}, f"{W}.timeout: Required value"),
        ({"timeout": 31.0}, f'{W}.timeout: Invalid value: "31s": must be > 0s and <= 30s'),
        ({"authorizedTTL": -1.0}, f'{W}.authorizedTTL: Invalid value: "-1s": must be > 0s'),
        ({"unauthorizedTTL": -1.0}, f'{W}.unauthorizedTTL: Invalid value: "-1s": must be > 0s'),
        ({"subjectAccessReviewVersion": ...}, f"{W}.subjectAccessReviewVersion: Required value"),
        (
            {"subjectAccessReviewVersion": "v2"},
            f'{W}.subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1"',
        ),
        (
            {"matchConditionSubjectAccessReviewVersion": ..., "matchConditions": [{"expression": "true"}]},
            f"{W}.matchConditionSubjectAccessReviewVersion: Required value: "
            "required if match conditions are specified",
        ),
        (
            {"matchConditionSubjectAccessReviewVersion": "v1beta1"},
            f'{W}.matchConditionSubjectAccessReviewVersion: Unsupported value: "v1beta1": supported values: "v1"',
        ),
        ({"failurePolicy": ...}, f"{W}.failurePolicy: Required value"),
        (
            {"failurePolicy": "Fail"},
            f'{W}.failurePolicy: Unsupported value: "Fail": supported values: "NoOpinion", "Deny"',
        ),
        ({"connectionInfo": {}}, f"{W}.connectionInfo.type: Required value"),
        (
            {"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "relative"}},
            f'{W}.connectionInfo.kubeConfigFile: Invalid value: "relative": must be an absolute path',
        ),
        (
            {"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "/"}},
            f'{W}.connectionInfo.kubeConfigFile: Invalid value: "/": must be a regular file',
        ),
        (
            {"connectionInfo": {"type": "InClusterConfig", "kubeConfigFile": "/x"}},
            f'{W}.connectionInfo.kubeConfigFile: Invalid value: "/x": can only be set when type=KubeConfigFile',
        ),
        ({"matchConditions": [{}]}, f"{W}.matchConditions[0].expression: Required value"),
        (
            {"matchConditions": [{"expression": "true"}, {"expression": "true"}]},
            f'{W}.matchConditions[1].expression: Duplicate value: "true"',
        ),
        (
            {"matchConditions": [{"expression": "request.user"}]},
            f'{W}.matchConditions[0].expression: Invalid value: "request.user": must evaluate to bool but got string',
        ),
        (
            {"matchConditions": [{"expression": "true"}] * 65},
            f"{W}.matchConditions: Too many: 65: must have at most 64 items",
        ),
    ],
)
def test_what_is_wrong_with_a_webhook(tmp_path, changes, words):
    _, found = check(chain(webhook(tmp_path, **changes)))
    assert fielderrors.aggregate(found) == words


@pytest.mark.parametrize(
    "authorizers,words",
    [
        ([], "authorizers: Required value: at least one authorization mode must be defined"),
        ([{"name": "a"}], "authorizers[0].type: Required value"),
        (
            [{"type": "Foo", "name": "a"}],
            'authorizers[0].type: Unsupported value: "Foo": supported values: '
            '"ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"',
        ),
        (
            [{"type": "RBAC", "name": "a"}, {"type": "RBAC", "name": "b"}],
            'authorizers[1].type: Duplicate value: "RBAC"',
        ),
        ([{"type": "RBAC"}], "authorizers[0].name: Required value"),
        (
            [{"type": "RBAC", "name": "a"}, {"type": "Node", "name": "a"}],
            'authorizers[1].name: Duplicate value: "a"',
        ),
        (
            [{"type": "Webhook", "name": "a"}],
            "authorizers[0].webhook: Required value: required when type=Webhook",
        ),
        (
            [{"type": "RBAC", "name": "a", "webhook": {}}],
            'authorizers[0].webhook: Invalid value: "non-null": may only be specified when type=Webhook',
        ),
    ],
)
def test_what_is_wrong_with_a_chain(authorizers, words):
    _, found = check({"authorizers": authorizers})
    assert fielderrors.aggregate(found) == words


def test_a_file_that_changes_more_than_webhooks():
    head = b"apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n"
    node, rbac = b"- {type: Node, name: node}\n", b"- {type: RBAC, name: rbac}\n"
    assert [m.type for m in parse(head + rbac + node, "f", ["Node", "RBAC"])] == ["RBAC", "Node"]
    with pytest.raises(ConfigurationError, match="expected Node, RBAC, found RBAC"):
        parse(head + rbac, "f", ["Node", "RBAC"])
    with pytest.raises(ConfigurationError, match=r'unknown field "authorizers\[0\].kind"'):
        parse(head + b"- {type: RBAC, name: rbac, kind: x}\n", "f")
    with pytest.raises(ConfigurationError, match=r"authorizers\[0\].webhook.timeout: time: invalid duration"):
        parse(head + b"- {type: Webhook, name: rbac, webhook: {timeout: soon}}\n", "f")
