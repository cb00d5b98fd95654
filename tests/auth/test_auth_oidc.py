"""Tokens of an OpenID issuer: a real one over TLS, its keys, and what is made of its claims."""

import asyncio

import pytest

from knarr.auth.authenticate import Authenticator
from knarr.auth.configuration import ConfigurationError
from knarr.auth.configuration.authentication import check, parse
from knarr.auth.configuration.oidcflags import from_flags
from knarr.auth.configuration.settings import AuthenticationSettings
from knarr.auth.identity import CREDENTIAL_ID, AuthenticationError
from knarr.auth.oidc.authenticator import OIDCTokens
from knarr.auth.oidc.issuers import Issuers
from knarr.auth.oidc.jsonwebkeys import read_key
from knarr.auth.signatures import ALGORITHMS, verify
from knarr.meta import fielderrors
from knarr.registry.context import UserInfo
from knarr.world.clock import RealClock

from .outside import Issuer, JoseKey, Outside

CLOCK = RealClock()
USERNAME = {"username": {"claim": "sub", "prefix": ""}}


@pytest.fixture(scope="module")
def rsa_key():
    return JoseKey()


def with_issuer(tmp_path, test, *keys):
    """Run a coroutine function with an issuer."""

    async def run():
        outside = Outside(tmp_path)
        issuer = await Issuer(outside, *keys).start()
        try:
            return await test(issuer)
        finally:
            await outside.close()

    return asyncio.run(run())


def method(issuer, algorithms=ALGORITHMS, audiences=("me",), mappings=USERNAME, provider=None, **more):
    config = {
        "issuer": {
            "url": issuer.url,
            "audiences": list(audiences),
            "certificateAuthority": issuer.outside.ca,
            **({"audienceMatchPolicy": "MatchAny"} if len(audiences) > 1 else {}),
            **(provider or {}),
        },
        "claimMappings": mappings,
        **more,
    }
    (made,), wrong = check({"jwt": [config]})
    assert wrong == []
    return OIDCTokens(made, CLOCK, algorithms)


async def user_of(tokens, token):
    try:
        identity = await tokens.authenticate(token, ())
    except AuthenticationError as error:
        return str(error)
    finally:
        await tokens.close()
    return None if identity is None else identity.user


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm(tmp_path, algorithm):
    async def test(issuer):
        token = issuer.token()
        assert await user_of(method(issuer), token) == UserInfo("jane")
        spoiled = token[:-8] + ("A" * 8 if token[-8:] != "A" * 8 else "B" * 8)
        words = "oidc: verify token: failed to verify signature: failed to verify id token signature"
        assert await user_of(method(issuer), spoiled) == words

    with_issuer(tmp_path, test, JoseKey(algorithm))


def test_a_key_of_another_kind_signed_nothing(rsa_key):
    elliptic = JoseKey("ES256")
    for key, algorithm, size in ((rsa_key, "ES256", 64), (elliptic, "RS256", 256), (elliptic, "HS256", 32)):
        assert verify(read_key(key.jwk), algorithm, b"signed", b"x" * size) is False


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "AA"},
        {"kty": "RSA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc"},
        {"kty": "RSA", "n": 5, "e": "AQAB"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {},
    ],
)
def test_keys_that_are_of_no_use(jwk):
    assert read_key(jwk) is None


def test_an_algorithm_that_is_not_wanted(tmp_path):
    async def test(issuer):
        found = await user_of(method(issuer, ["RS256", "PS256"]), issuer.token())
        assert found == (
            "oidc: verify token: oidc: id token signed with unsupported algorithm, "
            'expected ["RS256" "PS256"] got "ES256"'
        )
        for wrong in ("none", "HS256", "ES384"):
            token = issuer.token(header={"alg": wrong})
            assert "oidc: verify token:" in await user_of(method(issuer), token)

    with_issuer(tmp_path, test, JoseKey("ES256"))


