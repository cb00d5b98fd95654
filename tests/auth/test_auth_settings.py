"""A whole API server with other settings of who may come in and what they may do."""

import asyncio
import base64
import os

import pytest

from knarr.auth.abac import Policy, parse
from knarr.auth.configuration import ConfigurationError
from knarr.auth.configuration.settings import AuthenticationSettings, AuthorizationSettings, check
from knarr.auth.jwt import Signer
from knarr.auth.keys import Key
from knarr.meta import times
from knarr.registry.context import Request, UserInfo
from knarr.world.chance import chance
from knarr.world.clock import RealClock

from .outside import Hook, Issuer, JoseKey, Outside
from .servers import Server, with_server


def changed(path, text):
    """Write a file so that it surely has another time."""
    with open(path, "w") as file:
        file.write(text)
    stamp = os.stat(path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 10**9))


# -- anonymous ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings,reached",
    [
        ({}, {"/livez": 200, "/version": 200, "/api/v1/pods": 403}),
        ({"anonymous_auth": False}, {"/livez": 401, "/version": 401, "/api/v1/pods": 401}),
        (
            "{enabled: true, conditions: [{path: /livez}]}",
            {"/livez": 200, "/version": 401, "/livez/ping": 401},
        ),
        ("{enabled: true}", {"/livez": 200, "/api/v1/pods": 403}),
        ("{enabled: false}", {"/livez": 401}),
    ],
)
def test_anonymous_requests(tmp_path, settings, reached):
    if isinstance(settings, str):
        path = tmp_path / "authn.yaml"
        path.write_text(AUTHENTICATION + f"anonymous: {settings}\n")
        settings = {"authentication_config": str(path)}

    async def test(server):
        return {path: (await server.call("GET", path))[0] for path in reached}

    assert with_server(test, settings) == reached


AUTHENTICATION = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
AUTHORIZATION = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n"


# -- tokens ------------------------------------------------------------------------------------------------


def test_a_token_file(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text('secret,jane,7,"dev,ops"\nplain,joe,8\n')

    async def test(server):
        assert await server.who("secret") == ("jane", ["dev", "ops"])
        assert await server.who("plain") == ("joe", [])
        assert await server.who("T") == ("admin", ["system:masters"])
        assert await server.who("other") == 401

    with_server(test, {"token_auth_file": str(path)})
    path.write_text("one,two\n")
    with pytest.raises(ConfigurationError, match="tokens.csv: token file line 1"):
        Server({"token_auth_file": str(path)}, {})


def bootstrap_secret(**changes):
    data = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:workers",
        **changes,
    }
    return {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": "bootstrap-token-abcdef"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
    }


JOINING = ("system:bootstrap:abcdef", ["system:bootstrappers", "system:bootstrappers:workers"])


@pytest.mark.parametrize(
    "changes,expected",
    [
        ({}, JOINING),
        ({"usage-bootstrap-authentication": "false"}, 401),
        ({"expiration": "2001-01-01T00:00:00Z"}, 401),
        ({"expiration": times.format(RealClock.now() + 3600)}, JOINING),
        ({"expiration": "soon"}, 401),
        ({"token-secret": "1111111111111111"}, 401),
        ({"auth-extra-groups": "system:masters"}, 401),
    ],
)
def test_bootstrap_tokens(changes, expected):
    async def test(server):
        path = "/api/v1/namespaces/kube-system/secrets"
        status, _ = await server.call("POST", path, "T", bootstrap_secret(**changes))
        assert status == 201
        return await server.who("abcdef.0123456789abcdef")

    found = with_server(test)
    assert (found if isinstance(found, int) else (found[0], sorted(found[1]))) == expected


def test_bootstrap_tokens_may_be_off():
    async def test(server):
        await server.call("POST", "/api/v1/namespaces/kube-system/secrets", "T", bootstrap_secret())
        return await server.who("abcdef.0123456789abcdef")

    assert with_server(test, {"enable_bootstrap_token_auth": False}) == 401


def test_a_token_webhook(tmp_path):
    async def run():
        outside = Outside(tmp_path)
        known = {"authenticated": True, "user": {"username": "jane", "groups": ["dev"]}}
        hook = await Hook(outside, known).start()
        settings = {
            "authentication_token_webhook_config_file": outside.kubeconfig(hook.url),
            "authentication_token_webhook_version": "v1",
        }
        async with Server(settings, {}) as server:
            assert await server.who("anything") == ("jane", ["dev"])
            assert await server.who("T") == ("admin", ["system:masters"])
            assert [q["spec"]["audiences"] for q in hook.asked] == [["https://kubernetes.default.svc"]]
        await outside.close()

    asyncio.run(run())