TIMES = [
    (
        {"exp": 1000},
        "oidc: verify token: oidc: token is expired (Token Expiry: 1970-01-01 00:16:40 +0000 UTC)",
    ),
    (
        {"exp": ...},
        "oidc: verify token: oidc: token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)",
    ),
    ({"nbf": 32503680000}, "before the nbf (not before) time: 3000-01-01 00:00:00 +0000 UTC"),
    ({"nbf": 1000}, UserInfo("jane")),
    ({"aud": "you"}, 'oidc: verify token: oidc: expected audience "me" got ["you"]'),
    ({"aud": ["you", "me"]}, UserInfo("jane")),
    ({"aud": ...}, 'oidc: verify token: oidc: expected audience "me" got []'),
    ({"iss": "https://elsewhere"}, None),
    ({"sub": ...}, 'oidc: parse username claims "sub": claim not present'),
    (
        {"sub": 7},
        'oidc: parse username claims "sub": json: cannot unmarshal number into Go value of type string',
    ),
    ({"jti": "t1"}, UserInfo("jane", extra={CREDENTIAL_ID: ("JTI=t1",)})),
]


def test_times_and_audiences(tmp_path, rsa_key):
    async def test(issuer):
        for claims, expected in TIMES:
            found = await user_of(method(issuer), issuer.token(**claims))
            if isinstance(expected, str):
                assert expected in str(found), claims
            else:
                assert found == expected, claims

    with_issuer(tmp_path, test, rsa_key)


def test_one_of_several_audiences(tmp_path, rsa_key):
    async def test(issuer):
        tokens = method(issuer, audiences=("me", "us"))
        assert await user_of(tokens, issuer.token(aud=["us", "x"])) == UserInfo("jane")
        tokens = method(issuer, audiences=("us", "me"))
        words = 'oidc: verify token: oidc: expected audience in ["me" "us"] got ["x"]'
        assert await user_of(tokens, issuer.token(aud="x")) == words

    with_issuer(tmp_path, test, rsa_key)


def test_keys_are_fetched_again_when_a_new_one_signs(tmp_path):
    first, second, foreign = JoseKey("ES256", "a"), JoseKey("ES256", "b"), JoseKey("ES256", "c")

    async def test(issuer):
        tokens = method(issuer)
        for _ in range(3):
            await tokens.authenticate(issuer.token(first), ())
        assert issuer.asked["/keys"] == 1
        issuer.keys = [second]
        many = [tokens.authenticate(issuer.token(second), ()) for _ in range(5)]
        assert {i.user.name for i in await asyncio.gather(*many)} == {"jane"}
        assert issuer.asked["/keys"] == 2
        with pytest.raises(AuthenticationError, match="failed to verify id token signature"):
            await tokens.authenticate(issuer.token(foreign), ())
        # a token without kid is tried with every key
        unnamed = issuer.token(second, header={"kid": ""})
        assert (await tokens.authenticate(unnamed, ())).user.name == "jane"
        await tokens.close()

    with_issuer(tmp_path, test, first)


def test_an_issuer_that_is_not_there_yet(tmp_path, rsa_key):
    async def test(issuer):
        issuer.pages["/.well-known/openid-configuration"] = (503, "later")
        tokens = method(issuer)
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="oidc: authenticator not initialized"):
                await tokens.authenticate(issuer.token(), ())
        # it is not asked again at once
        assert issuer.asked["/.well-known/openid-configuration"] == 1
        assert tokens.provider.failure == "503 Service Unavailable: later"
        issuer.pages.clear()
        tokens.provider._retry_at = 0.0
        assert await user_of(tokens, issuer.token()) == UserInfo("jane")
        issuer.document = {"issuer": "https://another"}
        tokens = method(issuer)
        assert await user_of(tokens, issuer.token()) == "oidc: authenticator not initialized"
        assert tokens.provider.failure == (
            "oidc: issuer did not match the issuer returned by provider, "
            f'expected "{issuer.url}" got "https://another"'
        )

    with_issuer(tmp_path, test, rsa_key)