def test_issuers_come_and_go_without_a_restart(tmp_path):
    async def run():
        outside = Outside(tmp_path)
        key = JoseKey("ES256")
        one, two = await Issuer(outside, key).start(), await Issuer(outside, key).start()
        path = tmp_path / "authn.json"

        def text(*issuers, prefix=""):
            members = [
                {
                    "issuer": {"url": i.url, "audiences": ["me"], "certificateAuthority": outside.ca},
                    "claimMappings": {"username": {"claim": "sub", "prefix": prefix}},
                }
                for i in issuers
            ]
            import json

            head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
            return json.dumps({**head, "jwt": members})

        path.write_text(text(one))
        async with Server({"authentication_config": str(path)}, {}) as server:
            (watch,) = server.plane.identities._watches
            assert await server.who(one.token()) == ("jane", [])
            assert await server.who(two.token()) == 401
            changed(path, text(two, prefix="new:"))
            watch.look()
            assert await server.who(one.token()) == 401
            assert await server.who(two.token()) == ("new:jane", [])
            # what is wrong changes nothing
            changed(path, text(two).replace("https:", "http:"))
            watch.look()
            assert await server.who(two.token()) == ("new:jane", [])
            path.unlink()
            watch.look()
            assert await server.who(two.token()) == ("new:jane", [])
        await outside.close()

    asyncio.run(run())


def test_flags_of_one_issuer(tmp_path):
    async def run():
        outside = Outside(tmp_path)
        issuer = await Issuer(outside).start()
        settings = {
            "oidc_issuer_url": issuer.url,
            "oidc_client_id": "me",
            "oidc_ca_file": outside.file("ca.pem", outside.ca),
            "oidc_groups_claim": "groups",
            "oidc_groups_prefix": "g:",
            "oidc_required_claim": ("hd=x",),
        }
        async with Server(settings, {}) as server:
            token = issuer.token(groups=["dev"], hd="x")
            assert await server.who(token) == (f"{issuer.url}#jane", ["g:dev"])
            assert await server.who(issuer.token(hd="y")) == 401
            body = {
                "kind": "TokenReview",
                "apiVersion": "authentication.k8s.io/v1",
                "spec": {"token": issuer.token()},
            }
            _, found = await server.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", "T", body)
            words = "[invalid bearer token, oidc: required claim hd not present in ID token]"
            assert found["status"] == {"user": {}, "error": words}
        await outside.close()

    asyncio.run(run())


# -- service account tokens --------------------------------------------------------------------------------


async def account(server):
    body = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "robot"}}
    return (await server.call("POST", "/api/v1/namespaces/default/serviceaccounts", "T", body))[1]


async def token_request(server, **spec):
    body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
    path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
    return await server.call("POST", path, "T", body)


def test_the_longest_that_a_token_lasts():
    async def test(server):
        await account(server)
        _, found = await token_request(server, expirationSeconds=7200)
        assert found["spec"]["expirationSeconds"] == 3600
        assert server.warning == '299 - "requested expiration of 7200 seconds shortened to 3600 seconds"'
        _, found = await token_request(server, expirationSeconds=600)
        assert found["spec"]["expirationSeconds"] == 600 and not server.warning

    with_server(test, {"service_account_max_token_expiration": 3600.0})


def test_several_issuers_and_audiences():
    settings = {"service_account_issuer": ("https://new", "https://old"), "api_audiences": ("a", "b")}

    async def test(server):
        await account(server)
        _, found = await token_request(server)
        assert found["spec"]["audiences"] == ["a", "b"]
        name = "system:serviceaccount:default:robot"
        assert (await server.who(found["status"]["token"]))[0] == name
        _, found = await token_request(server, audiences=["b"])
        assert (await server.who(found["status"]["token"]))[0] == name
        _, found = await token_request(server, audiences=["https://new"])
        assert await server.who(found["status"]["token"]) == 401
        _, document = await server.call("GET", "/.well-known/openid-configuration", "T")
        assert document["issuer"] == "https://new"
        server.plane.identities.issuer.issuer_url = "https://old"
        _, found = await token_request(server)
        assert (await server.who(found["status"]["token"]))[0] == name
        server.plane.identities.issuer.issuer_url = "https://foreign"
        _, found = await token_request(server)
        assert await server.who(found["status"]["token"]) == 401

    with_server(test, settings)