def test_an_issuer_of_another_authority(tmp_path, rsa_key):
    async def test(issuer):
        (tmp_path / "other").mkdir()
        other = Outside(tmp_path / "other", seed=10)
        tokens = method(issuer, provider={"certificateAuthority": other.ca})
        assert await user_of(tokens, issuer.token()) == "oidc: authenticator not initialized"
        assert "x509" in tokens.provider.failure

    with_issuer(tmp_path, test, rsa_key)


def test_a_discovery_document_elsewhere(tmp_path, rsa_key):
    async def test(issuer):
        url = f"{issuer.url}/else/.well-known/openid-configuration"
        issuer.pages["/.well-known/openid-configuration"] = (404, "")
        tokens = method(issuer, provider={"discoveryURL": url})
        assert await user_of(tokens, issuer.token()) == UserInfo("jane")

    with_issuer(tmp_path, test, rsa_key)


def claims_and_user(*rows):
    return pytest.mark.parametrize("config,claims,expected", rows)


GROUPS = {**USERNAME, "groups": {"claim": "groups", "prefix": "g:"}}
EMAIL = {"username": {"claim": "email", "prefix": "m:"}}


@claims_and_user(
    ({"claimMappings": GROUPS}, {"groups": ["a", "b"]}, UserInfo("jane", groups=("g:a", "g:b"))),
    ({"claimMappings": GROUPS}, {"groups": "a"}, UserInfo("jane", groups=("g:a",))),
    ({"claimMappings": GROUPS}, {}, UserInfo("jane")),
    (
        {"claimMappings": GROUPS},
        {"groups": {"a": 1}},
        'oidc: parse groups claim "groups": json: cannot unmarshal object into Go value of type string',
    ),
    ({"claimMappings": EMAIL}, {"email": "j@x"}, UserInfo("m:j@x")),
    ({"claimMappings": EMAIL}, {"email": "j@x", "email_verified": True}, UserInfo("m:j@x")),
    ({"claimMappings": EMAIL}, {"email": "j@x", "email_verified": False}, "oidc: email not verified"),
    (
        {"claimMappings": EMAIL},
        {"email": "j@x", "email_verified": "yes"},
        "oidc: parse 'email_verified' claim: json: cannot unmarshal string into Go value of type bool",
    ),
    (
        {"claimMappings": {**USERNAME, "uid": {"claim": "oid"}}},
        {"oid": "7"},
        UserInfo("jane", uid="7"),
    ),
    (
        {"claimMappings": {**USERNAME, "uid": {"claim": "oid"}}},
        {},
        'oidc: parse uid claim "oid": claim not present',
    ),
    (
        {"claimValidationRules": [{"claim": "hd", "requiredValue": "x.org"}]},
        {"hd": "y.org"},
        "oidc: required claim hd value does not match. Got = y.org, want = x.org",
    ),
    (
        {"claimValidationRules": [{"claim": "hd", "requiredValue": "x.org"}]},
        {},
        "oidc: required claim hd not present in ID token",
    ),
    (
        {"claimMappings": {"username": {"expression": "'u:' + claims.sub"}}},
        {},
        UserInfo("u:jane"),
    ),
    (
        {"claimMappings": {"username": {"expression": "claims.age"}}},
        {"age": 3},
        "oidc: error evaluating username claim expression: username claim expression must return a string",
    ),
    (
        {"claimMappings": {"username": {"expression": "claims.none"}}},
        {},
        "oidc: error evaluating username claim expression: expression 'claims.none' resulted in error: "
        "no such key: none",
    ),
    (
        {"claimMappings": {"username": {"expression": "''"}}},
        {},
        "oidc: empty username via CEL expression is not allowed",
    ),
    (
        {"claimMappings": {**USERNAME, "groups": {"expression": "claims.roles.split(',') + ['']"}}},
        {"roles": "a,b"},
        UserInfo("jane", groups=("a", "b")),
    ),
    (
        {"claimMappings": {**USERNAME, "groups": {"expression": "claims.roles"}}},
        {"roles": [1]},
        "oidc: error evaluating group claim expression: expression must return a string or a list of strings",
    ),
    (
        {
            "claimMappings": {
                **USERNAME,
                "uid": {"expression": "claims.oid"},
                "extra": [
                    {"key": "example.org/team", "valueExpression": "claims.?team.orValue([])"},
                    {"key": "example.org/none", "valueExpression": "''"},
                ],
            }
        },
        {"oid": "u", "team": ["red", ""]},
        UserInfo("jane", uid="u", extra={"example.org/team": ("red",)}),
    ),
    (
        {"claimValidationRules": [{"expression": "claims.exp - claims.iat <= 100", "message": "too long"}]},
        {"iat": 0},
        "oidc: error evaluating claim validation expression: validation expression "
        "'claims.exp - claims.iat <= 100' failed: too long",
    ),
    (
        {"claimValidationRules": [{"expression": "claims.sub == 'jane'"}]},
        {},
        UserInfo("jane"),
    ),
    (
        {"userValidationRules": [{"expression": "!user.username.startsWith('j')", "message": "not him"}]},
        {},
        "oidc: error evaluating user info validation rule: validation expression "
        "'!user.username.startsWith('j')' failed: not him",
    ),
    (
        {
            "userValidationRules": [
                {"expression": "user.uid == '' && user.groups.size() == 0 && user.extra == {}"}
            ]
        },
        {},
        UserInfo("jane"),
    ),
)
def test_what_becomes_of_claims(tmp_path, rsa_key, config, claims, expected):
    async def test(issuer):
        mappings = config.get("claimMappings", USERNAME)
        more = {key: value for key, value in config.items() if key != "claimMappings"}
        assert await user_of(method(issuer, mappings=mappings, **more), issuer.token(**claims)) == expected

    with_issuer(tmp_path, test, rsa_key)


def distributed(issuer, **source):
    return {
        "_claim_names": {"groups": "there"},
        "_claim_sources": {"there": {"endpoint": f"{issuer.url}/groups", **source}},
    }


def test_distributed_claims(tmp_path, rsa_key):
    async def test(issuer):
        issuer.pages["/groups"] = (200, issuer.token(groups=["far"]))
        found = await user_of(
            method(issuer, mappings=GROUPS), issuer.token(**distributed(issuer, access_token="T"))
        )
        assert found == UserInfo("jane", groups=("g:far",))
        assert "Bearer T" in issuer.authorizations
        # what the token says itself counts
        own = issuer.token(**distributed(issuer), groups=["near"])
        assert (await user_of(method(issuer, mappings=GROUPS), own)).groups == ("g:near",)

    with_issuer(tmp_path, test, rsa_key)


def test_distributed_claims_that_fail(tmp_path, rsa_key):
    async def test(issuer):
        rows = [
            ((200, issuer.token()), distributed(issuer), "did not contain claim: groups"),
            ((404, ""), distributed(issuer), "error while getting distributed claim JWT: 404 Not Found"),
            ((200, "none"), distributed(issuer), 'failed for claim "groups": malformed token'),
            (
                (200, issuer.token(groups=["x"], exp=5)),
                distributed(issuer),
                "verify distributed claim token: oidc: token is expired",
            ),
            ((200, ""), {"_claim_names": {"groups": "there"}}, "oidc: no claim sources"),
            (
                (200, ""),
                {"_claim_names": {"groups": "there"}, "_claim_sources": {}},
                "id token _claim_names contained a source there missing in _claims_sources",
            ),
        ]
        for page, claims, words in rows:
            issuer.pages["/groups"] = page
            found = await user_of(method(issuer, mappings=GROUPS), issuer.token(**claims))
            assert found.startswith("oidc: could not expand distributed claims: ") and words in found

    with_issuer(tmp_path, test, rsa_key)