def test_keys_that_signed_before(tmp_path):
    old = Signer.of(Key.draw(chance(8)))
    path = tmp_path / "old.pub"
    path.write_text(f"# ours, until last year\n{old.public_pem}")

    async def test(server):
        made = await account(server)
        now = int(RealClock.now())
        claims = {
            "iss": "https://kubernetes.default.svc",
            "aud": ["https://kubernetes.default.svc"],
            "exp": now + 60,
            "nbf": now,
            "kubernetes.io": {
                "namespace": "default",
                "serviceaccount": {"name": "robot", "uid": made["metadata"]["uid"]},
            },
        }
        _, keys = await server.call("GET", "/openid/v1/jwks", "T")
        return await server.who(old.sign(claims)), len(keys["keys"]) if isinstance(keys, dict) else 0

    robot = (
        "system:serviceaccount:default:robot",
        ["system:serviceaccounts", "system:serviceaccounts:default"],
    )
    assert with_server(test, {"service_account_key_file": (str(path),)})[0] == robot
    assert with_server(test)[0] == 401
    path.write_text("none")
    with pytest.raises(ConfigurationError, match="does not contain any valid RSA or ECDSA public keys"):
        Server({"service_account_key_file": (str(path),)}, {})


def test_a_signing_key_of_one_s_own(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    from knarr.auth import jwt

    form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    text = rsa.generate_private_key(65537, 2048).private_bytes(*form, serialization.NoEncryption())
    path = tmp_path / "sa.key"
    path.write_bytes(text)

    async def test(server):
        await account(server)
        _, found = await token_request(server)
        token = found["status"]["token"]
        assert jwt.parse(token).header["alg"] == "RS256"
        assert (await server.who(token))[0] == "system:serviceaccount:default:robot"
        _, document = await server.call("GET", "/.well-known/openid-configuration", "T")
        assert document["id_token_signing_alg_values_supported"] == ["RS256"]

    with_server(test, {"service_account_signing_key_file": str(path)})
    path.write_text("none")
    with pytest.raises(ConfigurationError, match="failed to parse service-account-issuer-key-file"):
        Server({"service_account_signing_key_file": str(path)}, {})


# -- modes -------------------------------------------------------------------------------------------------

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text("jane,jane,1,dev\njoe,joe,2\n")
    return {"token_auth_file": str(path)}


def test_everything_is_allowed(tokens):
    async def test(server):
        assert (await server.call("GET", "/api/v1/secrets", "jane"))[0] == 200
        # else nobody at all could do everything
        assert (await server.call("GET", "/api/v1/secrets"))[0] == 401
        found = await server.rules("jane")
        assert found["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        assert found["nonResourceRules"] == [{"verbs": ["*"], "nonResourceURLs": ["*"]}]

    with_server(test, tokens, {"authorization_mode": ("AlwaysAllow",)})


def test_nothing_is_allowed(tokens):
    async def test(server):
        status, found = await server.call("GET", PODS, "jane")
        assert (status, found["message"]) == (
            403,
            'pods is forbidden: User "jane" cannot list resource "pods" in API group "" '
            'in the namespace "default": Everything is forbidden.',
        )
        assert (await server.call("GET", PODS, "T"))[0] == 200

    with_server(test, tokens, {"authorization_mode": ("AlwaysDeny",)})


def test_policies_of_a_file(tokens, tmp_path):
    path = tmp_path / "policy.jsonl"
    head = '{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": '
    path.write_text(
        "# who may what\n\n"
        + head
        + '{"user": "jane", "namespace": "default", "resource": "pods", "readonly": true}}\n'
        + head
        + '{"group": "system:authenticated", "readonly": true, "nonResourcePath": "/version"}}\n'
    )

    async def test(server):
        assert (await server.call("GET", PODS, "jane"))[0] == 200
        status, found = await server.call("DELETE", PODS + "/x", "jane")
        assert status == 403 and found["message"].endswith(": No policy matched.")
        assert (await server.call("GET", "/api/v1/namespaces/other/pods", "jane"))[0] == 403
        assert (await server.call("GET", PODS, "joe"))[0] == 403
        assert (await server.call("GET", "/version", "joe"))[0] == 200
        return server.plane.identities.authorizers.resolve(
            UserInfo("jane", groups=("system:authenticated",)), "default"
        )

    authorization = {"authorization_mode": ("ABAC",), "authorization_policy_file": str(path)}
    found = with_server(test, tokens, authorization)
    assert found.rules == [{"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]}]


@pytest.mark.parametrize(
    "line,policy",
    [
        ('{"user":"a"}', Policy("a", "", False, "*", "*", "*", "*")),
        ("{}", Policy("", "system:authenticated", False, "*", "*", "*", "*")),
        ('{"user":"*"}', Policy("", "system:authenticated", False, "*", "*", "*", "*")),
        ('{"user":"a","resource":"pods"}', Policy("a", "", False, "*", "pods", "*", "")),
        ('{"user":"a","namespace":"n","readonly":true}', Policy("a", "", True, "*", "*", "n", "")),
    ],
)
def test_policies_of_old(line, policy):
    assert parse(line, "f") == [policy]


@pytest.mark.parametrize(
    "line,words",
    [
        ("{", "error reading policy file f, line 2: {: "),
        ("[]", "a policy is a JSON object"),
        ('{"kind":"Policy","apiVersion":"v9"}', 'no kind "Policy" is registered for version "v9"'),
        (
            '{"kind":"Policy","apiVersion":"abac.authorization.kubernetes.io/v1beta1","spec":{"user":1}}',
            "user is no string",
        ),
    ],
)
def test_policies_that_are_none(line, words):
    with pytest.raises(ConfigurationError) as caught:
        parse(f"# first\n{line}\n", "f")
    assert words in str(caught.value)


JANE = UserInfo("jane", groups=("dev",))


@pytest.mark.parametrize(
    "policy,request_,allowed",
    [
        (Policy("jane", path="/a/*"), Request("get", path="/a/b", user=JANE), True),
        (Policy("jane", path="/a/*"), Request("get", path="/b", user=JANE), False),
        (Policy("jane", path="*"), Request("post", path="/b", user=JANE), True),
        (Policy("jane", path="*"), Request("get", resource="pods", user=JANE), False),
        (
            Policy("jane", "ops", resource="*", namespace="*", api_group="*"),
            Request("get", resource="pods", user=JANE),
            False,
        ),
        (
            Policy("jane", "dev", resource="*", namespace="*", api_group="*"),
            Request("get", resource="pods", user=JANE),
            True,
        ),
        (
            Policy(resource="*", namespace="*", api_group="*"),
            Request("get", resource="pods", user=JANE),
            False,
        ),
        (
            Policy("jane", resource="pods", namespace="*"),
            Request("get", group="x", resource="pods", user=JANE),
            False,
        ),
        (Policy("jane", resource="pods"), Request("get", resource="pods", namespace="ns", user=JANE), False),
    ],
)
def test_what_a_policy_allows(policy, request_, allowed):
    assert policy.allows(request_) is allowed


def test_a_webhook_after_rbac(tokens, tmp_path):
    async def run():
        outside = Outside(tmp_path)

        def answer(question):
            resource = question["spec"].get("resourceAttributes", {})
            return {"allowed": resource.get("resource") == "pods", "reason": "ask me for pods"}

        hook = await Hook(outside, answer).start()
        authorization = {
            "authorization_mode": ("Node", "RBAC", "Webhook"),
            "authorization_webhook_config_file": outside.kubeconfig(hook.url),
        }
        async with Server(tokens, authorization) as server:
            assert (await server.call("GET", PODS, "jane"))[0] == 200
            status, found = await server.call("GET", "/api/v1/secrets", "jane")
            assert status == 403 and found["message"].endswith(": ask me for pods")
            assert (await server.call("GET", "/version", "jane"))[0] == 200  # RBAC's
            assert {q["apiVersion"] for q in hook.asked} == {"authorization.k8s.io/v1beta1"}
            found = await server.rules("jane")
            assert found["incomplete"] is True
            assert found["evaluationError"] == "webhook authorizer does not support user rule resolution"
        await outside.close()

    asyncio.run(run())


def test_a_chain_that_changes(tokens, tmp_path):
    async def run():
        outside = Outside(tmp_path)
        hook = await Hook(outside, {"allowed": True}).start()
        file = outside.kubeconfig(hook.url)
        path = tmp_path / "authz.yaml"
        own = "- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n"
        webhook = (
            "- type: Webhook\n  name: hook\n  webhook:\n    timeout: 3s\n    subjectAccessReviewVersion: v1\n"
            "    matchConditionSubjectAccessReviewVersion: v1\n    failurePolicy: Deny\n"
            f"    connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {file}}}\n"
            "    matchConditions: [{expression: request.user != 'joe'}]\n"
        )
        path.write_text(AUTHORIZATION + own)
        async with Server(tokens, {"authorization_config": str(path)}) as server:
            (watch,) = server.plane.identities._watches
            assert (await server.call("GET", PODS, "jane"))[0] == 403
            changed(path, AUTHORIZATION + webhook + own)
            watch.look()
            assert (await server.call("GET", PODS, "jane"))[0] == 200
            assert (await server.call("GET", PODS, "joe"))[0] == 403
            changed(path, AUTHORIZATION + own.partition("\n")[2])
            watch.look()
            assert (await server.call("GET", PODS, "jane"))[0] == 200
            changed(path, AUTHORIZATION + own)
            watch.look()
            assert (await server.call("GET", PODS, "jane"))[0] == 403
        await outside.close()

    asyncio.run(run())


# -- flags that do not go together -------------------------------------------------------------------------

OIDC = {"oidc_issuer_url": "https://a", "oidc_client_id": "b"}


@pytest.mark.parametrize(
    "authentication,authorization,words",
    [
        (
            {"oidc_issuer_url": "https://a"},
            {},
            "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set",
        ),
        (
            {"oidc_username_claim": "x"},
            {},
            "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set",
        ),
        (
            {**OIDC, "authentication_config": "f"},
            {},
            "authentication-config file and oidc-* flags are mutually exclusive",
        ),
        ({**OIDC, "oidc_signing_algs": ("HS256",)}, {}, 'oidc: unsupported signing alg: "HS256"'),
        (
            {**OIDC, "oidc_required_claim": ("a",)},
            {},
            'malformed pair, expect string=string, found "a" in --oidc-required-claim',
        ),
        (
            {"authentication_token_webhook_config_file": "f", "authentication_token_webhook_version": "v2"},
            {},
            'unsupported authentication webhook version "v2", supported versions are "v1", "v1beta1"',
        ),
        (
            {"service_account_jwks_uri": "http://x"},
            {},
            "service-account-jwks-uri requires https scheme, parsed as: http://x",
        ),
        (
            {"service_account_max_token_expiration": 60.0},
            {},
            "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds",
        ),
        ({}, {"authorization_mode": ("Foo",)}, 'authorization-mode "Foo" is not a valid mode'),
        (
            {},
            {"authorization_mode": ("ABAC",)},
            "authorization-mode ABAC's authorization policy file not passed",
        ),
        (
            {},
            {"authorization_mode": ("Webhook",)},
            "authorization-mode Webhook's authorization config file not passed",
        ),
        (
            {},
            {"authorization_policy_file": "f"},
            "cannot specify --authorization-policy-file without mode ABAC",
        ),
        (
            {},
            {"authorization_webhook_config_file": "f"},
            "cannot specify --authorization-webhook-config-file without mode Webhook",
        ),
        (
            {},
            {"authorization_mode": ("RBAC", "RBAC")},
            'authorization-mode ["RBAC" "RBAC"] has mode specified more than once',
        ),
        (
            {},
            {"authorization_config": "f", "authorization_mode": ("RBAC",)},
            "--authorization-config can not be specified when --authorization-mode or "
            "--authorization-webhook-* flags are defined",
        ),
    ],
)
def test_flags_that_do_not_go_together(authentication, authorization, words):
    with pytest.raises(ConfigurationError) as caught:
        check(AuthenticationSettings(**authentication), AuthorizationSettings(**authorization))
    assert str(caught.value) == words


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="^open /nope: no such file or directory$"):
        Server({"authentication_config": "/nope"}, {})
    with pytest.raises(ConfigurationError, match="/nope: no such kubeconfig"):
        Server({"authentication_token_webhook_config_file": "/nope"}, {})
    path = tmp_path / "authn.yaml"
    path.write_text(AUTHENTICATION + "anonymous: {enabled: true}\n")
    with pytest.raises(
        ConfigurationError, match="--anonymous-auth flag cannot be set when anonymous field is"
    ):
        Server({"authentication_config": str(path), "anonymous_auth": True}, {})


def test_the_examples_of_the_page(tmp_path):
    """What docs/authentication.md shows can be pasted."""
    import re
    from pathlib import Path

    from knarr.auth.configuration import authentication, authorization

    page = (Path(__file__).parents[2] / "docs" / "authentication.md").read_text()
    first, second = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(authentication.parse(first.encode(), "f").issuers) == 1
    (tmp_path / "policy.kubeconfig").touch()
    assert len(authorization.parse(second.replace("/etc/", f"{tmp_path}/").encode(), "f")) == 3