def test_a_token_goes_to_its_issuer(tmp_path, rsa_key):
    async def test(issuer):
        second = await Issuer(issuer.outside, rsa_key).start()
        prefixed = {"username": {"claim": "sub", "prefix": "two:"}}
        issuers = Issuers([method(issuer), method(second, mappings=prefixed)])
        users = Authenticator([issuers], CLOCK, ["api"])
        one = await users.authenticate(issuer.token())
        assert (one.name, one.groups) == ("jane", ("system:authenticated",))
        assert (await users.authenticate(second.token())).name == "two:jane"
        # meant for the API server, whatever the audience of the token
        assert (await users.review(issuer.token(), ("api",))).audiences == ("api",)
        with pytest.raises(AuthenticationError):
            await users.review(issuer.token(), ("elsewhere",))
        issuers.replace([method(second)])
        users.forget()
        assert (await users.authenticate(second.token())).name == "jane"
        with pytest.raises(AuthenticationError, match="invalid bearer token"):
            await users.review(issuer.token())
        await issuers.close()

    with_issuer(tmp_path, test, rsa_key)


FLAGS = {"oidc_issuer_url": "https://idp", "oidc_client_id": "me"}


@pytest.mark.parametrize(
    "more,name,prefix",
    [
        ({}, "sub", "https://idp#"),
        ({"oidc_username_claim": "email"}, "email", ""),
        ({"oidc_username_prefix": "-"}, "sub", ""),
        ({"oidc_username_claim": "email", "oidc_username_prefix": "m:"}, "email", "m:"),
    ],
)
def test_the_prefix_of_the_flags(more, name, prefix):
    (issuer,) = from_flags(AuthenticationSettings(**FLAGS, **more)).issuers
    assert issuer.config["claimMappings"] == {"username": {"claim": name, "prefix": prefix}}


def test_the_flags_say_the_rest():
    settings = AuthenticationSettings(
        **FLAGS, oidc_groups_claim="g", oidc_groups_prefix="x:", oidc_required_claim=("hd=a=b",)
    )
    config = from_flags(settings).issuers[0].config
    assert config["claimMappings"]["groups"] == {"claim": "g", "prefix": "x:"}
    assert config["claimValidationRules"] == [{"claim": "hd", "requiredValue": "a=b"}]
    with pytest.raises(ConfigurationError, match="URL must not overlap with disallowed issuers"):
        from_flags(
            AuthenticationSettings(oidc_client_id="a", oidc_issuer_url="https://kubernetes.default.svc")
        )


# -- the file ----------------------------------------------------------------------------------------------

GOOD = {"issuer": {"url": "https://a", "audiences": ["me"]}, "claimMappings": USERNAME}


def jwt_with(**changes):
    """A good issuer with values at dotted places changed; ... takes one away."""
    import copy

    made = copy.deepcopy(GOOD)
    for place, value in changes.items():
        *way, last = place.split("__")
        target = made
        for step in way:
            target = target.setdefault(step, {})
        if value is ...:
            target.pop(last)
        else:
            target[last] = value
    return made


WRONG = [
    ({"issuer__url": ""}, "jwt[0].issuer.url: Required value"),
    ({"issuer__url": "http://a"}, 'jwt[0].issuer.url: Invalid value: "http://a": URL scheme must be https'),
    (
        {"issuer__url": "https://u:p@a?q=1#f"},
        '[jwt[0].issuer.url: Invalid value: "https://u:p@a?q=1#f": URL must not contain a username or password, '
        'jwt[0].issuer.url: Invalid value: "https://u:p@a?q=1#f": URL must not contain a query, '
        'jwt[0].issuer.url: Invalid value: "https://u:p@a?q=1#f": URL must not contain a fragment]',
    ),
    (
        {"issuer__discoveryURL": "https://a/"},
        'jwt[0].issuer.discoveryURL: Invalid value: "https://a/": discoveryURL must be different from URL',
    ),
    (
        {"issuer__audiences": ...},
        "jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required",
    ),
    (
        {"issuer__audiences": ["a", "a"], "issuer__audienceMatchPolicy": "MatchAny"},
        'jwt[0].issuer.audiences[1]: Duplicate value: "a"',
    ),
    (
        {"issuer__audiences": ["a", "b"]},
        'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": '
        "audienceMatchPolicy must be MatchAny for multiple audiences",
    ),
    (
        {"issuer__certificateAuthority": "no"},
        'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": '
        "data does not contain any valid RSA or ECDSA certificates",
    ),
    (
        {"issuer__egressSelectorType": "etcd"},
        'jwt[0].issuer.egressSelectorType: Invalid value: "etcd": '
        "egress selector must be either controlplane or cluster",
    ),
    ({"claimMappings": {}}, "jwt[0].claimMappings.username: Required value: claim or expression is required"),
    (
        {"claimMappings__username": {"claim": "a"}},
        "jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. "
        "It can be set to an empty string to disable prefixing",
    ),
    (
        {"claimMappings__username": {"claim": "a", "expression": "b"}},
        'jwt[0].claimMappings.username: Invalid value: "": claim and expression can\'t both be set',
    ),
    (
        {"claimMappings__username": {"expression": "claims.sub", "prefix": ""}},
        'jwt[0].claimMappings.username.prefix: Invalid value: "": may not be specified when expression is set',
    ),
    (
        {"claimMappings__username": {"expression": "nobody"}},
        'jwt[0].claimMappings.username.expression: Invalid value: "nobody": compilation failed: ERROR: <input>:1:1: '
        "undeclared reference to 'nobody' (in container '')\n | nobody\n | ^",
    ),
    (
        {"claimMappings__username": {"expression": "claims.email"}},
        'jwt[0].claimMappings.username.expression: Invalid value: "claims.email": claims.email_verified must be used '
        "in claimMappings.username.expression or claimMappings.extra[*].valueExpression or "
        "claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression",
    ),
    (
        {"claimMappings__username": {"expression": "claims.?email.orValue('x')"}},
        "jwt[0].claimMappings.username.expression: Invalid value: \"claims.?email.orValue('x')\": "
        "claims.email_verified must be used in claimMappings.username.expression or "
        "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in "
        "claimMappings.username.expression",
    ),
    (
        {"claimMappings__uid": {"claim": "a", "expression": "b"}},
        'jwt[0].claimMappings.uid: Invalid value: "": claim and expression can\'t both be set',
    ),
    (
        {"claimMappings__extra": [{"key": "foo", "valueExpression": "'a'"}]},
        'jwt[0].claimMappings.extra[0].key: Invalid value: "foo": must be a domain-prefixed path '
        '(such as "acme.io/foo")',
    ),
    (
        {"claimMappings__extra": [{"key": "a.org/Foo", "valueExpression": "'a'"}]},
        'jwt[0].claimMappings.extra[0].key: Invalid value: "a.org/Foo": must be lowercase',
    ),
    (
        {"claimMappings__extra": [{"key": "x.k8s.io/foo", "valueExpression": "'a'"}]},
        'jwt[0].claimMappings.extra[0].key: Invalid value: "x.k8s.io/foo": '
        "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use",
    ),
    (
        {"claimMappings__extra": [{"key": "a.org/f", "valueExpression": ""}]},
        "jwt[0].claimMappings.extra[0].valueExpression: Required value",
    ),
    (
        {"claimValidationRules": [{"claim": "a", "expression": "b"}]},
        'jwt[0].claimValidationRules[0]: Invalid value: "a": claim and expression can\'t both be set',
    ),
    (
        {"claimValidationRules": [{}]},
        "jwt[0].claimValidationRules[0]: Required value: claim or expression is required",
    ),
    (
        {"claimValidationRules": [{"claim": "a", "message": "m"}]},
        'jwt[0].claimValidationRules[0].message: Invalid value: "m": may not be specified when claim is set',
    ),
    (
        {"claimValidationRules": [{"claim": "a"}, {"claim": "a"}]},
        'jwt[0].claimValidationRules[1].claim: Duplicate value: "a"',
    ),
    (
        {"claimValidationRules": [{"expression": "claims.a", "requiredValue": "v"}]},
        '[jwt[0].claimValidationRules[0].requiredValue: Invalid value: "v": '
        "may not be specified when expression is set, "
        'jwt[0].claimValidationRules[0].expression: Invalid value: "claims.a": must evaluate to bool]',
    ),
    ({"userValidationRules": [{}]}, "jwt[0].userValidationRules[0].expression: Required value"),
    (
        {"userValidationRules": [{"expression": "user.name == ''"}]},
        "jwt[0].userValidationRules[0].expression: Invalid value: \"user.name == ''\": compilation failed: "
        "ERROR: <input>:1:5: undefined field 'name'\n | user.name == ''\n | ....^",
    ),
]


@pytest.mark.parametrize("changes,words", WRONG)
def test_what_is_wrong_with_an_issuer(changes, words):
    _, found = check({"jwt": [jwt_with(**changes)]})
    assert fielderrors.aggregate(found) == words


@pytest.mark.parametrize(
    "expression",
    [
        "claims.email_verified ? claims.email : claims.sub",
        "claims.?email_verified.orValue(false) ? claims.email : ''",
        "has(claims.email_verified) && claims.email_verified ? claims.email : claims.sub",
    ],
)
def test_addresses_that_were_verified_are_names(expression):
    _, found = check({"jwt": [jwt_with(claimMappings__username={"expression": expression})]})
    assert found == []


def test_several_issuers():
    _, found = check({"jwt": [GOOD, GOOD]})
    assert fielderrors.aggregate(found) == 'jwt[1].issuer.url: Duplicate value: "https://a"'
    _, found = check({"jwt": [GOOD] * 65})
    assert fielderrors.aggregate(found) == "jwt: Too many: 65: must have at most 64 items"
    _, found = check({"anonymous": {"enabled": False, "conditions": [{"path": "/livez"}]}})
    assert "enabled should be set to true when conditions are defined" in fielderrors.aggregate(found)


HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"


@pytest.mark.parametrize(
    "text,words",
    [
        ("", "empty config data"),
        ("a: [", "not YAML"),
        ("[]", "couldn't get version/kind"),
        ("kind: AuthenticationConfiguration", "Object 'apiVersion' is missing"),
        (HEAD.replace("/v1", "/v2"), 'is registered for version "apiserver.config.k8s.io/v2"'),
        (HEAD.replace("kind: Auth", "kind: Awth"), 'no kind "AwthenticationConfiguration" is registered'),
        (
            HEAD + "jwt:\n- issuer: {uri: x}\nmore: 1\n",
            'strict decoding error: unknown field "jwt[0].issuer.uri", unknown field "more"',
        ),
        (HEAD + "anonymous: {enabled: 1}", "anonymous.enabled: expected true or false"),
        (HEAD + "jwt: {}", "jwt: expected a list"),
        (HEAD + "jwt: [a]", "jwt[0]: expected an object"),
        (HEAD + "jwt: [{issuer: {url: 1}}]", "jwt[0].issuer.url: expected a string"),
        (HEAD + "jwt: []\njwt: []", 'key "jwt" already set in map'),
    ],
)
def test_files_that_are_none(text, words):
    with pytest.raises(ConfigurationError) as caught:
        parse(text.encode(), "/etc/authn.yaml")
    assert str(caught.value).startswith("/etc/authn.yaml: ") and words in str(caught.value)


def test_files_of_older_versions_and_without_issuers():
    for version in ("v1alpha1", "v1beta1", "v1"):
        assert parse(HEAD.replace("/v1", f"/{version}").encode(), "f").issuers == []
